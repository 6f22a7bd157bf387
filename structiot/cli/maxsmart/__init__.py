"""`structiot maxsmart`: power strips and plugs by hand, one family of commands a file.

| file | commands |
|---|---|
| `discover` | `discover` |
| `about` | `info`, `ids`, `health` |
| `switch` | `on`, `off`, `state` |
| `power` | `power` |
| `watch` | `watch`; `watch_view` draws for it |
| `stats` | `stats`; `chart` says what is drawn |
| `settings` | `rename`, `clock` |

`device` has what all commands with a HOST share, `complete` what shells offer for them.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["maxsmart"]


@click.group(cls=CommandFolder, short_help="Find, switch and meter power strips.")
def maxsmart() -> None:
    """Find, switch and meter MaxSmart and Revogi power strips and plugs."""
