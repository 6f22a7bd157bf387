"""`structiot run`: the gateway, until it is told to stop."""

from __future__ import annotations

import logging

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.signals import run_until_stopped
from structiot.gateway import GatewayConfig, load_config, open_gateway

__all__ = ["run"]


@click.command(short_help="Run the gateway.")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(dir_okay=False),
    default="structiot.toml",
    help="Configuration file.",
)
@click.option("--check", is_flag=True, help="Check the configuration and end.")
@common_options
@click.pass_context
async def run(ctx: click.Context, path: str, *, check: bool) -> None:
    """Serve every configured and found device on the MQTT broker.

    Ends on Ctrl-C or SIGTERM, leaving everything on the broker as offline.
    """
    configure_logging(ctx, usual=logging.INFO)
    config = await anyio.to_thread.run_sync(load_config, path)
    if check:
        click.echo(f"{path} is fine")
        return

    async def serve() -> None:
        await _serve(config)

    await run_until_stopped(serve)


async def _serve(config: GatewayConfig) -> None:
    async with open_gateway(config):
        await anyio.sleep_forever()
