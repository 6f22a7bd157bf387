"""`structiot maxsmart watch`: readings as they come, and whether the device is there."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable

import anyio
import asyncclick as click
from rich.console import Console
from rich.live import Live

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.device_commands import DeviceTarget
from structiot.cli._common.following import follow
from structiot.cli._common.options import Decorator
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.tables import has_blocks, logging_above
from structiot.cli.maxsmart.device import by_port, strip_command
from structiot.cli.maxsmart.watch_view import Event, LiveTable, plain_line
from structiot.maxsmart import MaxSmartStrip
from structiot.model import Availability, DeviceEvent, Reading

__all__ = ["follow_changes", "watch"]

_REFRESH_S = 0.25


every_option: Decorator = click.option(
    "--every",
    "poll_s",
    type=click.FloatRange(0.5, 3600),
    default=5.0,
    help="Seconds between readings.",
)


@click.command(short_help="Show readings as they come.")
@strip_command(every_option, opens=False)
@click.option("--changes", is_flag=True, help="Only what changes, a line each.")
@click.option(
    "--min-power",
    "min_power_w",
    type=click.FloatRange(min=0),
    default=1.0,
    help="With --changes: power that differs by more than this, in watts.",
)
async def watch(
    target: DeviceTarget[MaxSmartStrip],
    *,
    changes: bool,
    min_power_w: float,
    wants_json: bool,
) -> None:
    """Show the readings of the device at HOST until Ctrl-C.

    On a terminal it is a live table, elsewhere a line a reading, by --json in JSON.
    A device that goes away is waited for; that it went and came back is shown.
    """

    async def show() -> None:
        async with target.open() as strip:
            if changes:
                tell = show_json if wants_json else _echo
                await follow_changes(strip, tell, min_power_w=min_power_w)
            elif wants_json:
                await follow(strip, _show_reading, show_json)
            elif sys.stdout.isatty():
                await _show_table(strip, target.options["poll_s"])
            else:
                await follow(strip, _echo, _echo)

    await run_until_stopped(show)


def _echo(event: Event) -> None:
    click.echo(plain_line(event))


def _show_reading(reading: Reading) -> None:
    show_json(by_port(reading))


async def _show_table(strip: MaxSmartStrip, poll_s: float) -> None:
    console = Console()
    table = LiveTable(strip, poll_s=poll_s, has_blocks=has_blocks(console))
    with logging_above(console), Live(console=console, auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                live.update(table.drawn(), refresh=True)
                await anyio.sleep(_REFRESH_S)

        async with service_group() as tasks:
            tasks.start_soon(draw, name="structiot.cli.maxsmart.watch draw")
            try:
                await follow(strip, table.take_reading, table.take_availability)
            finally:
                live.update(table.drawn(), refresh=True)


async def follow_changes(
    strip: MaxSmartStrip, tell: Callable[[Event], None], *, min_power_w: float
) -> None:
    """Tell every change, and when the device goes away and comes back."""

    async def tell_absence(events: AsyncIterator[DeviceEvent]) -> None:
        was_available = True
        async for event in events:
            if isinstance(event, Availability) and event.is_available != was_available:
                was_available = event.is_available
                tell(event)

    async with (
        strip.changes(min_power_w=min_power_w) as changes,
        strip.events() as events,
        service_group() as tasks,
    ):
        tasks.start_soon(tell_absence, events, name="structiot.cli.maxsmart.watch")
        async for change in changes:
            tell(change)
