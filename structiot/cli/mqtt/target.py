"""Which broker a command is for, and as whom: the options of a connection put together."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import asyncclick as click

from structiot.cli._common.broker_login import login_of, trusted_by
from structiot.cli._common.options import is_given, refuse_given, spellings
from structiot.cli.mqtt.properties import properties_of
from structiot.mqtt import MqttClient, MqttConfig, Will, open_mqttclient
from structiot.mqtt.wire.properties import WillProperties
from structiot.mqtt.wire.uri import parse_uri

__all__ = ["VERSIONS", "Target", "target_of", "topic_of"]

VERSIONS = {
    "auto": "auto",
    "5": "5.0",
    "5.0": "5.0",
    "mqttv5": "5.0",
    "311": "3.1.1",
    "3.1.1": "3.1.1",
    "mqttv311": "3.1.1",
}
_TLS_PORT = 8883
_MEAN_TLS = ("cafile", "capath", "certfile", "tls_use_os_certs", "tls_alpn")
_FILES = ("cafile", "capath", "certfile", "keyfile", "keyfile_password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which broker a command is for, and as whom.

    Attributes:
        uri: Address of the broker.
        client_id: Id to use; None for one made up.
        config: All other settings.
        topic: Topic that stands in the URL of `-L`.
        message_properties: Fields of `PublishProperties` that `-D publish` asks for.
        is_quiet: Whether errors are not to be printed.
        base_topic: First level of the gateway's topics, where its configuration is named.
    """

    uri: str
    client_id: str | None
    config: MqttConfig
    topic: str | None
    is_quiet: bool
    message_properties: Mapping[str, Any] = field(default_factory=dict)
    base_topic: str | None = None

    @property
    def place(self) -> str:
        """The address without credentials."""
        return str(parse_uri(self.uri))

    @asynccontextmanager
    async def open(
        self,
        *,
        wait_connected: bool = True,
        **changes: Any,  # noqa: ANN401 - settings
    ) -> AsyncGenerator[MqttClient]:
        """Connect, with some settings changed."""
        async with open_mqttclient(
            self.uri,
            self.client_id,
            self.config.with_changes(**changes),
            wait_connected=wait_connected,
        ) as client:
            yield client


def topic_of(target: Target, topic: str | None) -> str:
    """Give the topic of `-t`, or that of the URL.

    Raises:
        click.UsageError: There is neither.
    """
    chosen = topic or target.topic
    if not chosen:
        instead = ", or at the end of -L"
        if parse_uri(target.uri).scheme in {"ws", "wss"}:
            instead = "; the path of a websocket's address is none"
        raise click.UsageError(f"a topic is needed: -t TOPIC{instead}")
    return chosen


def target_of(
    ctx: click.Context,
    *,
    host: str | None,
    port: int | None,
    url: str | None,
    unix: str | None,
    client_id: str | None,
    id_prefix: str | None,
    is_quiet: bool,
    publishes: bool,
    takes_topic: bool,
    properties: Sequence[tuple[str, str, str]],
    **given: Any,  # noqa: ANN401 - values of options
) -> Target:
    """Put the values of the options together.

    Raises:
        click.UsageError: They do not go together.
        ConfigError: The URL is none of a broker.
    """
    if url and (host or port or unix):
        if is_given(ctx, "url"):
            as_well = f"names the broker, as {spellings(ctx, 'url')} does: give one"
            refuse_given(ctx, ("host", "port", "unix"), as_well)
        url = None
    topic = None
    if url:
        uri, topic = _without_topic(url) if takes_topic else (url, None)
        # What is wrong with it goes before what might have stood at its end.
        _refuse_without_tls(ctx, parse_uri(uri).scheme)
    elif unix:
        uri = f"unix://{quote(unix)}"
    else:
        uri = _uri(host or "localhost", port, is_tls=_wants_tls(ctx, port, given))
    if id_prefix and not client_id:
        client_id = f"{id_prefix}{os.getpid()}"
    if given["is_lasting"] and not client_id:
        raise click.UsageError("-c keeps a session under an id: give it by -i")
    username, password = login_of(ctx, given, url)
    given["cafile"] = trusted_by(ctx, "cafile", given, uri)
    by_packet = properties_of(properties, publishes=publishes)
    return Target(
        uri=uri,
        client_id=client_id,
        config=_config(username, password, given, by_packet),
        topic=topic,
        is_quiet=is_quiet,
        base_topic=given["base_topic"],
        message_properties=by_packet["publish"],
    )


