"""`structiot sim families` and `faults`: what all the simulators can be and get wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import anyio.to_thread
import asyncclick as click
from asyncclick.shell_completion import CompletionItem

from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.tables import show_rows

__all__ = ["SimulatorCommand", "complete_fault", "families", "faults"]


class SimulatorCommand(click.Command):
    """The command of a simulator; `structiot sim families` and `faults` list the rest.

    Attributes:
        families: What can be simulated, a row each.
        faults: What simulated devices can get wrong, by the name for `--fault`.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of click.Command
        families: Iterable[Mapping[str, object]] = (),
        faults: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - those of click.Command
    ) -> None:
        super().__init__(*args, **options)
        self.families: tuple[Mapping[str, object], ...] = tuple(families)
        self.faults: dict[str, str] = dict(faults or {})


def complete_fault(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer what simulated devices can get wrong, by name."""
    faults: Mapping[str, str] = getattr(ctx.command, "faults", {})
    return [
        CompletionItem(name, help=what)
        for name, what in faults.items()
        if name.startswith(incomplete)
    ]


@click.command()
@json_option
@common_options
@click.pass_context
async def families(ctx: click.Context, *, wants_json: bool) -> None:
    """List the families and models that can be simulated."""
    configure_logging(ctx)
    rows = [
        {"system": name, **family}
        for name, command in await _simulators(ctx)
        for family in getattr(command, "families", ())
    ]
    show_rows(rows, wants_json=wants_json)


@click.command()
@json_option
@common_options
@click.pass_context
async def faults(ctx: click.Context, *, wants_json: bool) -> None:
    """List what simulated devices can get wrong, for --fault."""
    configure_logging(ctx)
    rows = [
        {"system": name, "name": fault, "what": what}
        for name, command in await _simulators(ctx)
        for fault, what in getattr(command, "faults", {}).items()
    ]
    show_rows(rows, wants_json=wants_json)


async def _simulators(ctx: click.Context) -> list[tuple[str, click.Command]]:
    group = ctx.parent and ctx.parent.command
    assert isinstance(group, click.Group)  # noqa: S101 - `sim`
    # All of them are imported, for which the loop need not wait.
    return await anyio.to_thread.run_sync(_commands_of, group, ctx)


def _commands_of(
    group: click.Group, ctx: click.Context
) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(ctx):
        try:
            command = group.get_command(ctx, name)
        except click.ClickException as exc:
            click.echo(exc.format_message(), err=True)
        else:
            if command is not None:
                found.append((name, command))
    return found
