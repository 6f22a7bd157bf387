"""`structiot maxsmart power`: what is drawn at this moment."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.output import figure, show_json
from structiot.cli._common.tables import show_table, state_of
from structiot.cli.maxsmart.device import by_port, strip_command
from structiot.cli.maxsmart.ports import ports_argument, ports_meant
from structiot.maxsmart import MaxSmartStrip

__all__ = ["power"]


@click.command(short_help="Say what ports draw.")
@strip_command()
@ports_argument
async def power(
    strip: MaxSmartStrip, ports: tuple[str | int, ...], *, wants_json: bool
) -> None:
    """Say what PORTs of the device at HOST draw; without any, what all ports do."""
    meant = ports_meant(strip, ports)
    data = await strip.get_data()
    names = strip.info.port_names
    readings = [data.reading(port) for port in meant]
    if wants_json:
        show_json([by_port(reading) for reading in readings])
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
