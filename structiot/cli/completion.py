"""`structiot completion`: what a shell has to know to complete our commands."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.options import common_options

__all__ = ["completion"]

# A new shell may not know the virtual environment that the program is in.
_IF_THERE = "command -v structiot >/dev/null"
_LINES = {
    "bash": f'{_IF_THERE} && eval "$(_STRUCTIOT_COMPLETE=bash_source structiot)"',
    "zsh": f'{_IF_THERE} && eval "$(_STRUCTIOT_COMPLETE=zsh_source structiot)"',
    "fish": f"{_IF_THERE}; and _STRUCTIOT_COMPLETE=fish_source structiot | source",
}


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(tuple(_LINES)))
@common_options
def completion(shell: str) -> None:
    """Print the line that completes commands and options in SHELL.

    Put it into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish. Where the program is
    not found it does nothing: if it is in a virtual environment, run the line after
    activating that.
    """
    click.echo(_LINES[shell])
