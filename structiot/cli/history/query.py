"""`structiot history query`: the course of figures and states, and energy by bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.chart import EnergyBar as Bar
from structiot.cli._common.chart import EnergyChart, show_charts
from structiot.cli._common.csv_file import csv_option, write_csv
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import members, show_json
from structiot.cli._common.plot import plot_option, write_courses, write_plot
from structiot.cli._common.tables import show_table
from structiot.cli.history.asking import (
    ask,
    chosen,
    file_option,
    history_of,
    range_of,
    range_options,
)
from structiot.gateway.history import EnergyHistory, RecordedSeries, Series
from structiot.gateway.history.bars import energy_between
from structiot.gateway.history.courses import series_between
from structiot.gateway.history.hours import House
from structiot.model.text import figure_text

__all__ = ["query"]

_COLUMNS = ("key", "time", "mean", "min", "max", "unit")
_BARS = ("key", "start", "end", "energy_wh", "known_s")
# What is smaller than that is nothing.
_PLACES = 7
_LABELS = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}


@click.command(short_help="Show what figures and states were, or energy.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@file_option
@range_options
@click.option(
    "--points",
    type=click.IntRange(1, 1000),
    default=24,
    help="Most points of each; how fine they are follows.",
)
@click.option(
    "--energy",
    "period",
    type=click.Choice(("hour", "day", "month")),
    help="Show energy by hour, day or month of the house instead.",
)
@csv_option
@plot_option
@json_option
@common_options
@click.pass_context
async def query(
    ctx: click.Context,
    path: str,
    *,
    keys: tuple[str, ...],
    file: Path | None,
    begin: datetime | None,
    end: datetime | None,
    last: timedelta | None,
    points: int,
    period: Any,  # noqa: ANN401 - one of the choices
    csv_path: str | None,
    plot_path: str | None,
    wants_json: bool,
) -> None:
    """Show the course of KEYs: the mean of each span of time, and between which it was.

    By default the last day, from the first value on. A time without a zone is the house's.
    Where nothing was heard is a dash; with --csv and --json each span of time has a line,
    empty or null.
    """
    configure_logging(ctx)
    history, house = await anyio.to_thread.run_sync(history_of, path, file)
    span = range_of(house, begin, end, last)

    def courses(connection: Any) -> list[tuple[RecordedSeries, Any]]:  # noqa: ANN401 - SQLite's
        found = chosen(connection, keys, span)
        if period is not None:
            return [
                (one.series, energy_between(connection, which, period, house))
                for which, one in found
                if one.series.kind == "energy" or one.series.unit in {"W", "kW"}
            ]
        return [
            (one.series, series_between(connection, which, points, house))
            for which, one in found
        ]

    answers = await anyio.to_thread.run_sync(ask, history, courses, [])
    show = _energy if period is not None else _courses
    await show(answers, house, csv_path, plot_path, wants_json=wants_json)


async def _courses(
    answers: Sequence[tuple[RecordedSeries, Series]],
    house: House,
    csv_path: str | None,
    plot_path: str | None,
    *,
    wants_json: bool,
) -> None:
    rows = [row for _, one in answers for row in _rows(one, house)]
    if csv_path is not None:
        await write_csv(csv_path, _COLUMNS, rows)
    if plot_path is not None:
        drawn = [(_title(series), one) for series, one in answers]
        await anyio.to_thread.run_sync(write_courses, plot_path, drawn)
    if wants_json:
        show_json([members(one) for _, one in answers])
    elif csv_path is None and plot_path is None:
        shown = [
            _shown(row, series.decimals)
            for series, one in answers
            for row in _without_gaps(list(_rows(one, house)))
        ]
        show_table(_COLUMNS[:5], shown)


def _rows(one: Series, house: House) -> Iterator[tuple[Any, ...]]:
    texts = one.texts or (None,) * len(one.t)
    for at, text, *figures in zip(
        one.t, texts, one.mean, one.min, one.max, strict=True
    ):
        mean, low, high = figures
        moment = house.local(int(at * 1000)).isoformat(timespec="seconds")
        yield one.key, moment, text if mean is None else mean, low, high, one.unit


def _without_gaps(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Begin at the first value, and give of each gap the beginning alone."""
    was_known = False
    for number, row in enumerate(rows):
        is_known = row[2] is not None
        if is_known or was_known:
            yield row
        was_known = is_known
        if number == len(rows) - 1 and not any(one[2] is not None for one in rows):
            yield rows[0]


def _shown(row: tuple[Any, ...], decimals: int | None) -> tuple[Any, ...]:
    key, moment, *figures, unit = row
    texts = (
        _figure(one, unit, decimals) if isinstance(one, float) else one
        for one in figures
    )
    return key, moment, *texts


def _figure(value: float, unit: str | None, decimals: int | None) -> str:
    """Write a figure, with so many decimals that it is not nothing where it is something."""
    text = figure_text(value, unit, decimals)
    if not value or text.partition(" ")[0].strip("-0.,"):
        return text
    places = -math.floor(math.log10(abs(value)))
    return f"{value:.{places}f} {unit or ''}".rstrip() if places < _PLACES else text


def _title(series: RecordedSeries) -> str:
    return f"{series.name}, {series.label}" if series.label else series.name


async def _energy(
    answers: Sequence[tuple[RecordedSeries, EnergyHistory]],
    house: House,
    csv_path: str | None,
    plot_path: str | None,
    *,
    wants_json: bool,
) -> None:
    if csv_path is not None:
        rows = [
            (
                one.key,
                bar.from_utc.isoformat(),
                bar.until_utc.isoformat(),
                bar.energy_wh,
                bar.known_s,
            )
            for _, one in answers
            for bar in one.bars
        ]
        await write_csv(csv_path, _BARS, rows)
    charts = [_chart(series, one, house) for series, one in answers]
    if plot_path is not None:
        await anyio.to_thread.run_sync(write_plot, plot_path, charts)
    if wants_json:
        show_json([members(one) for _, one in answers])
    elif csv_path is None and plot_path is None:
        show_charts(charts)


def _chart(series: RecordedSeries, one: EnergyHistory, house: House) -> EnergyChart:
    total = sum(bar.energy_wh or 0.0 for bar in one.bars)
    gap = sum(bar.energy_wh or 0.0 for bar in one.gaps)
    said = f"in all {figure_text(total, 'Wh')}"
    if gap:
        said += f", and {figure_text(gap, 'Wh')} while nothing was heard"
    bars = [
        Bar(
            label=bar.from_utc.astimezone(house.zone).strftime(_LABELS[one.period]),
            energy_wh=bar.energy_wh,
        )
        for bar in one.bars
    ]
    return EnergyChart(title=_title(series), column=one.period, bars=bars, summary=said)
