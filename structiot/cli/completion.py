"""`structiot completion`: what a shell has to know to complete our commands."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.options import common_options

__all__ = ["completion"]

_LINES = {
    "bash": 'eval "$(_STRUCTIOT_COMPLETE=bash_source structiot)"',
    "zsh": 'eval "$(_STRUCTIOT_COMPLETE=zsh_source structiot)"',
    "fish": "_STRUCTIOT_COMPLETE=fish_source structiot | source",
}


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(tuple(_LINES)))
@common_options
def completion(shell: str) -> None:
    """Print the line that completes commands and options in SHELL.

    Put it into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish.
    """
    click.echo(_LINES[shell])
