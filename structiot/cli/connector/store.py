"""`structiot connector store`: the devices in a file of a `DeviceStore`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import asyncclick as click

from structiot._kit.text import printable
from structiot.cli._common.completing import Offer, completer
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_table
from structiot.connector import Device, DeviceStore
from structiot.errors import UsageError

__all__ = ["store"]

_COLUMNS = ("id", "type", "name", "tags")


@completer
async def _ids(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the ids of the devices in the file."""

    def read(path: Path | None) -> list[Device]:
        return [] if path is None or not path.is_file() else _devices_in(path, ())

    found = await anyio.to_thread.run_sync(read, given.get("path"))
    return [(one.id, printable(one.name)) for one in found]


@click.command(short_help="List the devices in a device store.")
@click.argument(
    "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE"
)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=_ids)
@click.option("--remove", is_flag=True, help="Take the devices ID out.")
@json_option
@common_options
@click.pass_context
async def store(
    ctx: click.Context,
    path: Path,
    *,
    ids: tuple[str, ...],
    remove: bool,
    wants_json: bool,
) -> None:
    """List the devices that a program keeps in FILE by `DeviceStore`, or those of an ID.

    Who removes one takes it from what the program offers when it connects again; the
    platform has it still, offline. A file of the original client is taken over.
    """
    configure_logging(ctx)
    if remove and not ids:
        raise click.UsageError("say which: --remove goes with ID")
    found = await anyio.to_thread.run_sync(
        partial(_devices_in, path, ids, remove=remove)
    )
    rows = [(one.id, one.type, one.name, one.tags) for one in found]
    if wants_json:
        show_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    elif rows:
        show_table(_COLUMNS, [(*row, " ".join(tags)) for *row, tags in rows])
    if not rows:
        click.echo("there is no device in it", err=True)


def _devices_in(
    path: Path, ids: tuple[str, ...], *, remove: bool = False
) -> list[Device]:
    """Give devices, all if none is named, and take them out if that is wanted.

    Raises:
        ConfigError: The file cannot be used.
        UsageError: There is no such device; nothing has been removed.
    """
    with DeviceStore(path) as devices:
        held = devices.devices()
        for one in ids:
            if one not in held:
                raise UsageError(f"there is no device {printable(one)} in {path}")
        for one in ids if remove else ():
            devices.remove(one)
        return [held[one] for one in ids or held]
