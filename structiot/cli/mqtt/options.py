"""What all clients of a broker ask for on the command line, by mosquitto's names."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import asyncclick as click

from structiot.cli.mqtt.properties import property_option
from structiot.cli.mqtt.target import VERSIONS, target_of
from structiot.cli.options import BACKENDS, configure_logging

__all__ = ["TIMED_OUT", "Command", "broker_options", "quality"]

Command: TypeAlias = Callable[..., Coroutine[Any, Any, None]]

# What mosquitto_sub and mosquitto_rr end with when the time of -W is over.
TIMED_OUT = 27

quality: click.IntRange = click.IntRange(0, 2)

_OPTIONS = (
    click.option("-h", "--host", help="Host of the broker; localhost by default."),
    click.option("-p", "--port", type=click.IntRange(1, 65535), help="Its port."),
    click.option(
        "-L",
        "--url",
        help="mqtt(s)://[user[:password]@]host[:port]/topic, ws(s)://..., unix:///...",
    ),
    click.option(
        "--unix", type=click.Path(), help="Socket of a broker on this machine."
    ),
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
        type=click.Choice(tuple(VERSIONS)),
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
    click.option(
        "-M",
        "--max-inflight",
        type=click.IntRange(1, 65535),
        help="Own messages of QoS 1 and 2 that wait for their acknowledgement at once.",
    ),
    property_option,
    click.option("--will-topic", help="What the broker publishes when we vanish."),
    click.option("--will-payload", help="What it says; nothing by default."),
    click.option("--will-qos", type=quality),
    click.option("--will-retain", is_flag=True, help="Have the broker keep it."),
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
        "--proxy",
        metavar="URL",
        help="Connect through socks5h://[user[:password]@]host[:port] or http://...",
    ),
    # Ours never waits to fill a segment; scripts for mosquitto may say so.
    click.option("--nodelay", is_flag=True, hidden=True),
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


def broker_options(
    *, retries: int = 0, publishes: bool = False
) -> Callable[[Command], Command]:
    """Give a command the options of a connection, as one argument `target`.

    Args:
        retries: Attempts to connect again, if the user does not say.
        publishes: Whether it sends messages, so that `-D publish` makes sense.
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
            target = target_of(publishes=publishes, **given)
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
    "proxy",
    "nodelay",
    "max_inflight",
    "properties",
    "retries",
    "is_debug",
    "is_quiet",
}
