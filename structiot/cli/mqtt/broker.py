"""`structiot mqtt broker`: the embedded broker as a program."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import anyio
import asyncclick as click

from structiot._kit.net.tls import server_context
from structiot._kit.text import printable
from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import allow_open_files, run_until_stopped
from structiot.errors import ConfigError
from structiot.mqtt.broker import BrokerLimits, BrokerServer, open_broker

__all__ = ["broker"]


_log = logging.getLogger(__name__)

_OTHER_FILES = 64
_path = click.Path(path_type=Path)
# What arguments of `open_broker` are called here.
_OPTIONS = {
    "ssl_context= with a certificate": "--certfile and --keyfile",
}


@click.command(short_help="Run a broker.")
@click.option(
    "-l",
    "--listen",
    multiple=True,
    metavar="URI",
    help="mqtt://, mqtts://, ws:// or wss://HOST:PORT; several may be given.",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    help="Port on 127.0.0.1; 0 is a free one.",
)
@click.option(
    "--password-file",
    type=_path,
    help="Who may connect; see passwd. One of mosquitto_passwd will do.",
)
@click.option(
    "--permissions",
    "--acl-file",
    type=_path,
    help="Who may use which topics: [[permission]] tables with user, publish and "
    "subscribe (TOML), or an ACL file of Mosquitto.",
)
@click.option(
    "--allow-anonymous", is_flag=True, help="On this machine no name is needed."
)
@click.option("--certfile", type=_path, help="Certificate for mqtts and wss.")
@click.option("--keyfile", type=_path, help="Its key.")
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Web page that may connect, such as https://house.example; * is all.",
)
@click.option(
    "--keyfile-password",
    envvar="STRUCTIOT_MQTT_KEY_PASSWORD",
    help="The key's passphrase; better in $STRUCTIOT_MQTT_KEY_PASSWORD.",
)
@click.option("--store", type=_path, help="Keep sessions and retained messages here.")
@click.option("--max-connections", type=click.IntRange(min=1))
@click.option("--max-packet-bytes", type=click.IntRange(min=64))
@click.option("--max-payload-bytes", type=click.IntRange(min=1))
@click.option("--maximum-qos", type=click.IntRange(0, 2), help="Highest QoS taken.")
@click.option("--no-retain", is_flag=True, help="Retain no messages.")
@click.option("--max-queued", type=click.IntRange(min=1), help="For one client.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any limit or rule of the reference page, such as stall_s=5; may be repeated.",
)
@click.option(
    "--sys-interval",
    type=click.FloatRange(min=0),
    default=10.0,
    help="Seconds between reports on $SYS; 0 for none.",
)
@click.option("--json", "wants_json", is_flag=True, help="Print the addresses as JSON.")
@common_options
@click.pass_context
async def broker(
    ctx: click.Context,
    /,
    *,
    listen: tuple[str, ...],
    port: int | None,
    sys_interval: float,
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Run an MQTT broker (3.1.1 and 5.0) until Ctrl-C.

    Without a password file it serves this machine alone. It says who is refused, and
    why; with -v, who comes and goes, too. SIGHUP has passwords and permissions read
    again; a file with a mistake changes nothing.
    """
    configure_logging(ctx, usual=logging.INFO)
    if not ctx.meta.get("structiot.verbosity"):
        logging.getLogger("structiot.mqtt.broker").setLevel(logging.INFO)
    if port is not None:
        listen = (*listen, f"mqtt://127.0.0.1:{port}")
    settings = await anyio.to_thread.run_sync(_settings, given, abandon_on_cancel=True)
    allow_open_files(settings["limits"].connections + _OTHER_FILES)

    opened: list[BrokerServer] = []
    is_open = anyio.Event()

    async def serve() -> None:
        async with _opened(listen, sys_interval, settings) as server:
            opened.append(server)
            is_open.set()
            if wants_json:
                show_json({"uris": server.uris})
            else:
                for uri in server.uris:
                    click.echo(f"listening at {uri}")
            await anyio.sleep_forever()

    async def reload() -> None:
        await is_open.wait()
        await _reload(opened[0])

    await run_until_stopped(serve, reload)


async def _reload(server: BrokerServer) -> None:
    try:
        await server.reload()
    except ConfigError as exc:
        _log.error("%s; all goes on as it was", printable(str(exc)))
    else:
        _log.info("passwords and permissions were read again")


@asynccontextmanager
async def _opened(
    listen: tuple[str, ...], sys_interval: float, settings: dict[str, Any]
) -> AsyncGenerator[BrokerServer]:
    try:
        async with open_broker(
            *listen, sys_interval_s=sys_interval or None, **settings
        ) as server:
            yield server
    except ConfigError as exc:
        text = str(exc)
        for argument, option in _OPTIONS.items():
            text = text.replace(argument, option)
        raise ConfigError(text) from exc


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    certfile = given["certfile"]
    limits = dict(map(_limit, given["limits"]))
    for option, name in (
        ("max_connections", "connections"),
        ("max_packet_bytes", "packet_bytes"),
        ("max_payload_bytes", "payload_bytes"),
        ("maximum_qos", "maximum_qos"),
        ("max_queued", "queued"),
    ):
        if given[option] is not None:
            limits[name] = given[option]
    if given["no_retain"]:
        limits["retain_available"] = False
    return {
        "passwords": given["password_file"],
        "permissions": given["permissions"] or (),
        "allows_anonymous": True if given["allow_anonymous"] else None,
        "limits": BrokerLimits(**limits),
        "ssl_context": None
        if certfile is None
        else server_context(
            certfile=certfile,
            keyfile=given["keyfile"],
            keyfile_password=given["keyfile_password"],
        ),
        "allowed_origins": given["origins"],
        "store": given["store"],
    }


def _limit(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    usual: dict[str, Any] = {one.name: one.default for one in fields(BrokerLimits)}
    if name not in usual:
        raise ConfigError(f"no limit is called {name!r}; there are {', '.join(usual)}")
    try:
        if isinstance(usual[name], bool):
            return name, {"true": True, "false": False}[value.lower()]
        return name, type(usual[name])(value)
    except (KeyError, ValueError):
        raise ConfigError(f"{value!r} is no value of the limit {name}") from None
