"""Settings of a client, with distmqtt's names and defaults."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from structiot._kit.redact import Secret, redact
from structiot._kit.text import did_you_mean
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.authentication import Authentication
from structiot.mqtt.codecs import CodecChoice
from structiot.mqtt.config_faults import faults_of
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID
from structiot.mqtt.wire.messages import Will
from structiot.mqtt.wire.properties import (
    WillProperties,
    pairs_of_text,
    properties_of,
)
from structiot.mqtt.wire.topics import name_fault

__all__ = ["MqttConfig", "Password", "ProtocolChoice", "TopicDefaults", "Username"]

# How large a delivery is thought to be when it is said how many may wait.
DELIVERY_BYTES = 65_536

ProtocolChoice = Literal["3.1.1", "5.0", "auto"]
# What a callable is asked for before every attempt; it may be sync or async.
Username: TypeAlias = str | Callable[[], str | Awaitable[str | None] | None] | None
# Words of other libraries that are too far from ours to be guessed.
_ALSO_CALLED = {"host": "uri", "hostname": "uri"}
Secretive: TypeAlias = str | bytes | Secret
Password: TypeAlias = (
    Secretive | Callable[[], Secretive | Awaitable[Secretive | None] | None] | None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDefaults:
    """QoS and retain of one exact topic, where a call names none."""

    qos: int | None = None
    retain: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MqttConfig:
    """How a client behaves. Every field may stand in a plain dict as well.

    Attributes:
        uri: Broker address, if `open_mqttclient` is called without one; a callable
            (sync or async) is asked before every attempt.
        username: User name, if the address has none; a callable (sync or async) is
            asked before every attempt, so that tokens can be renewed.
        password: Password, if the address has none; a callable as well.
        auth: Enhanced authentication (5.0), such as a `ScramSha256`.
        protocol: `"3.1.1"`, `"5.0"`, or `"auto"`: 5.0 with brokers that speak it.
        keep_alive: Keep-alive announced to the broker, in seconds; 0 is off.
        ping_delay: How many seconds before its end an idle client pings.
        default_qos: QoS of `publish` when not given.
        default_retain: Retain flag of `publish` when not given.
        topics: QoS and retain by exact topic.
        auto_reconnect: Whether a lost connection is opened again.
        reconnect_retries: Attempts after the first that may fail in a row before giving
            up; -1 is for ever. None gives up the first connection after two more
            attempts, and one that was lost never.
        reconnect_max_interval: Longest wait between attempts, in seconds.
        retry_refused: Whether a refusal that looks final (a wrong password, an unknown
            authority) is met with further attempts as well; a certificate that runs out
            while the client runs always is.
        max_redirects: How many times in a row to follow a broker that names another
            one (5.0), credentials included; 0 tells of it and follows none.
        cleansession: Whether the broker forgets us when we leave; False needs a client id.
        session_expiry_s: How long the broker keeps the session after a connection
            has ended (5.0); by default while we reconnect, or for ever if the session
            is not clean.
        topic_alias_maximum: Topic aliases that the broker may use (5.0).
        outgoing_aliases: Whether we use those that the broker takes (5.0).
        subscription_ids: Whether subscriptions are numbered (5.0), so that copies of a
            message for several of them can be told apart.
        response_information: Whether the broker is asked where it wants the replies to
            our requests (5.0).
        user_properties: Names and values for the broker (5.0): pairs, or a mapping.
        allows_control_characters: Whether own topics may hold control characters, which
            the standard advises against and at which many a broker hangs up.
        codec: Default codec.
        codec_params: Parameters by codec name.
        will: What the broker publishes when we vanish, a `Will` or a mapping with its names:
            `topic`, `payload`, `qos`, `retain` and, in 5.0, `properties` such as
            `{"will_delay_s": 30}`; of distmqtt `message` for `payload`, too.
        connect_s: Longest time for one whole attempt, in seconds.
        goodbye_s: Longest time for leaving, in seconds.
        max_packet_bytes: Longest packet taken from the broker.
        max_inflight: Own messages of QoS 1 and 2 under way at once; 100 packet ids
            remain for subscriptions whatever it says.
        max_held_bytes: What the client may hold in all: messages to be taken or
            acknowledged, with topic, properties and what objects cost; its own that wait;
            what is to be written. When messages that may not be dropped (QoS 1 and 2)
            fill it, nothing is read until a subscriber has taken something.
        receive_maximum: Deliveries of QoS 1 and 2 that may wait to be taken (5.0); by
            default one for each 64 KiB of `max_held_bytes`.
        outbox_items: Own messages of QoS 1 and 2 that may wait to be sent.
        outbox_bytes: Bytes that these may hold.
        subscription_items: Messages that a subscription buffers.
        unclaimed_s: How long a broker that remembers us has to wait for the
            acknowledgement of messages to which we have not subscribed again yet.
        store: SQLite file in which messages of QoS 1 and 2 outlive the process; needs a
            client id and `cleansession` False. Each broker wants a file of its own, and
            one program uses it at a time. While it cannot be written, these messages
            wait.
        offline_qos0: What `publish` does with QoS 0 while there is no connection.
        cafile: File of accepted authorities; the system's if none is given.
        capath: Folder of accepted authorities.
        cadata: Accepted authorities themselves.
        certfile: Own certificate, if the broker wants one.
        keyfile: Key of the own certificate.
        keyfile_password: Passphrase of that key, if it has one.
        check_hostname: False accepts a certificate for another name.
        alpn: Protocols to offer in TLS, such as `("mqtt",)`.
        ssl_context: TLS settings instead of all these.
        extra_headers: HTTP header fields of the websocket handshake.
        proxy: `http://user:password@host:port` or `socks5://...`, through which the
            broker is reached.
    """

    uri: str | Callable[[], str | Awaitable[str]] | None = None
    username: Username = None
    password: Password = None
    auth: Authentication | None = None
    protocol: ProtocolChoice = "auto"
    keep_alive: int = 10
    ping_delay: float = 1.0
    default_qos: int = 0
    default_retain: bool = False
    topics: Mapping[str, TopicDefaults] = field(default_factory=dict)
    auto_reconnect: bool = True
    reconnect_retries: int | None = None
    reconnect_max_interval: float = 10.0
    retry_refused: bool = False
    max_redirects: int = 0
    cleansession: bool = True
    session_expiry_s: int | None = None
    topic_alias_maximum: int = 64
    outgoing_aliases: bool = True
    subscription_ids: bool = True
    response_information: bool = True
    user_properties: Sequence[tuple[str, str]] | Mapping[str, str] = ()
    allows_control_characters: bool = False
    codec: CodecChoice = "noop"
    codec_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    will: Will | None = None
    connect_s: float = 10.0
    goodbye_s: float = 2.0
    max_packet_bytes: int = 16 * 1024 * 1024
    max_inflight: int = 1000
    max_held_bytes: int = 64 * 1024 * 1024
    receive_maximum: int | None = None
    outbox_items: int = 10_000
    outbox_bytes: int = 16 * 1024 * 1024
    subscription_items: int = 10_000
    unclaimed_s: float = 10.0
    store: str | Path | None = None
    offline_qos0: Literal["wait", "drop", "raise"] = "wait"
    cafile: str | Path | None = None
    capath: str | Path | None = None
    cadata: str | bytes | None = None
    certfile: str | Path | None = None
    keyfile: str | Path | None = None
    keyfile_password: str | Secret | None = None
    check_hostname: bool = True
    alpn: Sequence[str] = ()
    ssl_context: ssl.SSLContext | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None

    def __post_init__(self) -> None:
        faults = list(faults_of(self))
        if faults:
            raise ConfigError("; ".join(faults))

    def __repr__(self) -> str:
        """Show what is set, without secrets."""
        given = {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default and value != {}
        }
        shown = cast("dict[str, object]", redact(given))
        return f"MqttConfig({', '.join(f'{name}={shown[name]!r}' for name in shown)})"

    @classmethod
    def of(cls, config: MqttConfig | Mapping[str, Any] | None) -> MqttConfig:
        """Read settings from a mapping; the mapping itself is never changed.

        Raises:
            ConfigError: Unknown keys (with the nearest known one) or bad values.
        """
        if config is None:
            return cls()
        if isinstance(config, MqttConfig):
            return config
        if not isinstance(config, Mapping):
            raise ConfigError(f"MQTT settings are a mapping, not {_kind(config)}")
        known = [item.name for item in fields(cls)]
        # distmqtt has a sub-dict for what belongs to the broker.
        values = {**_mapping("broker", config.get("broker")), **config}
        values.pop("broker", None)
        unknown = [str(name) for name in values if name not in known]
        if unknown:
            raise ConfigError("; ".join(_unknown(name, known) for name in unknown))
        values["topics"] = _topics(_mapping("topics", values.get("topics")))
        values["will"] = _will(values.get("will"))
        for name in ("codec_params", "extra_headers"):
            values[name] = _mapping(name, values.get(name))
        return cls(**values)

    @property
    def delivery_window(self) -> int:
        """How many deliveries of QoS 1 and 2 may wait to be taken (5.0)."""
        if self.receive_maximum is not None:
            return self.receive_maximum
        return min(self.max_held_bytes // DELIVERY_BYTES, MAX_PACKET_ID)

    def with_changes(self, **changes: Any) -> MqttConfig:  # noqa: ANN401 - any field
        """Copy the settings with some fields replaced."""
        return replace(self, **changes)


def _kind(value: object) -> str:
    return type(value).__name__


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} is a mapping, not {_kind(value)}")
    return value


def _unknown(name: str, known: list[str]) -> str:
    near = _ALSO_CALLED.get(name)
    hint = f"; did you mean {near!r}?" if near in known else did_you_mean(name, known)
    return f"unknown MQTT setting {name!r}{hint}"


def _topics(topics: Mapping[Any, Any]) -> dict[str, TopicDefaults]:
    result: dict[str, TopicDefaults] = {}
    for topic, entry in topics.items():
        if isinstance(entry, TopicDefaults):
            result[topic] = entry
            continue
        fault = name_fault(topic) if isinstance(topic, str) else "is no text"
        if fault is not None:
            raise ConfigError(f"topics: {topic!r} {fault}")
        unknown = sorted(
            set(_mapping(f"topics: {topic!r}", entry)) - {"qos", "retain"}, key=str
        )
        if unknown:
            raise ConfigError(
                f"topics: {topic!r} has qos and retain, not {unknown[0]!r}"
            )
        result[topic] = TopicDefaults(qos=entry.get("qos"), retain=entry.get("retain"))
    return result


def _will(will: Will | Mapping[str, Any] | None) -> Will | None:
    if will is None:
        return None
    known = [item.name for item in fields(Will)]
    if isinstance(will, Will):
        given = {name: getattr(will, name) for name in known}
    else:
        given = dict(_mapping("will", will))
        if "message" in given and "payload" not in given:
            # distmqtt's word for it.
            given["payload"] = given.pop("message")
    unknown = [str(name) for name in given if name not in known]
    if unknown:
        raise ConfigError(f"will: {_unknown(unknown[0], known)}")
    if not isinstance(given.get("topic"), str):
        raise ConfigError("will: it needs a topic")
    if (fault := name_fault(given["topic"])) is not None:
        raise ConfigError(f"will: the topic {given['topic']!r} {fault}")
    if given.get("qos", 0) not in (0, 1, 2):
        raise ConfigError(f"will: qos is 0, 1 or 2, not {given['qos']!r}")
    payload = given.pop("payload", b"")
    if isinstance(payload, str):
        payload = payload.encode()
    if not isinstance(payload, bytes | bytearray):
        raise ConfigError(f"will: the payload is text or bytes, not {_kind(payload)}")
    given["properties"] = _will_properties(given.get("properties"))
    return Will(payload=bytes(payload), **given)


def _will_properties(
    given: WillProperties | Mapping[str, Any] | None,
) -> WillProperties:
    try:
        if isinstance(given, WillProperties):
            pairs = pairs_of_text(given.user_properties)
            return replace(given, user_properties=pairs)
        return properties_of(WillProperties, _mapping("will: properties", given))
    except UsageError as exc:
        raise ConfigError(f"will: {exc}") from None
