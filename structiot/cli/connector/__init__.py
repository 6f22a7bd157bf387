"""`structiot connector`: devices at a SEPL or SENERGY platform, one command a file.

| file | command |
|---|---|
| `run` | `run` |
| `devices` | `devices` |
| `store` | `store` |

`configured` reads the gateway's configuration for the first two.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["connector"]


@click.group(cls=CommandFolder, short_help="Offer devices to a platform.")
def connector() -> None:
    """Offer devices to a SEPL or SENERGY platform.

    `structiot connector run` offers those of a gateway, as `[connector]` in its
    configuration says. `structiot sim sepl` is a platform to try it with.
    """
