"""Charts of energy and courses as a picture, by matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click

from structiot.cli._common.chart import EnergyChart
from structiot.cli._common.options import Decorator
from structiot.cli._common.output import say_at_terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from structiot.gateway.history import Series

__all__ = ["plot_option", "write_courses", "write_plot"]

_SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH_INCHES = 9.0
_HEIGHT_INCHES = 3.2


def _check_plot(
    _ctx: click.Context, _option: click.Parameter, path: str | None
) -> str | None:
    """Refuse what cannot be drawn before the device is asked for anything."""
    if path is None:
        return None
    if importlib.util.find_spec("matplotlib") is None:
        message = "--plot needs matplotlib; pip install 'structiot[plots]'"
        raise click.UsageError(message)
    if Path(path).suffix.lower() not in _SUFFIXES:
        message = f"--plot draws {', '.join(_SUFFIXES)} files, not {path!r}"
        raise click.UsageError(message)
    return path


plot_option: Decorator = click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False),
    callback=_check_plot,
    help="Draw them into this file instead: .png, .svg, .pdf (extra `plots`).",
)


def write_plot(path: str, charts: Sequence[EnergyChart]) -> None:
    """Draw a bar an hour, day or month; one chart below the other.

    Raises:
        click.ClickException: The file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    # Not by pyplot, which would look for a display.
    figure = Figure(
        figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * len(charts)), layout="constrained"
    )
    drawn = figure.subplots(len(charts), squeeze=False)
    for axes, one in zip(drawn[:, 0], charts, strict=True):
        labels = [each.label for each in one.bars]
        energies = [each.energy_wh or 0.0 for each in one.bars]
        bars = axes.bar(range(len(labels)), energies)
        for each, known in zip(bars, one.bars, strict=True):
            each.set_alpha(1.0 if known.is_complete else 0.5)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize="x-small")
        axes.set_ylabel("Wh")
        # A name is no formula, whatever is in it.
        axes.set_title(one.title, parse_math=False)
        axes.set_xlabel(one.summary, fontsize="small", parse_math=False)
    _save(figure, path)


def write_courses(path: str, courses: Sequence[tuple[str, Series]]) -> None:
    """Draw courses over time, one below the other; what was not heard stays open.

    Raises:
        click.ClickException: The file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(
        figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * max(1, len(courses))),
        layout="constrained",
    )
    drawn = figure.subplots(max(1, len(courses)), squeeze=False)
    for axes, (title, one) in zip(drawn[:, 0], courses, strict=False):
        times = [datetime.fromtimestamp(at, UTC) for at in one.t]
        known = sorted({text for text in one.texts or () if text is not None})
        mean = [math.nan if value is None else value for value in one.mean]
        if one.texts is not None:
            mean = [math.nan if t is None else known.index(t) for t in one.texts]
            axes.set_yticks(range(len(known)), known)
        style = "steps-post" if one.is_step else "default"
        axes.plot(times, mean, drawstyle=style)
        if one.resolution_s and one.texts is None:
            low, high = (
                [math.nan if value is None else value for value in bounds]
                for bounds in (one.min, one.max)
            )
            axes.fill_between(times, low, high, alpha=0.2)
        axes.set_ylabel(one.unit or "")
        axes.set_title(title, parse_math=False)
        axes.tick_params(axis="x", labelsize="x-small", rotation=30)
    _save(figure, path)


def _save(figure: Figure, path: str) -> None:
    try:
        figure.savefig(path, dpi=120)
    except OSError as exc:
        message = f"cannot write {path}: {exc.strerror}"
        raise click.ClickException(message) from exc
    say_at_terminal(f"drawn into {path}")
