"""`structiot sim senergy`: a SENERGY platform that is not there, with a console."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import printable
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    port_option,
    refuse_given,
)
from structiot.cli._common.output import members, show_json
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.standard_input import can_come
from structiot.cli._common.tables import show_table
from structiot.cli.sim.listing import SimulatorCommand
from structiot.cli.sim.platform_console import (
    Console,
    Words,
    device_types_of,
    platform_options,
    tls_context,
)
from structiot.sim import (
    SenergyCall,
    SenergyMessage,
    SenergySim,
    show_fault,
    sim_senergy,
)

__all__ = ["senergy"]

_HTTP_PORT: Final = 8094
_MQTT_PORT: Final = 1884
_LONGEST: Final = 2000


@click.command(
    cls=SimulatorCommand,
    faults=SenergySim.named_faults,
    short_help="Simulate the SENERGY platform, and give devices commands.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@port_option("--http-port", _HTTP_PORT, "Port of tokens and API; 0 takes a free one.")
@port_option("--mqtt-port", _MQTT_PORT, "Port of the broker; 0 takes a free one.")
@platform_options("STRUCTIOT_SIM_SENERGY_PASSWORD", "refuse@hubs*1` or `restart=10+60")
@json_option
@common_options
@click.pass_context
async def senergy(
    ctx: click.Context,
    /,
    *,
    types: tuple[str, ...],
    certfile: Path | None,
    keyfile: Path | None,
    fault_texts: tuple[str, ...],
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Simulate the SENERGY platform until Ctrl-C, a line for whatever a connector does.

    Type `DEVICE SERVICE [DATA [METADATA]]` to give a device a command, with quotes as in a
    shell: lamp-1 on '{"level": 5}'. `help` says what else can be typed.
    """
    configure_logging(ctx)
    faults = [SenergySim.named_faults.parse(text) for text in fault_texts]
    device_types = device_types_of(types)
    context = None
    if certfile is None:
        refuse_given(ctx, ("keyfile",), "goes with --certfile")
    else:
        context = await anyio.to_thread.run_sync(
            tls_context, certfile, keyfile, abandon_on_cancel=True
        )
    users = {given.pop("user"): given.pop("password")}

    async def serve() -> None:
        async with (
            sim_senergy(
                users, device_types=device_types, ssl_context=context, **given
            ) as platform,
            service_group() as tasks,
        ):
            with platform.following() as records:
                for fault in faults:
                    tasks.start_soon(show_fault, platform, fault)
                _show_place(platform, wants_json=wants_json)
                if can_come():
                    tasks.start_soon(Console(platform, tasks, _words(platform)).run)
                async for record in records:
                    _show(record, wants_json=wants_json)

    await run_until_stopped(serve)


def _show_place(platform: SenergySim, *, wants_json: bool) -> None:
    config = platform.config
    if wants_json:
        show_json({"event": "listening", **config})
        return
    # To be copied into a connector.conf.
    click.echo("[CONNECTOR]")
    for name, value in config.items():
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        click.echo(f"{name} = {shown}")


def _words(platform: SenergySim) -> Words:
    return {
        "devices": ("list devices", lambda: _show_devices(platform)),
        "hubs": ("list hubs", lambda: _show_hubs(platform)),
        "revoke": ("let no token be good any more", platform.revoke_tokens),
        "restart": ("be away for 3 seconds", platform.restart),
    }


def _show_devices(platform: SenergySim) -> None:
    online = platform.online
    show_table(
        ("local id", "name", "type", "attributes", "online"),
        [
            (
                one.local_id,
                one.name,
                one.device_type_id,
                " ".join(f"{tag['key']}:{tag['value']}" for tag in one.attributes),
                one.local_id in online,
            )
            for one in platform.devices.values()
        ],
    )


def _show_hubs(platform: SenergySim) -> None:
    connected = platform.broker.clients
    show_table(
        ("id", "name", "devices", "connected", "hash"),
        [
            (one.id, one.name, len(one.device_local_ids), one.id in connected, one.hash)
            for one in platform.hubs.values()
        ],
    )


def _show(record: SenergyCall | SenergyMessage, *, wants_json: bool) -> None:
    """Print what has come on a line of its own."""
    if wants_json:
        kind = "call" if isinstance(record, SenergyCall) else record.kind
        show_json({"event": kind, **members(record)})
        return
    text = printable(_text_of(record), most=_LONGEST)
    click.echo(f"{record.at_utc.astimezone():%H:%M:%S}  {text}")


def _text_of(record: SenergyCall | SenergyMessage) -> str:
    if isinstance(record, SenergyCall):
        return f"{record.method} {record.path}: {record.status}"
    parts = "  ".join(f"{name} {text}" for name, text in record.parts.items())
    return f"{record.kind} {record.topic}  {parts or record.text}"
