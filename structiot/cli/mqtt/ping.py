"""`structiot mqtt ping`: is the broker there, and how far away."""

from __future__ import annotations

import statistics
from time import perf_counter

import anyio
import asyncclick as click

from structiot.cli._common.options import json_option
from structiot.cli._common.output import show_json
from structiot.cli.mqtt.options import TIMED_OUT, broker_options
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target

__all__ = ["ping"]


@click.command(cls=PropertyCommand, short_help="Measure a round trip.")
@click.option("-C", "--count", type=click.IntRange(min=1), default=4)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0),
    default=1.0,
    help="Seconds between two pings.",
)
@click.option(
    "-W",
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    help=f"Longest wait for an answer; the status is {TIMED_OUT} then.",
)
@json_option
@broker_options(takes_topic=False)
async def ping(
    target: Target,
    *,
    count: int,
    interval_s: float,
    timeout_s: float,
    wants_json: bool,
) -> None:
    """Send PINGREQ and measure the time to PINGRESP."""
    times_ms: list[float] = []
    begun = perf_counter()
    async with target.open() as client:
        connected_ms = (perf_counter() - begun) * 1000
        for number in range(count):
            if number:
                await anyio.sleep(interval_s)
            begun = perf_counter()
            with anyio.move_on_after(timeout_s) as scope:
                await client.ping()
            if scope.cancelled_caught:
                click.echo(
                    f"no answer from {target.place} in {timeout_s:g} s", err=True
                )
                raise SystemExit(TIMED_OUT)
            times_ms.append((perf_counter() - begun) * 1000)
            if not wants_json:
                click.echo(f"{target.place}: {times_ms[-1]:.2f} ms")
    figures = {
        "broker": target.place,
        "connected_ms": round(connected_ms, 3),
        "times_ms": [round(one, 3) for one in times_ms],
        "median_ms": round(statistics.median(times_ms), 3),
    }
    if wants_json:
        show_json(figures)
    else:
        click.echo(
            f"connected in {connected_ms:.1f} ms; of {count}: "
            f"least {min(times_ms):.2f}, median {figures['median_ms']:.2f}, "
            f"most {max(times_ms):.2f} ms"
        )
