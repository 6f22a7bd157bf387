"""`structiot meross replay`: a captured device, served as a simulated one."""

from __future__ import annotations

from pathlib import Path

import anyio
import asyncclick as click

from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    port_option,
)
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.tables import show_rows
from structiot.sim.meross import sim_meross_replay
from structiot.sim.meross.device import MerossDeviceSim

__all__ = ["replay"]


@click.command(short_help="Serve a capture as a simulated device.")
@click.argument("capture", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.2", help="Address that it has.")
@port_option("--port", 80, "TCP port; 0 takes a free one.")
@click.option(
    "--key",
    default=MerossDeviceSim.default_key,
    help="The key that it is set up with; that of the capture is not in it.",
)
@json_option
@common_options
@click.pass_context
async def replay(
    ctx: click.Context,
    *,
    capture: Path,
    host: str,
    port: int,
    key: str,
    wants_json: bool,
) -> None:
    """Serve the device of CAPTURE in the local network until Ctrl-C.

    It is as it was at the end of the capture, and answers what it was asked then; what
    it is told to be it is from then on.
    """
    configure_logging(ctx)

    async def serve() -> None:
        async with sim_meross_replay(
            capture, host=host, http_port=port, key=key
        ) as sim:
            row = {
                "host": sim.host,
                "http_port": sim.http_port,
                "model": sim.model.type,
                "firmware": sim.model.firmware or None,
                "uuid": sim.uuid,
                "key": sim.key,
                "namespaces": len(sim.device.abilities),
            }
            show_rows([row], wants_json=wants_json)
            await anyio.sleep_forever()

    await run_until_stopped(serve)
