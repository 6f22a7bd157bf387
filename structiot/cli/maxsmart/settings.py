"""`structiot maxsmart rename` and `clock`: what is set in a device."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncclick as click

from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_pairs
from structiot.cli.maxsmart.device import strip_command, try_anyway
from structiot.cli.maxsmart.ports import one_port, port_numbers
from structiot.maxsmart import MaxSmartStrip

__all__ = ["clock", "rename"]


@click.command(short_help="Name a port or a device.")
@strip_command(try_anyway("rename"))
@one_port
@click.argument("name")
async def rename(
    strip: MaxSmartStrip, port: str | int, name: str, *, wants_json: bool
) -> None:
    """Call PORT of the device at HOST by NAME; port 0 is the device itself."""
    (number,) = port_numbers(strip, [port])
    shown = await strip.change_port_name(number, name)
    if wants_json:
        show_json({"port": number, "name": shown})
    elif shown != name:
        click.echo(f"the device made {shown!r} of it", err=True)


@click.command(short_help="Show or set a clock.")
@strip_command(try_anyway("clock"))
@click.option("--set", "sets", is_flag=True, help="Set it to this machine's time.")
async def clock(strip: MaxSmartStrip, *, sets: bool, wants_json: bool) -> None:
    """Show the clock of the device at HOST, by which it sorts its statistics.

    Most devices are set right by merely being found: the question who they are holds
    the time, and every command asks it.
    """
    ask = strip.set_device_time if sets else strip.get_device_time
    device_time = await ask()
    now = datetime.now(UTC).astimezone()
    offset_s = None
    if device_time is not None:
        offset_s = round((device_time - now.replace(tzinfo=None)).total_seconds(), 1)
    if wants_json:
        times = {"device_time": device_time, "local_time": now, "offset_s": offset_s}
        show_json(times)
        return
    show_pairs(
        {
            "device": device_time or "set; it does not tell its time",
            "this machine": now.strftime("%Y-%m-%d %H:%M:%S"),
            "difference": _difference(offset_s),
        }
    )


def _difference(offset_s: float | None) -> str | None:
    if offset_s is None:
        return None
    # The device tells whole seconds, and the answer takes a moment.
    if abs(offset_s) < 2:
        return "none"
    return f"{abs(offset_s):.0f} s {'fast' if offset_s > 0 else 'slow'}"
