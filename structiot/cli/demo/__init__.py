"""`structiot demo`: everything at once, with nothing but this package."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import asyncclick as click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.output import logging_above
from structiot.cli._common.signals import run_until_stopped
from structiot.cli.demo.broker import HOST, USUAL_PORT, DemoBroker
from structiot.cli.demo.view import plain_line, table_of
from structiot.errors import ConnectFailed
from structiot.gateway import (
    Gateway,
    GatewayConfig,
    GatewayEvent,
    load_config,
    open_gateway,
)
from structiot.sim import MaxSmartSim, sim_maxsmart

__all__ = ["demo"]

NAMES = ("Kitchen", "Workshop", "Office", "Garage", "Cellar", "Attic")
FAMILIES = ("mh_strip_130", "mh_strip_211")
_REFRESH_S = 0.5
_POLL_S = 1.0


@click.command(short_help="Show it all: simulated strips, gateway, broker.")
@click.option("--uri", help="Broker, such as mqtt://host:1883/; else one of its own.")
@click.option("--seconds", type=click.FloatRange(min=0), help="End after this time.")
@click.option(
    "--strips",
    type=click.IntRange(1, len(NAMES)),
    default=2,
    show_default=True,
    help="How many simulated strips.",
)
@common_options
@click.pass_context
async def demo(
    ctx: click.Context, uri: str | None, seconds: float | None, strips: int
) -> None:
    """Simulate power strips and serve them on a broker, with live values.

    Without --uri it runs a broker of its own on this machine, at port 1883 or, if that
    is taken, at a free one. Ends on Ctrl-C, taking everything off the broker again.
    """
    configure_logging(ctx)

    async def show() -> None:
        with anyio.move_on_after(seconds):
            await _show(uri, strips)

    await run_until_stopped(show)


async def _show(uri: str | None, strips: int) -> None:
    async with AsyncExitStack() as stack:
        sims = [
            await stack.enter_async_context(
                sim_maxsmart(
                    HOST,
                    family=FAMILIES[index % len(FAMILIES)],
                    name=NAMES[index],
                    http_port=0,
                    udp_port=0,
                    seed=index,
                )
            )
            for index in range(strips)
        ]
        gateway, broker = await _opened(stack, uri, sims)
        events = await stack.enter_async_context(gateway.events())
        if sys.stdout.isatty():
            await _show_table(gateway, broker)
        else:
            await _print_lines(events, broker)


async def _opened(
    stack: AsyncExitStack, uri: str | None, sims: list[MaxSmartSim]
) -> tuple[Gateway, DemoBroker]:
    """Open the gateway on the broker that is named, or on one of its own."""
    if uri is not None:
        config = _config(sims, mqtt={"uri": uri})
        gateway = await stack.enter_async_context(open_gateway(config))
        return gateway, DemoBroker(uri=uri, origin="as you named it")
    origin = "started for this demonstration"
    try:
        gateway = await stack.enter_async_context(
            open_gateway(_config(sims, broker=_listening_at(USUAL_PORT)))
        )
    except ConnectFailed:
        origin += f"; port {USUAL_PORT} is taken"
        gateway = await stack.enter_async_context(
            open_gateway(_config(sims, broker=_listening_at(0)))
        )
    assert gateway.broker is not None  # noqa: S101 - no other is named
    return gateway, DemoBroker(uri=gateway.broker.uri, origin=origin)


def _listening_at(port: int) -> dict[str, list[str]]:
    return {"listen": [f"mqtt://{HOST}:{port}"]}


def _config(sims: list[MaxSmartSim], **sections: object) -> GatewayConfig:
    return load_config(
        {
            **sections,
            "gateway": {"id": "demo", "forget_on_exit": True},
            "maxsmart": {
                "discover": False,
                "poll_s": _POLL_S,
                "devices": [
                    {
                        "host": sim.host,
                        "name": sim.name,
                        "http_port": sim.http_port,
                        "udp_port": sim.udp_port,
                    }
                    for sim in sims
                ],
            },
        }
    )


def _hints(broker: DemoBroker) -> list[str]:
    options = broker.options
    program = _this_program()
    return [
        f"broker at {broker.host}:{broker.port}, {broker.origin}",
        f"watch it:  {program} mqtt sub {options}-v -t 'structiot/#' -t 'homeassistant/#'",
        f"switch it: {program} mqtt pub {options}-t structiot/kitchen/port_1/set -m OFF",
    ]


def _this_program() -> str:
    """Say how this program is called, so that a line can be pasted."""
    called = Path(sys.argv[0])
    if called.name != "structiot":
        return "python -m structiot"
    is_found = any(Path(folder) == called.parent for folder in os.get_exec_path())
    return called.name if is_found else str(called)


async def _show_table(gateway: Gateway, broker: DemoBroker) -> None:
    console = Console()
    for hint in (*_hints(broker), "end it:    Ctrl-C", ""):
        # Not broken into lines, so that it can be pasted.
        console.print(Text(hint, style="cyan"), soft_wrap=True)
    with logging_above(console), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(table_of(gateway), refresh=True)
            await anyio.sleep(_REFRESH_S)


async def _print_lines(events: AsyncIterator[GatewayEvent], broker: DemoBroker) -> None:
    for hint in _hints(broker):
        click.echo(hint)
    async for event in events:
        if (line := plain_line(event)) is not None:
            click.echo(line)
