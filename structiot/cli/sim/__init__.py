"""`structiot sim`: devices that are not there, one file a system.

A stranger's simulator is an entry point of the group `structiot.simulators`, which names
its command. `listing` asks all of them for what they can be and what they can get wrong.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["sim"]


@click.group(
    cls=CommandFolder,
    entry_points="structiot.simulators",
    short_help="Simulate devices.",
)
def sim() -> None:
    """Simulate devices until Ctrl-C."""
