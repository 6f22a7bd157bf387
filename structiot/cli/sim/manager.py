"""`structiot sim manager`: devices that are not there, and dial in to a manager."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import anyio
import anyio.to_thread
import asyncclick as click
from asyncclick.shell_completion import CompletionItem

from structiot._kit.net.tls import client_context
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    port_option,
    refuse_given,
)
from structiot.cli._common.signals import allow_open_files, run_until_stopped
from structiot.cli._common.tables import show_rows
from structiot.cli.sim.listing import SimulatorCommand
from structiot.errors import UsageError
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import canonical_uuid
from structiot.sim import DIAL_IN_BEHAVIOURS, DIAL_IN_FAULTS, sim_devices

__all__ = ["manager"]

_OTHER_FILES = 64
_path = click.Path()
_TYPE_ROWS = [
    {"name": name, "about": one.about} for name, one in DIAL_IN_BEHAVIOURS.items()
]


def _complete_type(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=one.about)
        for name, one in DIAL_IN_BEHAVIOURS.items()
        if name.startswith(incomplete)
    ]


@click.command(
    cls=SimulatorCommand,
    families=_TYPE_ROWS,
    faults=DIAL_IN_FAULTS,
    short_help="Simulate devices that dial in to a manager.",
)
@click.option(
    "--count", type=click.IntRange(1, 20_000), default=1, help="How many devices."
)
@click.option(
    "--type",
    "types",
    multiple=True,
    default=("lamp",),
    metavar="TYPE",
    shell_complete=_complete_type,
    help="What they are; several take turns. `structiot sim families` lists those that"
    " behave like something; all others send back what they are sent.",
)
@click.option("--host", default="127.0.0.1", help="Address of the manager.")
@port_option("--port", 8595, "Its TCP port.", least=1)
@click.option(
    "--dialect",
    type=click.Choice([one.value for one in Dialect], case_sensitive=False),
    default=Dialect.D0.value,
    help="What they speak.",
)
@click.option(
    "--secret",
    envvar="STRUCTIOT_MANAGER_SECRET",
    show_envvar=True,
    help="What all of them share with the manager; better in the variable.",
)
@click.option("--cafile", type=_path, help="Authorities of the manager: speak TLS.")
@click.option("--certfile", type=_path, help="Certificate that they show; TLS as well.")
@click.option("--keyfile", type=_path, help="Its key, if that is not in the same file.")
@click.option(
    "--uuid",
    "uuids",
    multiple=True,
    metavar="UUID",
    help="UUID of a device, instead of --count; two alike replace each other.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 65535),
    default=0,
    help="Which devices: with another they have other UUIDs.",
)
@click.option(
    "--fault",
    "faults",
    type=click.Choice(tuple(DIAL_IN_FAULTS)),
    multiple=True,
    metavar="NAME",
    help="What each of them gets wrong, such as `silent`. `structiot sim faults` lists them.",
)
@json_option
@common_options
@click.pass_context
async def manager(
    ctx: click.Context,
    *,
    count: int,
    types: tuple[str, ...],
    host: str,
    port: int,
    dialect: str,
    secret: str | None,
    cafile: str | None,
    certfile: str | None,
    keyfile: str | None,
    uuids: tuple[str, ...],
    seed: int,
    faults: tuple[str, ...],
    wants_json: bool,
) -> None:
    """Simulate devices that dial in to a manager, and come again when they are let go.

    They need not wait for the manager to be there: they try again every few seconds, and
    why they have to is said.
    """
    configure_logging(ctx, usual=logging.INFO)
    if uuids:
        refuse_given(ctx, ("count", "seed"), "goes without --uuid")
    if dialect != Dialect.STRUCTIOT:
        refuse_given(ctx, ("secret",), "goes with --dialect structiot")
        secret = None
    if not certfile:
        refuse_given(ctx, ("keyfile",), "goes with --certfile")
    named = [canonical_uuid(one) for one in uuids]
    rows = _rows(types, named or _made_up(max(count, len(types)), seed))
    context = None
    if cafile or certfile:
        make = partial(
            client_context, cafile=cafile, certfile=certfile, keyfile=keyfile
        )
        context = await anyio.to_thread.run_sync(make, abandon_on_cancel=True)
    allow_open_files(len(rows) + _OTHER_FILES)

    async def dial_in() -> None:
        async with AsyncExitStack() as stack:
            for kind in types:
                of_kind = [row["uuid"] for row in rows if row["type"] == kind]
                fleet = await stack.enter_async_context(
                    sim_devices(
                        len(of_kind),
                        type=kind,
                        host=host,
                        port=port,
                        dialect=dialect,
                        uuids=of_kind,
                        secret=secret,
                        ssl_context=context,
                    )
                )
                for device in fleet:
                    device.misbehave(*faults)
            show_rows(rows, wants_json=wants_json)
            await anyio.sleep_forever()

    await run_until_stopped(dial_in)


def _made_up(count: int, seed: int) -> list[str]:
    return [str(UUID(int=(seed << 64) + number + 1)) for number in range(count)]


def _rows(types: Sequence[str], uuids: Sequence[str]) -> list[dict[str, str]]:
    """Give what each device is."""
    if len(uuids) < len(types):
        raise UsageError(f"{len(types)} types are for as many devices at least")
    if len(set(types)) < len(types):
        raise UsageError("each --type is given once: they take turns")
    return [
        {"uuid": uuid, "type": types[number % len(types)]}
        for number, uuid in enumerate(uuids)
    ]
