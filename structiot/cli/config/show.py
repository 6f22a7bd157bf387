"""`structiot config show`: the settings in force."""

from __future__ import annotations

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.checked_config import check_config, file_argument
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import show_json

__all__ = ["show"]


@click.command()
@file_argument
@json_option
@common_options
@click.pass_context
async def show(ctx: click.Context, path: str, *, wants_json: bool) -> None:
    """Print the settings that FILE, structiot.toml by default, puts in force.

    What the file does not say is marked as default, and secrets are ***. As JSON,
    'defaults' names the settings that the file does not say.
    """
    configure_logging(ctx)
    config = await anyio.to_thread.run_sync(check_config, path, abandon_on_cancel=True)
    from structiot.gateway.config.shown import (  # noqa: PLC0415 - loaded by now
        as_data,
        as_toml,
        defaults_of,
    )

    if wants_json:
        settings = as_data(config)
        show_json(
            {"file": path, "settings": settings, "defaults": list(defaults_of(config))},
            indent=2,
        )
    else:
        click.echo(as_toml(config), nl=False)
