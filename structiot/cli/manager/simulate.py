"""`structiot manager simulate`: `structiot sim manager`, where one looks for it."""

from __future__ import annotations

from typing import Any

import asyncclick as click

from structiot.cli.sim.manager import manager as simulator

__all__ = ["simulate"]


@click.command(params=simulator.params, short_help="Simulate devices that dial in.")
@click.pass_context
async def simulate(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - values of options
    """Simulate devices that dial in to a manager, as `structiot sim manager` does."""
    assert simulator.callback is not None  # noqa: S101 - it is a command
    await ctx.invoke(simulator.callback, **given)
