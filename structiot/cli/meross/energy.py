"""`structiot meross energy`: what a meter remembers, by hour and by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.chart import (
    EnergyBar,
    EnergyChart,
    energy_shown,
    show_charts,
)
from structiot.cli._common.csv_file import csv_option, write_csv
from structiot.cli._common.output import show_json
from structiot.cli._common.plot import plot_option, write_plot
from structiot.cli.meross.device import DeviceCommand, device_command, whole_device
from structiot.cli.meross.devices import metered, meters_of
from structiot.cli.meross.finding import AnyDevice
from structiot.cli.meross.switch import channel_of
from structiot.errors import UsageError
from structiot.meross import DailyEnergy, HourlyEnergy, MerossDevice

__all__ = ["energy"]

_COLUMNS = ("name", "start", "energy_wh", "is_complete")


@click.command(cls=DeviceCommand, short_help="Show energy by hour or day.")
@device_command()
@click.option(
    "--days/--hours",
    "by_day",
    default=True,
    help="The last 30 days, or, where the device remembers them, 24 hours.",
)
@click.option(
    "--channel",
    help="With --hours: whose of several meters, or its name.",
)
@click.option("--price", type=click.FloatRange(min=0), help="Price of a kWh.")
@csv_option
@plot_option
async def energy(
    device: AnyDevice,
    *,
    by_day: bool,
    channel: str | None,
    price: float | None,
    csv_path: str | None,
    plot_path: str | None,
    wants_json: bool,
) -> None:
    """Show what DEVICE used, as far back as it remembers.

    A day is one where the device is.
    """
    if by_day and channel is not None:
        raise UsageError("--channel goes with --hours: days are of the whole device")
    one = whole_device(device)
    points: Sequence[DailyEnergy | HourlyEnergy]
    if by_day:
        points = await one.daily_energy()
    else:
        points = await one.hourly_energy(await _meter_of(one, channel))
    total_wh = sum(point.energy_wh for point in points)
    cost = None if price is None else round(total_wh / 1000 * price, 4)
    bars = [_bar(one, point) for point in points]
    if csv_path is not None:
        starts = [_start(one, point).isoformat() for point in points]
        rows = [
            (one.info.name, start, bar.energy_wh, bar.is_complete)
            for start, bar in zip(starts, bars, strict=True)
        ]
        await write_csv(csv_path, _COLUMNS, rows)
    if plot_path is not None or not (wants_json or csv_path):
        chart = EnergyChart(
            title=one.info.name,
            column="day" if by_day else "hour",
            bars=bars,
            summary=_summary(total_wh if points else None, cost),
        )
        if plot_path is not None:
            await anyio.to_thread.run_sync(write_plot, plot_path, [chart])
        elif not wants_json:
            show_charts([chart])
    if wants_json:
        show_json(
            {
                "device": one.info.id,
                "period": "daily" if by_day else "hourly",
                "points": points,
                "energy_wh": total_wh,
                "price_per_kwh": price,
                "cost": cost,
            }
        )


async def _meter_of(device: MerossDevice, channel: str | None) -> int:
    """Give the channel of the meter that is meant.

    Raises:
        UsageError: There are several, or none like this.
    """
    number = 0 if channel is None else channel_of(device, channel)
    await metered([device])
    meters = meters_of(device)
    if meters and number not in meters:
        what = f"no meter {channel}" if channel else "several meters"
        known = ", ".join(map(str, meters))
        raise UsageError(
            f"{device.info.name} has {what}: say --channel, one of {known}"
        )
    return number


def _start(device: MerossDevice, point: DailyEnergy | HourlyEnergy) -> date:
    """Give the day, or the hour with the zone where the device is."""
    if isinstance(point, DailyEnergy):
        return point.date
    return point.at_utc.astimezone(device.about.zone)


def _bar(device: MerossDevice, point: DailyEnergy | HourlyEnergy) -> EnergyBar:
    start, zone = _start(device, point), device.about.zone
    if isinstance(start, datetime):
        label = start.strftime("%Y-%m-%d %H:%M")
        return EnergyBar(label=label, energy_wh=point.energy_wh)
    return EnergyBar(
        label=start.strftime("%a %Y-%m-%d"),
        energy_wh=point.energy_wh,
        is_complete=start < datetime.now(UTC).astimezone(zone).date(),
    )


def _summary(total_wh: float | None, cost: float | None) -> str:
    if total_wh is None:
        return "the device has no figures"
    text = f"{energy_shown(total_wh, total_wh)} in all"
    return text if cost is None else f"{text}, {cost:.2f} at that price"
