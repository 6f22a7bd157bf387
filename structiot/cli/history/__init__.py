"""`structiot history`: what a gateway has of the past, one command a file.

| file | command |
|---|---|
| `query` | `query` |
| `export` | `export` |
| `size` | `size` |
| `prune` | `prune` |

`asking` finds the file and the series, and reads the range of time.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["history"]


@click.group(cls=CommandFolder, short_help="Ask what was: readings and energy.")
def history() -> None:
    """Ask the history that `structiot run` keeps, also while it runs.

    A KEY is `<device>/<entity>` as in topics, or a device by its name alone; both may be
    patterns, such as `desk/*power` or `*/energy`.
    """
