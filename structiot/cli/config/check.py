"""`structiot config check`: all that is wrong with a configuration."""

from __future__ import annotations

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.checked_config import check_config, file_argument
from structiot.cli._common.options import common_options, configure_logging

__all__ = ["check"]


@click.command()
@file_argument
@common_options
@click.pass_context
async def check(ctx: click.Context, path: str) -> None:
    """Say all that is wrong with FILE, structiot.toml by default.

    Each problem is a line on standard error with file, line and column; the exit status
    is 2 then. 'structiot run --check' does the same.
    """
    configure_logging(ctx)
    await anyio.to_thread.run_sync(check_config, path, abandon_on_cancel=True)
    click.echo(f"{path} is fine")
