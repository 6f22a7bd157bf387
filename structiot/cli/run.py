"""`structiot run`: the gateway, until it is told to stop."""

from __future__ import annotations

import logging

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import common_options, configure_logging
from structiot.cli._common.signals import run_until_stopped
from structiot.errors import ConfigError
from structiot.gateway import (
    Gateway,
    GatewayConfig,
    InvalidConfig,
    load_config,
    open_gateway,
)

__all__ = ["run"]

_log = logging.getLogger(__name__)


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

    Ends on Ctrl-C or SIGTERM, leaving everything on the broker as offline. SIGHUP has
    the configuration read again; a file with a mistake changes nothing.
    """
    configure_logging(ctx, usual=logging.INFO)
    config = await anyio.to_thread.run_sync(load_config, path)
    if check:
        click.echo(f"{path} is fine")
        return
    served = _Served(path, config)
    await run_until_stopped(served.run, served.reload)


class _Served:
    """A gateway, and the file that it goes by."""

    def __init__(self, path: str, config: GatewayConfig) -> None:
        self._path = path
        self._config = config
        self._is_open = anyio.Event()
        self._gateway: Gateway | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with open_gateway(self._config) as self._gateway:
            self._is_open.set()
            await anyio.sleep_forever()

    async def reload(self) -> None:
        """Read the file again, and take up what it says if nothing is wrong with it."""
        await self._is_open.wait()
        try:
            config = await anyio.to_thread.run_sync(load_config, self._path)
            if self._gateway is not None:
                await self._gateway.reload(config)
        except ConfigError as exc:
            problems = exc.problems if isinstance(exc, InvalidConfig) else [exc]
            for problem in problems:
                _log.error("%s", problem)
            _log.error("%s is not taken up: all goes on as it was", self._path)
