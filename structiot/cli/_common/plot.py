"""Charts of energy as a picture, by matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import asyncclick as click

from structiot.cli._common.chart import EnergyChart
from structiot.cli._common.options import Decorator
from structiot.cli._common.output import say_at_terminal

__all__ = ["plot_option", "write_plot"]

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
    try:
        figure.savefig(path, dpi=120)
    except OSError as exc:
        message = f"cannot write {path}: {exc.strerror}"
        raise click.ClickException(message) from exc
    say_at_terminal(f"drawn into {path}")
