"""`structiot top`: what a running gateway's devices draw, from its topics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import asyncclick as click

from structiot.cli._common.options import json_option
from structiot.cli._common.signals import run_until_stopped
from structiot.cli.mqtt.options import broker_options
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target

if TYPE_CHECKING:
    from structiot.cli.top.house import House

__all__ = ["top"]

_GIVE_UP_S = 3.0
_QUIET_S = 0.3


@click.command(cls=PropertyCommand, short_help="Show what a gateway's devices draw.")
@click.option(
    "--base-topic",
    help="First level of the gateway's topics; by default that of --config, else structiot.",
)
@click.option(
    "--sort",
    type=click.Choice(("power", "name")),
    default="power",
    help="What comes first.",
)
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    help="Seconds between two pictures.",
)
@json_option
@broker_options(takes_topic=False, retries=None)
async def top(
    target: Target,
    *,
    base_topic: str | None,
    sort: str,
    once: bool,
    every_s: float,
    wants_json: bool,
) -> None:
    """Show the devices of a running gateway: power, states, which are away or stale.

    It reads the gateway's topics on its broker, so it may run on any machine that
    reaches that. On a terminal it is a live table: q ends it, s sorts it otherwise.
    Elsewhere it is a table, by --json a line of JSON, every so often. Of one that does
    not run any more the last is shown, as old.
    """
    # What draws tables is loaded where there are some.
    from structiot.cli.top.house import House  # noqa: PLC0415
    from structiot.cli.top.screen import follow, show_lines, show_live  # noqa: PLC0415

    house = House(base_topic or target.base_topic or "structiot", target.place)

    async def show() -> None:
        async with target.open() as client, follow(client, house):
            await _settled(house)
            if once:
                show_lines(house, sort, wants_json=wants_json)
            elif sys.stdout.isatty() and not wants_json:
                await show_live(house, sort, every_s)
            else:
                while True:
                    show_lines(house, sort, wants_json=wants_json)
                    await anyio.sleep(every_s)

    await run_until_stopped(show)


async def _settled(house: House) -> None:
    """Wait for what the broker has retained.

    Raises:
        click.ClickException: There is nothing.
    """
    with anyio.move_on_after(_GIVE_UP_S):
        seen = -1
        while not house.is_whole or seen != house.heard:
            seen = house.heard
            await anyio.sleep(_QUIET_S)
    if not house.is_known:
        message = (
            f"no gateway has its topics below {house.base!r} at {house.place}; "
            "--base-topic names others"
        )
        raise click.ClickException(message)
