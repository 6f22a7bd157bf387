"""`structiot maxsmart on`, `off` and `state`: what is switched."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_table, state_of
from structiot.cli.maxsmart.device import strip_command
from structiot.cli.maxsmart.ports import port_numbers, ports_argument, ports_meant
from structiot.maxsmart import MaxSmartStrip

__all__ = ["state", "turn_off", "turn_on"]


@click.command("on", short_help="Turn ports on.")
@strip_command()
@ports_argument
async def turn_on(
    strip: MaxSmartStrip, ports: tuple[str | int, ...], *, wants_json: bool
) -> None:
    """Turn PORTs of the device at HOST on; without any, or 0, all ports.

    A PORT is a number, or a name as `structiot maxsmart state` shows it.
    """
    await _switch(strip, ports, is_on=True, wants_json=wants_json)


@click.command("off", short_help="Turn ports off.")
@strip_command()
@ports_argument
async def turn_off(
    strip: MaxSmartStrip, ports: tuple[str | int, ...], *, wants_json: bool
) -> None:
    """Turn PORTs of the device at HOST off; without any, or 0, all ports.

    A PORT is a number, or a name as `structiot maxsmart state` shows it.
    """
    await _switch(strip, ports, is_on=False, wants_json=wants_json)


async def _switch(
    strip: MaxSmartStrip, ports: tuple[str | int, ...], *, is_on: bool, wants_json: bool
) -> None:
    numbers, meant = port_numbers(strip, ports), ports_meant(strip, ports)
    # One command for all is quicker, and no port is left behind between two.
    for port in numbers if numbers and 0 not in numbers else [0]:
        await (strip.turn_on(port) if is_on else strip.turn_off(port))
    if wants_json:
        # It returned, so every port has been seen to be so.
        show_json(dict.fromkeys(meant, is_on))


@click.command(short_help="Say which ports are on.")
@strip_command()
@ports_argument
async def state(
    strip: MaxSmartStrip, ports: tuple[str | int, ...], *, wants_json: bool
) -> None:
    """Say whether PORTs of the device at HOST are on; without any, of all ports."""
    meant = ports_meant(strip, ports)
    known = await strip.check_state()
    names = strip.info.port_names
    states = {port: known[port - 1] for port in meant}
    if wants_json:
        show_json(states)
        return
    show_table(
        ("port", "name", "state"),
        [(port, names[port - 1], state_of(is_on)) for port, is_on in states.items()],
    )
