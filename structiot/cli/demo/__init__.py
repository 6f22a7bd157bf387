"""`structiot demo`: everything at once, with nothing but what is installed.

`systems` starts the simulated devices, `broker` the gateway and the broker that it
serves them on, and `view` shows what happens.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable

import anyio
import asyncclick as click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.tables import logging_above
from structiot.cli.demo.broker import DemoBroker, open_demo_gateway
from structiot.cli.demo.systems import simulated_systems
from structiot.cli.demo.view import LiveTable, plain_line, switched
from structiot.gateway import Gateway, GatewayEvent

__all__ = ["demo"]

_REFRESH_S = 0.5
_MOST_DEVICES = 6


@click.command(short_help="Show it all: simulated devices, gateway, broker.")
@click.option("--uri", help="Broker, such as mqtt://host:1883/; else one of its own.")
@click.option("--seconds", type=click.FloatRange(min=0), help="End after this time.")
@click.option(
    "--devices",
    "--strips",
    "count",
    type=click.IntRange(1, _MOST_DEVICES),
    help="How many simulated devices of each system; by default as it thinks fit.",
)
@common_options
@click.pass_context
async def demo(
    ctx: click.Context, uri: str | None, seconds: float | None, count: int | None
) -> None:
    """Simulate devices of every system and serve them on a broker, with live values.

    Without --uri it runs a broker of its own on this machine, at port 1883 or, if that
    is taken, at a free one. Ends on Ctrl-C, taking everything off the broker again.
    """
    configure_logging(ctx)

    async def show() -> None:
        with anyio.move_on_after(seconds):
            await _show(uri, count)

    await run_until_stopped(show)


async def _show(uri: str | None, count: int | None) -> None:
    async with (
        simulated_systems(count) as sections,
        open_demo_gateway(uri, sections) as (gateway, broker),
        gateway.events() as events,
    ):
        if sys.stdout.isatty():
            await _show_table(gateway, broker, events)
            return
        for hint in broker.hints:
            click.echo(hint)

        def tell(event: GatewayEvent) -> None:
            if (line := plain_line(event)) is not None:
                click.echo(line)

        await _follow(gateway, broker, events, tell, click.echo)


async def _show_table(
    gateway: Gateway, broker: DemoBroker, events: AsyncIterator[GatewayEvent]
) -> None:
    console = Console()
    table = LiveTable(gateway)

    def say(hint: str) -> None:
        # Not broken into lines, so that it can be pasted.
        console.print(Text(hint, style="cyan"), soft_wrap=True)

    for hint in (*broker.hints, "end it:    Ctrl-C"):
        say(hint)
    with logging_above(console), Live(console=console, auto_refresh=False) as live:
        async with service_group() as tasks:
            tasks.start_soon(
                _follow, gateway, broker, events, table.take, say, name="structiot.demo"
            )
            while True:
                live.update(table.drawn(), refresh=True)
                await anyio.sleep(_REFRESH_S)


async def _follow(
    gateway: Gateway,
    broker: DemoBroker,
    events: AsyncIterator[GatewayEvent],
    take: Callable[[GatewayEvent], None],
    say: Callable[[str], None],
) -> None:
    """Hand on what happens; say once how the first thing that can be is switched."""
    is_said = False
    async for event in events:
        take(event)
        if not is_said and (found := switched(gateway, event)):
            is_said = True
            device, key, is_on = found
            say(broker.switch_hint(device, key, is_on=is_on))
