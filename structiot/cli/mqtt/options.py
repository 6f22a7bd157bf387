"""What all clients of a broker ask for on the command line, by mosquitto's names."""

from __future__ import annotations

import functools
import getpass
import logging
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlsplit

import asyncclick as click

from structiot.cli.options import BACKENDS, configure_logging
from structiot.mqtt import MqttClient, MqttConfig, Will, open_mqttclient
from structiot.mqtt.wire.uri import parse_uri

__all__ = ["TIMED_OUT", "Command", "Target", "broker_options", "quality", "topic_of"]

Command: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
F = TypeVar("F", bound=Callable[..., Any])

# What mosquitto_sub and mosquitto_rr end with when the time of -W is over.
TIMED_OUT = 27

_VERSIONS = {
    "auto": "auto",
    "5": "5.0",
    "5.0": "5.0",
    "mqttv5": "5.0",
    "311": "3.1.1",
    "3.1.1": "3.1.1",
    "mqttv311": "3.1.1",
}
_TLS_PORT = 8883


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which broker a command is for, and as whom.

    Attributes:
        uri: Address of the broker.
        client_id: Id to use; None for one made up.
        config: All other settings.
        topic: Topic that stands in the URL of `-L`.
        is_quiet: Whether errors are not to be printed.
    """

    uri: str
    client_id: str | None
    config: MqttConfig
    topic: str | None
    is_quiet: bool

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


quality: click.IntRange = click.IntRange(0, 2)

_OPTIONS = (
    click.option("-h", "--host", help="Host of the broker; localhost by default."),
    click.option("-p", "--port", type=click.IntRange(1, 65535), help="Its port."),
    click.option(
        "-L",
        "--url",
        help="mqtt(s)://[user[:password]@]host[:port]/topic, ws(s)://..., unix:///...",
    ),
    click.option("--unix", metavar="PATH", help="Socket of a broker on this machine."),
    click.option("-i", "--id", "client_id", help="Client id."),
    click.option("-I", "--id-prefix", help="Client id: this and the process id."),
    click.option("-u", "--username", help="User name."),
    click.option(
        "-P",
        "--pw",
        "password",
        envvar="STRUCTIOT_MQTT_PASSWORD",
        help="Password; better in $STRUCTIOT_MQTT_PASSWORD, or - to be asked for it.",
    ),
    click.option(
        "-V",
        "--protocol-version",
        "version",
        type=click.Choice(tuple(_VERSIONS)),
        default="auto",
        show_default=True,
        help="Version of MQTT; auto is 5.0 with brokers that speak it.",
    ),
    click.option(
        "-k",
        "--keepalive",
        type=click.IntRange(0, 65535),
        default=60,
        show_default=True,
        help="Seconds after which a silent connection is asked for a sign of life.",
    ),
    click.option(
        "-c",
        "--disable-clean-session",
        "is_lasting",
        is_flag=True,
        help="Have the broker keep the session when we leave; needs -i.",
    ),
    click.option(
        "-x",
        "--session-expiry-interval",
        "expiry_s",
        type=click.IntRange(-1, 0xFFFF_FFFF),
        help="Seconds that the session is kept (5.0); -1 is for ever.",
    ),
    click.option("--will-topic", help="What the broker publishes when we vanish."),
    click.option("--will-payload", default=""),
    click.option("--will-qos", type=quality, default=0),
    click.option("--will-retain", is_flag=True),
    click.option("--cafile", type=click.Path(), help="Accepted authorities (TLS)."),
    click.option("--capath", type=click.Path(), help="Folder of accepted authorities."),
    click.option("--cert", type=click.Path(), help="Own certificate."),
    click.option("--key", type=click.Path(), help="Key of the own certificate."),
    click.option(
        "--insecure", is_flag=True, help="Accept a certificate for another name."
    ),
    click.option(
        "--tls-use-os-certs", is_flag=True, help="TLS, by the system's authorities."
    ),
    click.option("--tls-alpn", help="Protocol to offer in TLS."),
    click.option(
        "--retries",
        type=click.IntRange(min=-1),
        help="Attempts to connect again before giving up; -1 is for ever.",
    ),
    click.option("-d", "--debug", "is_debug", is_flag=True, help="Say what happens."),
    click.option("--quiet", "is_quiet", is_flag=True, help="Do not even say errors."),
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        expose_value=False,
        help="Event loop; by default $STRUCTIOT_BACKEND, else asyncio.",
    ),
)


def broker_options(*, retries: int = 0) -> Callable[[Command], Command]:
    """Give a command the options of a connection, as one argument `target`.

    Args:
        retries: Attempts to connect again, if the user does not say.
    """

    def decorate(command: Command) -> Command:
        @click.pass_context
        @functools.wraps(command)
        async def with_target(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - values of options
            names = {option.name for option in ctx.command.params}
            own = {
                name: given.pop(name)
                for name in list(given)
                if name in names and name not in _NAMES
            }
            configure_logging(
                ctx, usual=logging.DEBUG if given["is_debug"] else logging.WARNING
            )
            if given["retries"] is None:
                given["retries"] = retries
            target = _target(**given)
            try:
                await command(target, **own)
            except click.ClickException:
                raise
            except Exception:
                if target.is_quiet:
                    raise SystemExit(1) from None
                raise

        for option in reversed(_OPTIONS):
            with_target = option(with_target)
        return with_target

    return decorate


def topic_of(target: Target, topic: str | None) -> str:
    """Give the topic of `-t`, or that of the URL.

    Raises:
        click.UsageError: There is neither.
    """
    chosen = topic or target.topic
    if not chosen:
        raise click.UsageError("a topic is needed: -t TOPIC, or at the end of -L")
    return chosen


def _target(
    *,
    host: str | None,
    port: int | None,
    url: str | None,
    unix: str | None,
    client_id: str | None,
    id_prefix: str | None,
    username: str | None,
    password: str | None,
    is_quiet: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> Target:
    if url and (host or port or unix):
        raise click.UsageError("-L names the broker; -h, -p and --unix do so, too")
    topic = None
    if url:
        uri, topic = _without_topic(url)
    elif unix:
        uri = f"unix://{quote(unix)}"
    else:
        uri = _uri(host or "localhost", port, is_tls=_wants_tls(port, given))
    if id_prefix and not client_id:
        client_id = f"{id_prefix}{os.getpid()}"
    if given["is_lasting"] and not client_id:
        raise click.UsageError("-c keeps a session under an id: give it by -i")
    if password == "-":  # noqa: S105 - no password, but the wish to be asked
        password = getpass.getpass()
    config = _config(username, password, given)
    return Target(
        uri=uri, client_id=client_id, config=config, topic=topic, is_quiet=is_quiet
    )


def _wants_tls(port: int | None, given: dict[str, Any]) -> bool:
    names = ("cafile", "capath", "cert", "tls_use_os_certs", "tls_alpn")
    return port == _TLS_PORT or any(given[name] for name in names)


def _uri(host: str, port: int | None, *, is_tls: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    end = "" if port is None else f":{port}"
    return f"{'mqtts' if is_tls else 'mqtt'}://{shown}{end}"


def _without_topic(url: str) -> tuple[str, str | None]:
    """Take the topic from a URL; the path of a websocket or a socket is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"}:
        return url, None
    return parts._replace(path="").geturl(), unquote(parts.path[1:]) or None


