"""`structiot config schema`: what editors check a configuration by."""

from __future__ import annotations

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import common_options
from structiot.cli._common.output import show_json

__all__ = ["schema"]


@click.command()
@common_options
async def schema() -> None:
    r"""Print the JSON Schema of the configuration.

    An editor that knows TOML explains and completes keys by it:

    \b
        structiot config schema > structiot.schema.json
        sed -i '1i #:schema ./structiot.schema.json' structiot.toml
    """
    made = await anyio.to_thread.run_sync(_made, abandon_on_cancel=True)
    show_json(made, indent=2)


def _made() -> dict[str, object]:
    # Half a second of imports, which the help of the program does without.
    from structiot.gateway.config.schema import json_schema  # noqa: PLC0415

    return json_schema()
