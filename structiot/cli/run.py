"""`structiot run`: the gateway, until it is told to stop."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.signals import run_until_stopped
from structiot.gateway import GatewayConfig, load_config, open_gateway
from structiot.gateway.state_file import default_state_file

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

    state_file = await anyio.to_thread.run_sync(_state_file_of, path)

    async def serve() -> None:
        await _serve(config, state_file)

    await run_until_stopped(serve)


def _state_file_of(path: str) -> Path | None:
    """Name the state file of a configuration: no two of them share one."""
    file = Path(path).resolve()
    digest = sha256(bytes(file)).hexdigest()[:8]
    return default_state_file(f"{file.stem}-{digest}")


async def _serve(config: GatewayConfig, state_file: Path | None) -> None:
    async with open_gateway(config, state_file=state_file):
        await anyio.sleep_forever()
