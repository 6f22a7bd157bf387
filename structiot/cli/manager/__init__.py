"""`structiot manager`: devices that dial in, one command a file.

| file | command |
|---|---|
| `serve` | `serve` |
| `clients` | `clients` |
| `send` | `send` |
| `simulate` | `simulate`, which is `structiot sim manager` |

`fleet` reaches the managers that are running, `happenings` has events in words, `complete`
what shells offer for a UUID.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["manager"]


@click.group(cls=CommandFolder, short_help="Serve devices that dial in.")
def manager() -> None:
    """Serve devices that dial in, list them and send to them.

    `structiot manager serve` is the server. With `--uri`, the address of an MQTT broker,
    it is one node of several; `clients` and `send` reach all of them through that broker.
    """
