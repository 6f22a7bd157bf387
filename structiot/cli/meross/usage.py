"""`structiot meross budget` and `stats`: what was sent through the cloud lately.

Both are told by the kept files: neither the cloud nor a device is asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import (
    OptionGroup,
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.tables import show_rows
from structiot.cli.meross.account import files_of, files_options
from structiot.cli.meross.kept import KeptFiles
from structiot.meross import RateLimitChecker
from structiot.meross.account_state import AccountState, open_account_state
from structiot.meross.budget import Budget

__all__ = ["budget", "stats"]

_WINDOWS_S = {"last_minute": 60.0, "last_10_minutes": 600.0, "last_hour": 3600.0}

_options = OptionGroup(files_options, json_option, common_options)


@click.command(short_help="Show what devices may still be sent.")
@_options
@click.pass_context
async def budget(
    ctx: click.Context,
    /,
    *,
    wants_json: bool,
    **account: Any,  # noqa: ANN401 - values of options
) -> None:
    """Show what each device was sent through the cloud in the last hour, and is left.

    Who talks too much is banned. The local network costs nothing. It is what programs
    of structiot with the same token have sent; the phone's app is not counted.
    """
    configure_logging(ctx)
    files = await files_of(account)
    names = await _names(files)
    async with _state(files) as state:
        kept = Budget(state, RateLimitChecker())
        await kept.begin()
        found = {uuid: kept.of(uuid) for uuid in [*names, *kept.devices]}
    rows = [
        {
            "name": names.get(uuid),
            "id": uuid,
            "used": one.used,
            "left": one.left,
            "next_at": one.next_at and one.next_at.astimezone().replace(microsecond=0),
        }
        for uuid, one in found.items()
    ]
    _show(rows, wants_json=wants_json)


@click.command(short_help="Show what was sent through the cloud.")
@_options
@click.pass_context
async def stats(
    ctx: click.Context,
    /,
    *,
    wants_json: bool,
    **account: Any,  # noqa: ANN401 - values of options
) -> None:
    """Show how many messages each device was sent through the cloud, and when.

    `structiot meross watch --stats` counts by namespace, method and transport, and what
    came of them.
    """
    configure_logging(ctx)
    files = await files_of(account)
    names = await _names(files)
    async with _state(files) as state:
        sent = await state.sent_earlier()
    rows = [
        {
            "name": names.get(uuid),
            "id": uuid,
            **{
                name: sum(one.device == uuid and one.age_s < most_s for one in sent)
                for name, most_s in _WINDOWS_S.items()
            },
        }
        for uuid in dict.fromkeys(one.device for one in sent if one.device)
    ]
    _show(rows, wants_json=wants_json)


def _show(rows: Sequence[Mapping[str, object]], *, wants_json: bool) -> None:
    if rows or wants_json:
        show_rows(rows, wants_json=wants_json)
    else:
        click.echo("nothing was sent in the last hour", err=True)


async def _names(files: KeptFiles) -> dict[str, str]:
    """Give the names of devices that messages are sent to, by uuid."""
    devices = await anyio.to_thread.run_sync(files.devices)
    return {one.id: one.name for one in devices if one.hub is None}


@asynccontextmanager
async def _state(files: KeptFiles) -> AsyncGenerator[AccountState]:
    """Open what is kept, if there is anything."""
    is_there = await anyio.Path(files.state).exists()
    async with open_account_state(files.state if is_there else None) as state:
        yield state
