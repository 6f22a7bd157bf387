"""`structiot maxsmart`: power strips and plugs by hand, one family of commands a file.

| file | commands |
|---|---|
| `discover` | `discover` |
| `about` | `info`, `ids`, `health` |
| `switch` | `on`, `off`, `state` |
| `power` | `power` |
| `watch` | `watch`; `watch_view` draws for it |
| `stats` | `stats`; `chart` and `plot` draw for it |
| `settings` | `rename`, `clock` |

`device` has what all commands with a HOST share, `complete` what shells offer for them.
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
    "stats": LazyCommand(f"{_HERE}.stats", "stats", "Show energy by hour, day, month."),
    "rename": LazyCommand(f"{_HERE}.settings", "rename", "Name a port or a device."),
    "clock": LazyCommand(f"{_HERE}.settings", "clock", "Show or set a clock."),
    "ids": LazyCommand(f"{_HERE}.about", "ids", "Show what identifies a device."),
    "health": LazyCommand(f"{_HERE}.about", "health", "Say how a device does."),
}


@click.group("maxsmart", cls=LazyGroup, lazy=_COMMANDS)
def maxsmart() -> None:
    """Find, switch and meter MaxSmart and Revogi power strips and plugs."""
