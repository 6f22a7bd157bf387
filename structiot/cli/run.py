"""`structiot run`: the gateway, until it is told to stop."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.checked_config import DEFAULT_FILE, check_config
from structiot.cli._common.log_options import log_options
from structiot.cli._common.options import (
    Decorator,
    common_options,
    configure_logging,
)
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.systemd import ServiceManager

if TYPE_CHECKING:
    from structiot.cli._common.served_gateway import ServedGateway

__all__ = ["config_option", "run"]


config_option: Decorator = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(dir_okay=False),
    default=DEFAULT_FILE,
    help="Configuration file.",
)


@click.command(short_help="Run the gateway.")
@config_option
@click.option("--check", is_flag=True, help="Check the configuration and end.")
@log_options
@common_options
@click.pass_context
async def run(ctx: click.Context, path: str, *, check: bool) -> None:
    """Serve every configured and found device on the MQTT broker.

    Ends on Ctrl-C or SIGTERM, leaving everything on the broker as offline. SIGHUP has
    the configuration read again; a file with a mistake changes nothing.
    """
    configure_logging(ctx, usual=logging.INFO)
    if check:
        await anyio.to_thread.run_sync(check_config, path, abandon_on_cancel=True)
        click.echo(f"{path} is fine")
        return
    gateway = await anyio.to_thread.run_sync(_served, path, abandon_on_cancel=True)
    systemd = ServiceManager()

    async def tell() -> None:
        await gateway.opened()
        await systemd.follow(gateway.status)

    async def serve() -> None:
        async with service_group() as tasks:
            tasks.start_soon(tell, name="structiot.cli.run systemd")
            await gateway.run()

    await run_until_stopped(serve, partial(systemd.reloading, gateway.reload))


def _served(path: str) -> ServedGateway:
    # Half a second of imports, which the help of the program does without.
    from structiot.cli._common.served_gateway import served  # noqa: PLC0415

    return served(path)
