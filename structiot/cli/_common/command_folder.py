"""A group whose commands are those that the modules of its folder define.

A command of ours is a function under `@click.command` or `@click.group` in a module of
the folder, or in the `__init__` of a package there. It is found by reading the sources:
nothing is imported but the command that is called. Its line in the help is its
`short_help`, else the first line of its docstring. A stranger's command is an entry point.
"""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import asyncclick as click
from asyncclick.shell_completion import CompletionItem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["CommandFolder"]


class CommandFolder(click.Group):
    """A group that knows names and one line of its commands without importing them."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of click.Group
        entry_points: str | None = None,
        **options: Any,  # noqa: ANN401 - those of click.Group
    ) -> None:
        """Take the folder of the module that defines the group.

        Args:
            args: Those of `click.Group`.
            entry_points: Group of entry points that name strangers' commands.
            options: Those of `click.Group`.
        """
        super().__init__(*args, **options)
        self._entry_points = entry_points
        self._home = sys.modules[getattr(self.callback, "__module__", __name__)]

    def import_for(self, words: Sequence[str]) -> click.Command:
        """Import the command that the words name, before there is a loop to block."""
        for index, word in enumerate(words):
            command = None if word.startswith("-") else self._loaded(word)
            if command is not None:
                if isinstance(command, CommandFolder):
                    return command.import_for(words[index + 1 :])
                return command
        return self

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Name the commands, ours and strangers', by the alphabet."""
        return sorted({**self._ours, **self._strangers()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command.

        Raises:
            click.ClickException: It is a stranger's, and cannot be loaded.
        """
        return self._loaded(cmd_name)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Offer commands and options; the shell waits, so nothing is imported."""
        ours = self._ours
        commands = [
            CompletionItem(name, help=ours.get(name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return [*commands, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands; of a stranger's that is broken, why it is."""
        ours = self._ours
        lines = [
            (one, ours.get(one) or self._line(one)) for one in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def _loaded(self, name: str) -> click.Command | None:
        if name not in self.commands:
            module = next(
                (one for one, known in self._modules(name) if name in known), ""
            )
            if not module:
                point = self._strangers().get(name)
                return None if point is None else _loaded_from(point)
            found = vars(import_module(module)).values()
            commands = (one for one in found if isinstance(one, click.Command))
            self.commands[name] = next(one for one in commands if one.name == name)
        return self.commands[name]

    @cached_property
    def _ours(self) -> dict[str, str]:
        return {
            name: line for _, known in self._modules() for name, line in known.items()
        }

    def _modules(self, likely: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
        """Give the modules and what they define, beginning with the one called so."""
        package = self._home.__package__ or ""
        found = pkgutil.iter_modules(sys.modules[package].__path__, f"{package}.")
        for info in sorted(found, key=lambda one: one.name != f"{package}.{likely}"):
            spec = info.module_finder.find_spec(info.name, None)
            if info.name != self._home.__name__ and spec and spec.loader:
                source = spec.loader.get_source(info.name)  # type: ignore[attr-defined]
                yield info.name, _commands_in(source or "")

    def _strangers(self) -> dict[str, EntryPoint]:
        if self._entry_points is None:
            return {}
        # Takes 20 ms, which a command of ours need not wait for.
        from importlib.metadata import entry_points  # noqa: PLC0415

        return {point.name: point for point in entry_points(group=self._entry_points)}

    def _line(self, name: str) -> str:
        try:
            command = self._loaded(name)
        except click.ClickException as exc:
            return exc.message
        return "" if command is None else command.get_short_help_str(88)


def _commands_in(source: str) -> dict[str, str]:
    """Read which commands a module defines, and the line about each."""
    if "@click.command" not in source and "@click.group" not in source:
        return {}
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Attribute(ast.Name("click"), made)) if (
                        made in {"command", "group"}
                    ):
                        found |= _command(node, decorator)
    return found


def _command(
    function: ast.FunctionDef | ast.AsyncFunctionDef, decorator: ast.Call
) -> dict[str, str]:
    given = {one.arg: one.value for one in decorator.keywords}
    name = _text(*decorator.args[:1]) or function.name.replace("_", "-")
    first_line = (ast.get_docstring(function) or "").partition("\n")[0]
    return {name: _text(given.get("short_help")) or first_line}


def _text(node: ast.expr | None = None) -> str:
    text = node.value if isinstance(node, ast.Constant) else ""
    return text if isinstance(text, str) else ""


def _loaded_from(point: EntryPoint) -> click.Command:
    try:
        command = point.load()
    # A stranger's package may fail in any way; it costs its own command.
    except (Exception, SystemExit) as exc:
        raise _cannot_load(point, f"{type(exc).__name__}: {exc}") from exc
    if not isinstance(command, click.Command):
        raise _cannot_load(point, f"{point.value} is no command")
    return command


def _cannot_load(point: EntryPoint, why: str) -> click.ClickException:
    package = point.dist.name if point.dist else "a package"
    text = f"cannot load {point.name!r} of {package}: {why}"
    return click.ClickException(" ".join(text.split()))
