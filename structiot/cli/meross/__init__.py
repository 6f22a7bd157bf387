"""`structiot meross`: an account and its devices by hand, one family of commands a file.

| file | commands |
|---|---|
| `login` | `login`, `logout` |
| `devices` | `devices`, `info` |
| `switch` | `on`, `off` |
| `setting` | `set` |
| `watch` | `watch` |
| `energy` | `energy` |
| `usage` | `budget`, `stats`: of the kept files alone, without the cloud |
| `command` | `command` |
| `sniff`, `replay` | `sniff`, `replay` |

`account` and `device` have what all commands share, `finding` which device is meant, `kept`
the files between two calls, `complete` what shells offer for a device.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["meross"]


@click.group(cls=CommandFolder, short_help="Switch, meter and watch Meross devices.")
def meross() -> None:
    """Switch, meter and watch Meross devices, by an account or in the local network.

    `structiot meross login` signs in once and keeps the token; all other commands use
    that. With `--lan HOST` a command speaks to one device without any cloud.
    """
