"""`structiot demo`: everything at once, with nothing but what is installed.

`house` says which devices there are, `systems` starts them, `broker` the gateway, the
broker that it serves them on and the page, and `view` shows what happens.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import anyio
import asyncclick as click
from anyio.abc import TaskStatus
from rich.console import Console
from rich.live import Live
from rich.text import Text

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.tables import logging_above
from structiot.cli.demo.broker import (
    DemoBroker,
    open_demo_gateway,
    open_demo_page,
)
from structiot.cli.demo.house import USUAL_DAY_S, USUAL_DEVICES, House
from structiot.cli.demo.systems import simulated_systems
from structiot.cli.demo.view import LiveTable, PlainLines, plain_line, switched
from structiot.gateway import Gateway, GatewayEvent

__all__ = ["demo"]

_REFRESH_S = 0.5
_FEWEST_DEVICES = 4
_MOST_DEVICES = 1000
# Titles, hints and blank lines around the rows of devices.
_FRAME_ROWS = 16
_FEWEST_ROWS = 12
# The same house each time.
_SEED = 14


@click.command(short_help="Show it all: a simulated house, gateway, broker and page.")
@click.option("--uri", help="Broker, such as mqtt://host:1883/; else one of its own.")
@click.option("--seconds", type=click.FloatRange(min=0), help="End after this time.")
@click.option(
    "--devices",
    type=click.IntRange(_FEWEST_DEVICES, _MOST_DEVICES),
    default=USUAL_DEVICES,
    show_default=True,
    help="How many devices there are in all, those on a hub and the account counted.",
)
@click.option(
    "--day-s",
    type=click.FloatRange(min=10, max=86_400),
    default=USUAL_DAY_S,
    show_default=True,
    help="How long a day in the house takes, in seconds.",
)
@common_options
@click.pass_context
async def demo(
    ctx: click.Context,
    uri: str | None,
    seconds: float | None,
    devices: int,
    day_s: float,
) -> None:
    """Simulate a house with devices of every system, and serve it on a broker and a page.

    The page is at port 8321 of this machine, and the broker, without --uri one of its
    own, at port 1883; if they are taken, at free ones. Ends on Ctrl-C, taking everything
    off the broker again.
    """
    configure_logging(ctx)
    house = House(devices=devices, day_s=day_s)

    async def show() -> None:
        with anyio.move_on_after(seconds):
            await _show(uri, house)

    await run_until_stopped(show)


async def _show(uri: str | None, house: House) -> None:
    over = anyio.Event()
    async with service_group() as tasks:
        try:
            sections = await tasks.start(_simulate, house, over, name="structiot.demo")
            await _serve(uri, house.sections(sections))
        finally:
            over.set()


async def _simulate(
    house: House, over: anyio.Event, *, task_status: TaskStatus[dict[str, Any]]
) -> None:
    """Simulate the house until all is over: whoever says goodbye to it finds it there."""
    environment = Environment(random=Random(_SEED))  # noqa: S311 - nothing secret
    with anyio.CancelScope(shield=True):
        async with simulated_systems(house, environment) as sections:
            task_status.started(sections)
            await over.wait()


async def _serve(uri: str | None, sections: Mapping[str, Any]) -> None:
    async with (
        anyio.TemporaryDirectory(prefix="structiot-demo-") as folder,
        open_demo_gateway(uri, sections, Path(folder) / "history.sqlite") as (
            gateway,
            broker,
        ),
        open_demo_page(gateway) as page,
        gateway.events() as events,
    ):
        hints = (f"the page:  {page}", *broker.hints)
        if sys.stdout.isatty():
            await _show_table(gateway, broker, hints, events)
            return
        for hint in hints:
            click.echo(hint)

        lines = PlainLines(click.echo)

        def tell(event: GatewayEvent) -> None:
            if (line := plain_line(event)) is not None:
                lines.tell(line)

        await _follow(gateway, broker, events, tell, lines.say_first)


async def _show_table(
    gateway: Gateway,
    broker: DemoBroker,
    hints: Iterable[str],
    events: AsyncIterator[GatewayEvent],
) -> None:
    console = Console()
    table = LiveTable(gateway)

    def say(hint: str) -> None:
        # Not broken into lines, so that it can be pasted.
        console.print(Text(hint, style="cyan"), soft_wrap=True)

    for hint in (*hints, "end it:    Ctrl-C"):
        say(hint)
    with logging_above(console), Live(console=console, auto_refresh=False) as live:
        async with service_group() as tasks:
            tasks.start_soon(
                _follow, gateway, broker, events, table.take, say, name="structiot.demo"
            )
            while True:
                most_rows = max(_FEWEST_ROWS, console.height - _FRAME_ROWS)
                live.update(table.drawn(most_rows), refresh=True)
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
