"""`structiot sim`: devices that are not there, for tests and for trying things out."""

from __future__ import annotations

import anyio
import asyncclick as click

from structiot.cli.options import common_options, configure_logging
from structiot.cli.output import show_json, show_table
from structiot.cli.signals import run_until_stopped
from structiot.sim import FAMILIES, MaxSmartFleet, sim_maxsmart_fleet

__all__ = ["sim"]


@click.group()
def sim() -> None:
    """Simulate devices until Ctrl-C."""


@sim.command()
@click.option(
    "--family",
    "families",
    type=click.Choice(tuple(FAMILIES)),
    multiple=True,
    default=("mh_strip_130",),
    show_default=True,
    help="Firmware family; several take turns.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many devices.",
)
@click.option(
    "--host",
    default="127.0.0.2",
    show_default=True,
    help="Address of the first; the others have those that follow.",
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=80,
    show_default=True,
    help="TCP port of commands; 0 takes free ones.",
)
@click.option(
    "--udp-port",
    type=click.IntRange(0, 65535),
    default=8888,
    show_default=True,
    help="UDP port of discovery; 0 takes free ones.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Which households."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
@common_options
@click.pass_context
async def maxsmart(
    ctx: click.Context,
    *,
    families: tuple[str, ...],
    count: int,
    host: str,
    http_port: int,
    udp_port: int,
    seed: int,
    wants_json: bool,
) -> None:
    """Simulate MaxSmart and Revogi power strips and plugs."""
    configure_logging(ctx)

    async def serve() -> None:
        async with sim_maxsmart_fleet(
            max(count, len(families)),
            family=families,
            first_host=host,
            http_port=http_port,
            udp_port=udp_port,
            seed=seed,
        ) as fleet:
            _show(fleet, wants_json=wants_json)
            await anyio.sleep_forever()

    await run_until_stopped(serve)


def _show(fleet: MaxSmartFleet, *, wants_json: bool) -> None:
    columns = ("host", "http_port", "udp_port", "name", "serial", "family")
    rows = [
        (s.host, s.http_port, s.udp_port, s.name, s.serial, s.family.name)
        for s in fleet.sims
    ]
    if wants_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table([column.replace("_", " ") for column in columns], rows)
