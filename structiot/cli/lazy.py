"""A group whose commands are imported when they are called, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncclick as click
from asyncclick.shell_completion import CompletionItem

__all__ = ["LazyCommand", "LazyGroup"]


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is, and the line about it in the help.

    Attributes:
        module: Module that defines it.
        name: Its name there.
        help: One line for the list of commands.
    """

    module: str
    name: str
    help: str


class LazyGroup(click.Group):
    """A group that knows names and one line of its commands without importing them."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of click.Group
        lazy: Mapping[str, LazyCommand],
        **options: Any,  # noqa: ANN401 - those of click.Group
    ) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy

    def import_for(self, arguments: Sequence[str]) -> None:
        """Import the command that the arguments name, before there is a loop to block."""
        for index, argument in enumerate(arguments):
            if argument in self._lazy:
                command = self._imported(self._lazy[argument])
                if isinstance(command, LazyGroup):
                    command.import_for(arguments[index + 1 :])
                return

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Name the commands in the order of the help."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command."""
        lazy = self._lazy.get(cmd_name)
        return None if lazy is None else self._imported(lazy)

    @staticmethod
    def _imported(lazy: LazyCommand) -> click.Command:
        command = getattr(importlib.import_module(lazy.module), lazy.name)
        if not isinstance(command, click.Command):
            message = f"{lazy.module}.{lazy.name} is no command"
            raise TypeError(message)
        return command

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Offer commands and options; the shell waits, so nothing is imported."""
        commands = [
            CompletionItem(name, help=lazy.help)
            for name, lazy in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self._lazy.items()])