def _config(
    username: str | None, password: str | None, given: dict[str, Any]
) -> MqttConfig:
    is_lasting, expiry_s = given["is_lasting"], given["expiry_s"]
    if expiry_s == -1:
        expiry_s = 0xFFFF_FFFF
    will = None
    if given["will_topic"]:
        will = Will(
            topic=given["will_topic"],
            payload=given["will_payload"].encode(),
            qos=given["will_qos"],
            retain=given["will_retain"],
        )
    return MqttConfig.of(
        {
            "username": username,
            "password": password,
            "protocol": _VERSIONS[given["version"]],
            "keep_alive": given["keepalive"],
            "cleansession": not is_lasting,
            "session_expiry_s": expiry_s,
            "will": will,
            "cafile": given["cafile"],
            "capath": given["capath"],
            "certfile": given["cert"],
            "keyfile": given["key"],
            "check_hostname": not given["insecure"],
            "alpn": (given["tls_alpn"],) if given["tls_alpn"] else (),
            "reconnect_retries": given["retries"],
        }
    )


_NAMES = {
    "host",
    "port",
    "url",
    "unix",
    "client_id",
    "id_prefix",
    "username",
    "password",
    "version",
    "keepalive",
    "is_lasting",
    "expiry_s",
    "will_topic",
    "will_payload",
    "will_qos",
    "will_retain",
    "cafile",
    "capath",
    "cert",
    "key",
    "insecure",
    "tls_use_os_certs",
    "tls_alpn",
    "retries",
    "is_debug",
    "is_quiet",
}
