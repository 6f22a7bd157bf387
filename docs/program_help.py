"""A directive that shows the help of a program and of all its commands, as it is now."""

from __future__ import annotations

import importlib

import asyncclick as click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class ProgramHelp(SphinxDirective):
    """`program-help` with the dotted name of a click group."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make a section for each command."""
        module, _, name = self.arguments[0].rpartition(".")
        program = getattr(importlib.import_module(module), name)
        settings = {"info_name": "structiot", **program.context_settings}
        return self._sections(program, click.Context(program, **settings))

    def _sections(self, command: click.Command, ctx: click.Context) -> list[nodes.Node]:
        title = ctx.command_path
        section = nodes.section(ids=[nodes.make_id(title)])
        section += nodes.title(text=title)
        text = command.get_help(ctx)
        section += nodes.literal_block(text, text, language="text")
        found: list[nodes.Node] = [section]
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                inner = command.get_command(ctx, name)
                if inner is not None:
                    context = click.Context(inner, parent=ctx, info_name=name)
                    found += self._sections(inner, context)
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx about the directive."""
    app.add_directive("program-help", ProgramHelp)
    return {"parallel_read_safe": True}
