"""`structiot maxsmart power`: what is drawn at this moment."""

from __future__ import annotations

import asyncclick as click

from structiot.cli.maxsmart.device import (
    Where,
    device_command,
    ports_argument,
    ports_meant,
)
from structiot.cli.options import json_option
from structiot.cli.output import figure, show_json, show_table, state_of

__all__ = ["power"]


@click.command()
@device_command
@ports_argument
@json_option
async def power(where: Where, ports: tuple[int, ...], *, wants_json: bool) -> None:
    """Say what PORTs of the device at HOST draw; without any, what all ports do."""
    async with where.opened() as strip:
        meant = ports_meant(strip, ports)
        data = await strip.get_data()
        names = strip.info.port_names
    readings = [data.reading(port) for port in meant]
    if wants_json:
        show_json(readings)
        return
    rows: list[tuple[object, ...]] = [
        (
            reading.port,
            names[reading.port - 1],
            state_of(reading.is_on),
            figure(reading.power_w, "W"),
            figure(reading.current_a, "A", decimals=2),
        )
        for reading in readings
    ]
    if len(rows) > 1 and len(rows) == len(names):
        rows.append((None, "total", None, figure(data.total_power_w, "W"), None))
    show_table(("port", "name", "state", "power", "current"), rows)