def _wants_tls(ctx: click.Context, port: int | None, given: dict[str, Any]) -> bool:
    if is_given(ctx, "cafile"):
        return True
    return port == _TLS_PORT or any(given[name] for name in _MEAN_TLS[1:])


def _refuse_without_tls(ctx: click.Context, scheme: str) -> None:
    """Refuse what asks for TLS beside an address without: a password would be read."""
    if scheme in {"mqtt", "ws"}:
        why = f"is for TLS: begin the address with {scheme}s://, not {scheme}://"
        refuse_given(ctx, _MEAN_TLS, why)


def _uri(host: str, port: int | None, *, is_tls: bool) -> str:
    if "://" in host:
        raise click.UsageError("-h takes a name or an IP address; give a URL by -L")
    name, colon, number = host.partition(":")
    if colon and number.isdecimal():
        raise click.UsageError(f"the port is given apart: -h {name} -p {number}")
    shown = f"[{host}]" if colon else host
    end = "" if port is None else f":{port}"
    return f"{'mqtts' if is_tls else 'mqtt'}://{shown}{end}"


def _without_topic(url: str) -> tuple[str, str | None]:
    """Take the topic from a URL; the path of a websocket or a socket is none.

    As for mosquitto_sub it is all that stands behind the host, as it stands there.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in {"mqtt", "mqtts"}:
        return url, None
    place, _, topic = rest.partition("/")
    return f"{scheme}://{place}", topic or None


def _config(
    username: str | None,
    password: str | None,
    given: dict[str, Any],
    properties: dict[str, dict[str, Any]],
) -> MqttConfig:
    is_lasting, expiry_s = given["is_lasting"], given["expiry_s"]
    if expiry_s == -1:
        expiry_s = 0xFFFF_FFFF
    if given["keyfile"] and not given["certfile"]:
        raise click.UsageError("--key goes with a certificate: --cert FILE")
    settings = dict(properties["connect"])
    if expiry_s is not None:
        settings["session_expiry_s"] = expiry_s
    if given["max_inflight"] is not None:
        settings["max_inflight"] = given["max_inflight"]
    if given["proxy"] is not None:
        # Ours always leaves it to the proxy to look up names, as the h asks for.
        settings["proxy"] = given["proxy"].replace("socks5h://", "socks5://", 1)
    return MqttConfig.of(
        {
            **settings,
            "username": username,
            "password": password,
            "protocol": VERSIONS[given["version"]],
            "keep_alive": given["keepalive"],
            "cleansession": not is_lasting,
            "will": _will(given, properties["will"]),
            **{name: given[name] for name in _FILES},
            "check_hostname": not given["insecure"],
            "alpn": (given["tls_alpn"],) if given["tls_alpn"] else (),
            "reconnect_retries": given["retries"],
        }
    )


def _will(given: dict[str, Any], properties: dict[str, Any]) -> Will | None:
    topic, payload = given["will_topic"], given["will_payload"]
    if topic:
        return Will(
            topic=topic,
            payload=(payload or "").encode(),
            qos=given["will_qos"] or 0,
            retain=given["will_retain"],
            properties=WillProperties(**properties),
        )
    is_meant = payload is not None or given["will_qos"] is not None
    if is_meant or given["will_retain"] or properties:
        raise click.UsageError("a will needs a topic: --will-topic TOPIC")
    return None
