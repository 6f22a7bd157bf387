"""What all clients of a broker ask for on the command line, by mosquitto's names."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import asyncclick as click

from structiot.cli._common.broker_login import (
    URI_VARIABLE,
    cafile_option,
    password_option,
    username_option,
)
from structiot.cli._common.options import (
    Command,
    OptionGroup,
    backend_option,
    configure_logging,
)
from structiot.cli.mqtt.configured import add_configured
from structiot.cli.mqtt.properties import property_option
from structiot.cli.mqtt.target import VERSIONS, target_of

__all__ = ["TIMED_OUT", "broker_options", "quality"]

# What mosquitto_sub and mosquitto_rr end with when the time of -W is over.
TIMED_OUT = 27

quality: click.IntRange = click.IntRange(0, 2)

_OPTIONS = OptionGroup(
    click.option("-h", "--host", help="Host of the broker; localhost by default."),
    click.option("-p", "--port", type=click.IntRange(1, 65535), help="Its port."),
    click.option(
        "-L",
        "--url",
        "--uri",
        "url",
        envvar=URI_VARIABLE,
        show_envvar=True,
        help="Instead: mqtt(s)://[user[:password]@]host[:port]/topic, ws(s)://..., unix:///...",
    ),
    click.option(
        "--unix", type=click.Path(), help="Socket of a broker on this machine."
    ),
    click.option("-i", "--id", "client_id", help="Client id."),
    click.option("-I", "--id-prefix", help="Client id: this and the process id."),
    username_option,
    password_option,
    click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False),
        envvar="STRUCTIOT_MQTT_CONFIG",
        show_envvar=True,
        help="A gateway's structiot.toml: its broker, user, password and authorities.",
    ),
    click.option(
        "-V",
        "--protocol-version",
        "version",
        type=click.Choice(tuple(VERSIONS)),
        default="auto",
        help="Version of MQTT; auto is 5.0 with brokers that speak it.",
    ),
    click.option(
        "-k",
        "--keepalive",
        type=click.IntRange(0, 65535),
        default=60,
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
    cafile_option("--cafile"),
    click.option("--capath", type=click.Path(), help="Folder of accepted authorities."),
    click.option("--cert", "certfile", type=click.Path(), help="Own certificate."),
    click.option(
        "--key", "keyfile", type=click.Path(), help="Key of the own certificate."
    ),
    click.option(
        "--key-password",
        "keyfile_password",
        envvar="STRUCTIOT_MQTT_KEY_PASSWORD",
        show_envvar=True,
        help="Its passphrase; better in the variable.",
    ),
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
    backend_option,
)


def broker_options(
    *,
    retries: int | None = 0,
    publishes: bool = False,
    takes_topic: bool = True,
) -> Callable[[Command], Command]:
    """Give a command the options of a connection, as one argument `target`.

    Args:
        retries: Attempts to connect again, if the user does not say; None is for ever
            once there was a connection.
        publishes: Whether it sends messages, so that `-D publish` makes sense.
        takes_topic: Whether one may stand at the end of the address.
    """

    def decorate(command: Command) -> Command:
        @click.pass_context
        @functools.wraps(command)
        async def with_target(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - values of options
            values = _OPTIONS.take_from(given)
            usual = logging.DEBUG if values["is_debug"] else logging.WARNING
            configure_logging(ctx, usual=usual)
            await add_configured(ctx, values)
            if values["retries"] is None:
                values["retries"] = retries
            target = target_of(
                ctx, publishes=publishes, takes_topic=takes_topic, **values
            )
            try:
                await command(target, **given)
            except click.ClickException:
                raise
            except Exception:
                if target.is_quiet:
                    raise SystemExit(1) from None
                raise

        return _OPTIONS(with_target)

    return decorate
