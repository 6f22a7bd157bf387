"""Statistics as a picture, by matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncclick as click

from structiot.cli.maxsmart.chart import label_of, summary
from structiot.maxsmart import StripStatistics

__all__ = ["check_plot", "write_plot"]

_SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH_INCHES = 9.0
_HEIGHT_INCHES = 3.2


def check_plot(
    _ctx: click.Context, _option: click.Parameter, path: str | None
) -> str | None:
    """Refuse what cannot be drawn before the device is asked for anything.

    Raises:
        click.UsageError: matplotlib is not installed, or draws no such files.
    """
    if path is None:
        return None
    if importlib.util.find_spec("matplotlib") is None:
        message = "--plot needs matplotlib; pip install 'structiot[plots]'"
        raise click.UsageError(message)
    if Path(path).suffix.lower() not in _SUFFIXES:
        message = f"--plot draws {', '.join(_SUFFIXES)} files, not {path!r}"
        raise click.UsageError(message)
    return path


def write_plot(
    path: str, device: str, series: Sequence[StripStatistics], titles: Mapping[int, str]
) -> None:
    """Draw a bar an hour, day or month; one chart a series.

    Raises:
        click.ClickException: The file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    # Not by pyplot, which would look for a display.
    figure = Figure(
        figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * len(series)), layout="constrained"
    )
    charts = figure.subplots(len(series), squeeze=False)
    for axes, one in zip(charts[:, 0], series, strict=True):
        labels = [label_of(point, one.period) for point in one.points]
        energies = [point.energy_wh or 0.0 for point in one.points]
        bars = axes.bar(range(len(labels)), energies)
        for drawn, point in zip(bars, one.points, strict=True):
            drawn.set_alpha(1.0 if point.is_complete else 0.5)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize="x-small")
        axes.set_ylabel("Wh")
        # A name is no formula, whatever is in it.
        axes.set_title(f"{device}, {titles[one.port]}", parse_math=False)
        axes.set_xlabel(summary(one), fontsize="small", parse_math=False)
    try:
        figure.savefig(path, dpi=120)
    except OSError as exc:
        message = f"cannot write {path}: {exc.strerror}"
        raise click.ClickException(message) from exc
