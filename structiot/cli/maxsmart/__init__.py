"""`structiot maxsmart`: power strips and plugs by hand, one family of commands a file.

| file | commands |
|---|---|
| `discover` | `discover` |
| `about` | `info`, `ids`, `health` |
| `switch` | `on`, `off`, `state` |
| `power` | `power` |
| `watch` | `watch` |
| `stats` | `stats`; `chart`, `csv_file` and `plot` are its outputs |
| `settings` | `rename`, `clock` |

`device` has what all commands with a HOST share.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli.lazy import LazyCommand, LazyGroup

__all__ = ["maxsmart"]

_HERE = "structiot.cli.maxsmart"
_COMMANDS = {
    "discover": LazyCommand(f"{_HERE}.discover", "discover", "Find devices."),
    "info": LazyCommand(f"{_HERE}.about", "info", "Say who a device is."),
    "on": LazyCommand(f"{_HERE}.switch", "turn_on", "Turn ports on."),
    "off": LazyCommand(f"{_HERE}.switch", "turn_off", "Turn ports off."),
    "state": LazyCommand(f"{_HERE}.switch", "state", "Say which ports are on."),
    "power": LazyCommand(f"{_HERE}.power", "power", "Say what ports draw."),
    "watch": LazyCommand(f"{_HERE}.watch", "watch", "Show readings as they come."),
}


@click.group("maxsmart", cls=LazyGroup, lazy=_COMMANDS)
def maxsmart() -> None:
    """Find, switch and meter MaxSmart and Revogi power strips and plugs."""
