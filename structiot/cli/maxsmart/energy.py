"""`structiot maxsmart energy`: what ports used by hour, day and month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.chart import show_charts
from structiot.cli._common.csv_file import csv_option, write_csv
from structiot.cli._common.options import OptionGroup
from structiot.cli._common.output import members, show_json
from structiot.cli._common.plot import plot_option, write_plot
from structiot.cli.maxsmart.chart import chart_of
from structiot.cli.maxsmart.device import strip_command, try_anyway
from structiot.cli.maxsmart.ports import port_numbers, ports_argument
from structiot.maxsmart import MaxSmartStrip, StripStatistics
from structiot.maxsmart.statistics import PeriodName

__all__ = ["energy", "energy_options", "show_energy"]

_COLUMNS = ("port", "name", "start", "end", "energy_wh", "is_complete")


energy_options: OptionGroup = OptionGroup(
    ports_argument,
    click.option(
        "--period",
        type=click.Choice(("hourly", "daily", "monthly")),
        default="daily",
        help="The last 24 hours, 31 days or 12 months.",
    ),
    click.option(
        "--price",
        type=click.FloatRange(min=0),
        help="Price of a kWh; by default the one that is set in the device.",
    ),
    csv_option,
    plot_option,
)


@click.command(short_help="Show energy by hour, day, month.")
@strip_command(try_anyway("statistics"))
@energy_options
async def energy(strip: MaxSmartStrip, **given: Any) -> None:  # noqa: ANN401 - values of options
    """Show what PORTs of the device at HOST used; without any, all of them together.

    Hours, days and months are those of the device's own clock.
    """
    await show_energy(strip, **given)


async def show_energy(
    strip: MaxSmartStrip,
    ports: tuple[str | int, ...],
    *,
    period: PeriodName,
    price: float | None,
    csv_path: str | None,
    plot_path: str | None,
    wants_json: bool,
) -> None:
    """Print, draw or write down what ports used."""
    # Here 0 is not each of them but their sum.
    chosen = port_numbers(strip, ports) or [0]
    series = [await strip.get_statistics(port, period) for port in chosen]
    device, names = strip.info.name, ("all ports", *strip.info.port_names)
    if price is not None:
        series = [replace(one, price_per_kwh=price) for one in series]
    titles = {one.port: names[one.port] for one in series}
    if csv_path is not None:
        await write_csv(csv_path, _COLUMNS, _rows(series, titles))
    charts = [chart_of(f"{device}, {titles[one.port]}", one) for one in series]
    if plot_path is not None:
        await anyio.to_thread.run_sync(write_plot, plot_path, charts)
    if wants_json:
        show_json([_shape(one) for one in series])
    elif csv_path is None and plot_path is None:
        show_charts(charts)


def _shape(series: StripStatistics) -> dict[str, object]:
    return {**members(series), "energy_wh": series.energy_wh, "cost": series.cost}


def _rows(
    series: Sequence[StripStatistics], titles: dict[int, str]
) -> Iterator[tuple[object, ...]]:
    for one in series:
        for point in one.points:
            span = point.start.isoformat(), point.end.isoformat()
            name = titles[one.port]
            yield one.port, name, *span, point.energy_wh, point.is_complete
