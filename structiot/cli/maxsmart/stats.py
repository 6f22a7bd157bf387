"""`structiot maxsmart stats`: what `energy` was called at first."""

from __future__ import annotations

from typing import Any

import asyncclick as click

from structiot.cli.maxsmart.device import strip_command, try_anyway
from structiot.cli.maxsmart.energy import energy_options, show_energy
from structiot.maxsmart import MaxSmartStrip

__all__ = ["stats"]


@click.command(short_help="Show energy: the same as `energy`.")
@strip_command(try_anyway("statistics"))
@energy_options
async def stats(strip: MaxSmartStrip, **given: Any) -> None:  # noqa: ANN401 - values of options
    """Show what PORTs of the device at HOST used, as `energy` does."""
    await show_energy(strip, **given)
