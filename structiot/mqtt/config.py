"""Settings of a client, with distmqtt's names and defaults."""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from structiot._kit.redact import Secret
from structiot.errors import ConfigError
from structiot.mqtt.codecs import CodecChoice
from structiot.mqtt.wire.flows.sending import MAX_PACKET_ID
from structiot.mqtt.wire.messages import Will

__all__ = ["MqttConfig", "Password", "ProtocolChoice", "TopicDefaults", "Username"]

ProtocolChoice = Literal["3.1.1", "5.0", "auto"]
# What a callable is asked for before every attempt; it may be sync or async.
Username: TypeAlias = str | Callable[[], str | Awaitable[str | None] | None] | None
Secretive: TypeAlias = str | bytes | Secret
Password: TypeAlias = (
    Secretive | Callable[[], Secretive | Awaitable[Secretive | None] | None] | None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDefaults:
    """QoS and retain of one exact topic, where a call names none."""

    qos: int | None = None
    retain: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig:
    """How a client behaves. Every field may stand in a plain dict as well.

    Attributes:
        uri: Broker address, if `open_mqttclient` is called without one.
        username: User name, if the address has none; a callable (sync or async) is
            asked before every attempt, so that tokens can be renewed.
        password: Password, if the address has none; a callable as well.
        protocol: `"3.1.1"`, `"5.0"`, or `"auto"`: 5.0 with brokers that speak it.
        keep_alive: Keep-alive announced to the broker, in seconds; 0 is off.
        ping_delay: How many seconds before its end an idle client pings.
        default_qos: QoS of `publish` when not given.
        default_retain: Retain flag of `publish` when not given.
        topics: QoS and retain by exact topic.
        auto_reconnect: Whether a lost connection is opened again.
        reconnect_retries: Attempts after the first before giving up; -1 is for ever.
        reconnect_max_interval: Longest wait between attempts, in seconds.
        cleansession: Whether the broker forgets us when we leave.
        session_expiry_s: How long the broker keeps the session after a connection
            has ended (5.0); by default while we reconnect, or for ever if the session
            is not clean.
        topic_alias_maximum: Topic aliases that the broker may use (5.0).
        user_properties: Names and values for the broker (5.0).
        codec: Default codec.
        codec_params: Parameters by codec name.
        will: What the broker publishes when we vanish.
        connect_s: Longest time for one whole attempt, in seconds.
        goodbye_s: Longest time for leaving, in seconds.
        max_packet_bytes: Longest packet taken from the broker.
        max_inflight: Own messages of QoS 1 and 2 under way at once.
        receive_maximum: Deliveries of QoS 1 and 2 that may wait to be taken.
        outbox_items: Own messages of QoS 1 and 2 that may wait to be sent.
        outbox_bytes: Bytes that these may hold.
        subscription_items: Messages that a subscription buffers.
        unclaimed_s: How long a broker that remembers us has to wait for the
            acknowledgement of messages to which we have not subscribed again yet.
        store: SQLite file in which messages of QoS 1 and 2 outlive the process; needs a
            client id and `cleansession` False.
        offline_qos0: What `publish` does with QoS 0 while there is no connection.
        cafile: File of accepted authorities; the system's if none is given.
        capath: Folder of accepted authorities.
        cadata: Accepted authorities themselves.
        certfile: Own certificate, if the broker wants one.
        keyfile: Key of the own certificate.
        check_hostname: False accepts a certificate for another name.
        alpn: Protocols to offer in TLS, such as `("mqtt",)`.
        ssl_context: TLS settings instead of all these.
        extra_headers: HTTP header fields of the websocket handshake.
    """

    uri: str | None = None
    username: Username = None
    password: Password = field(default=None, repr=False)
    protocol: ProtocolChoice = "auto"
    keep_alive: int = 10
    ping_delay: float = 1.0
    default_qos: int = 0
    default_retain: bool = False
    topics: Mapping[str, TopicDefaults] = field(default_factory=dict)
    auto_reconnect: bool = True
    reconnect_retries: int = 2
    reconnect_max_interval: float = 10.0
    cleansession: bool = True
    session_expiry_s: int | None = None
    topic_alias_maximum: int = 64
    user_properties: Sequence[tuple[str, str]] = ()
    codec: CodecChoice = "noop"
    codec_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    will: Will | None = None
    connect_s: float = 10.0
    goodbye_s: float = 2.0
    max_packet_bytes: int = 16 * 1024 * 1024
    max_inflight: int = 1000
    receive_maximum: int = MAX_PACKET_ID
    outbox_items: int = 10_000
    outbox_bytes: int = 16 * 1024 * 1024
    subscription_items: int = 10_000
    unclaimed_s: float = 10.0
    store: str | Path | None = None
    offline_qos0: Literal["wait", "drop", "raise"] = "wait"
    cafile: str | None = None
    capath: str | None = None
    cadata: str | bytes | None = None
    certfile: str | None = None
    keyfile: str | None = None
    check_hostname: bool = True
    alpn: Sequence[str] = ()
    ssl_context: ssl.SSLContext | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ConfigError("; ".join(problems))

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
        known = [item.name for item in fields(cls)]
        # distmqtt has a sub-dict for what belongs to the broker.
        values = {**(config.get("broker") or {}), **config}
        values.pop("broker", None)
        unknown = [str(name) for name in values if name not in known]
        if unknown:
            raise ConfigError("; ".join(_unknown(name, known) for name in unknown))
        values["topics"] = _topics(values.get("topics") or {})
        values["will"] = _will(values.get("will"))
        if not isinstance(values.get("codec_params") or {}, Mapping):
            raise ConfigError("codec_params is a mapping of codec names to parameters")
        values["codec_params"] = values.get("codec_params") or {}
        return cls(**values)

    def with_changes(self, **changes: Any) -> MqttConfig:  # noqa: ANN401 - any field
        """Copy the settings with some fields replaced."""
        return replace(self, **changes)


def _problems(config: MqttConfig) -> list[str]:
    checks = [
        (
            config.protocol in {"3.1.1", "5.0", "auto"},
            "protocol is '3.1.1', '5.0' or 'auto'",
        ),
        (
            config.store is None or not config.cleansession,
            "store needs cleansession False: a clean session has nothing to keep",
        ),
        (
            0 <= (config.session_expiry_s or 0) <= 0xFFFF_FFFF,
            "session_expiry_s is 0 to 4294967295 seconds",
        ),
        (
            0 <= config.topic_alias_maximum <= MAX_PACKET_ID,
            "topic_alias_maximum is 0 to 65535",
        ),
        (0 <= config.keep_alive <= 65_535, "keep_alive is 0 to 65535 seconds"),
        (config.ping_delay >= 0, "ping_delay is 0 or more seconds"),
        (config.default_qos in {0, 1, 2}, "default_qos is 0, 1 or 2"),
        (config.reconnect_retries >= -1, "reconnect_retries is -1 (for ever) or more"),
        (
            config.reconnect_max_interval > 0,
            "reconnect_max_interval is above 0 seconds",
        ),
        (config.connect_s > 0, "connect_s is above 0 seconds"),
        (config.goodbye_s >= 0, "goodbye_s is 0 or more seconds"),
        (1 <= config.max_inflight <= MAX_PACKET_ID, "max_inflight is 1 to 65535"),
        (1 <= config.receive_maximum <= MAX_PACKET_ID, "receive_maximum is 1 to 65535"),
        (config.max_packet_bytes >= 64, "max_packet_bytes is 64 or more"),
        (config.outbox_items >= 1, "outbox_items is 1 or more"),
        (config.outbox_bytes >= 1, "outbox_bytes is 1 or more"),
        (config.subscription_items >= 1, "subscription_items is 1 or more"),
        (
            config.offline_qos0 in {"wait", "drop", "raise"},
            "offline_qos0 is wait, drop or raise",
        ),
    ]
    return [text for is_fine, text in checks if not is_fine]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown MQTT setting {name!r}{hint}"


def _topics(topics: Mapping[str, Any]) -> dict[str, TopicDefaults]:
    result: dict[str, TopicDefaults] = {}
    for topic, entry in topics.items():
        if isinstance(entry, TopicDefaults):
            result[topic] = entry
            continue
        unknown = set(entry) - {"qos", "retain"}
        if unknown:
            raise ConfigError(
                f"topics: {topic!r} has qos and retain, not {min(unknown)!r}"
            )
        result[topic] = TopicDefaults(qos=entry.get("qos"), retain=entry.get("retain"))
    return result


def _will(will: Will | Mapping[str, Any] | None) -> Will | None:
    if will is None or isinstance(will, Will):
        return will
    known = ["topic", "message", "qos", "retain", "properties"]
    unknown = [str(name) for name in will if name not in known]
    if unknown:
        raise ConfigError(f"will: {_unknown(unknown[0], known)}")
    if "topic" not in will:
        raise ConfigError("will: it needs a topic")
    message = will.get("message", b"")
    values = {
        name: will[name]
        for name in ("topic", "qos", "retain", "properties")
        if name in will
    }
    return Will(
        payload=message.encode() if isinstance(message, str) else bytes(message),
        **values,
    )
