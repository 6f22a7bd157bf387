"""`structiot config`: make, check and show the gateway's configuration."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["config"]


@click.group(cls=CommandFolder)
def config() -> None:
    """Make, check and show the gateway's configuration."""
