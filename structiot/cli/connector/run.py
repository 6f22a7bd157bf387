"""`structiot connector run`: the devices of a gateway at a platform."""

from __future__ import annotations

import logging

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.served_gateway import served
from structiot.cli._common.signals import run_until_stopped
from structiot.cli.connector.configured import config_of, path_option

__all__ = ["run"]


@click.command(short_help="Offer the devices of a gateway to a platform.")
@path_option
@common_options
@click.pass_context
async def run(ctx: click.Context, path: str) -> None:
    """Offer devices to the platform until Ctrl-C or SIGTERM.

    The configuration is that of `structiot run`, which does the same with `[connector]` in
    it. Where the file names no broker, the devices are on one of its own all the same: at a
    free port of 127.0.0.1, which the log names. SIGHUP has the file read again.
    """
    configure_logging(ctx, usual=logging.INFO)
    gateway = await anyio.to_thread.run_sync(
        served, path, config_of, abandon_on_cancel=True
    )
    await run_until_stopped(gateway.run, gateway.reload)
