"""`structiot sim maxsmart`: strips and plugs that are not there, for tests and trials."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import anyio
import anyio.lowlevel
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    port_option,
)
from structiot.cli._common.signals import allow_open_files, run_until_stopped
from structiot.cli._common.simulated import count_and_host
from structiot.cli._common.tables import show_rows
from structiot.cli.sim.listing import SimulatorCommand, complete_fault
from structiot.sim import (
    FAMILIES,
    NAMED_FAULTS,
    MaxSmartSim,
    show_fault,
    sim_maxsmart_fleet,
)

__all__ = ["maxsmart"]

# Two sockets that listen, and one for a client.
_FILES_A_STRIP = 3
_OTHER_FILES = 64


_FAMILY_ROWS = [
    {
        "name": one.name,
        "model": one.model,
        "firmware": one.firmware,
        "ports": one.ports,
        "http": one.has_http,
        "v3": one.v3,
        "statistics": one.statistics == "yes",
    }
    for one in FAMILIES.values()
]


@click.command(
    cls=SimulatorCommand,
    families=_FAMILY_ROWS,
    faults=NAMED_FAULTS,
)
@click.option(
    "--family",
    "families",
    type=click.Choice((*FAMILIES, "all")),
    multiple=True,
    default=("mh_strip_130",),
    help="Firmware family; several take turns. `structiot sim families` lists them.",
)
@count_and_host
@port_option("--http-port", 80, "TCP port of commands; 0 takes free ones.")
@port_option("--udp-port", 8888, "UDP port of discovery; 0 takes free ones.")
@click.option("--seed", type=int, default=0, help="Which households.")
@click.option(
    "--history",
    "history_days",
    type=click.FloatRange(0, 3650),
    default=0.0,
    metavar="DAYS",
    help="How long they have been drawing power already, for their statistics.",
)
@click.option(
    "--fault",
    "fault_texts",
    shell_complete=complete_fault,
    metavar="NAME[=VALUE][@WHAT][*TIMES][+SECONDS]",
    multiple=True,
    help="What each of them gets wrong, such as `drop*3`, `watt_null@511` or"
    " `power_cut=60+30`. `structiot sim faults` lists them.",
)
@json_option
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
    history_days: float,
    fault_texts: tuple[str, ...],
    wants_json: bool,
) -> None:
    """Simulate MaxSmart and Revogi power strips and plugs."""
    configure_logging(ctx)
    faults = [MaxSmartSim.named_faults.parse(text) for text in fault_texts]
    mix = tuple(FAMILIES) if "all" in families else families
    strips = max(count, len(mix))
    allow_open_files(_FILES_A_STRIP * strips + _OTHER_FILES)

    async def serve() -> None:
        async with (
            sim_maxsmart_fleet(
                strips,
                family=mix,
                first_host=host,
                http_port=http_port,
                udp_port=udp_port,
                seed=seed,
                history=timedelta(days=history_days),
            ) as fleet,
            service_group() as tasks,
        ):
            for one, fault in product(fleet.sims, faults):
                tasks.start_soon(show_fault, one, fault)
            # When the devices are shown, what begins at once has begun: the tasks
            # come before this one's second turn, in whatever order.
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            rows = [_row(one) for one in fleet.sims]
            show_rows(rows, wants_json=wants_json)
            await anyio.sleep_forever()

    await run_until_stopped(serve)


def _row(sim: MaxSmartSim) -> dict[str, object]:
    return {
        "host": sim.host,
        "http_port": sim.http_port,
        "udp_port": sim.udp_port,
        "name": sim.name,
        "serial": sim.serial,
        "family": sim.family.name,
    }
