"""`structiot meross sniff`: what an app and a device say to each other, in a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import printable
from structiot.cli._common.options import common_options, configure_logging, json_option
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.standard_input import can_be_typed
from structiot.cli._common.tables import show_table
from structiot.cli._common.typed_lines import TypedLines
from structiot.cli.meross.account import (
    account_options,
    open_account,
    password_given,
)
from structiot.cli.meross.complete import complete_device
from structiot.errors import UsageError
from structiot.meross.account import Meross
from structiot.meross.capture import SENSITIVE_STILL, Sniffer, open_sniffer
from structiot.meross.device import MerossDevice
from structiot.meross.wire.capture import Kind, Record, encode_record

__all__ = ["sniff"]

_WIDE = 160
_PLURALS = {Kind.REQUEST: "s", Kind.ANSWER: "s", Kind.PUSH: "es", Kind.ANNOTATION: "s"}


@click.command(short_help="Capture what an app and a device say.")
@click.argument("device", required=False, shell_complete=complete_device)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("data.zip"),
    help="The file to write.",
)
@click.option("--overwrite", is_flag=True, help="Take the place of such a file.")
@click.option(
    "--seconds",
    "for_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Listen for so long; needed where there is no terminal.",
)
@click.option("--listen-only", is_flag=True, help="Ask the device nothing.")
@account_options
@json_option
@common_options
@click.pass_context
async def sniff(
    ctx: click.Context,
    /,
    *,
    device: str | None,
    output: Path,
    overwrite: bool,
    for_s: float | None,
    listen_only: bool,
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Write what the app and a device of the account say to each other into a zip file.

    DEVICE is a name or a uuid; without it you choose one. Then use the phone app, with
    its Wi-Fi off, as nothing is heard of what goes through the local network. Whatever
    you type meanwhile is written beside it; an empty line ends the capture, as does
    Ctrl-C. `structiot meross replay` serves it as a simulated device.
    """
    configure_logging(ctx)
    if not can_be_typed() and (for_s is None or device is None):
        message = "there is no terminal to type at: give a DEVICE and --seconds"
        raise click.UsageError(message)
    if _is_there(output) and not overwrite:
        message = f"{output} is there already; --overwrite takes its place"
        raise click.UsageError(message)
    done: list[Sniffer] = []
    lines = TypedLines()

    async def listen() -> None:
        password = await password_given(given["password_file"])
        async with open_account(**given, policy="lan_first") as account:
            chosen = (
                await _choose(account, lines)
                if device is None
                else account.device(device)
            )
            click.echo(SENSITIVE_STILL, err=True)
            secrets = [given["email"]] if given["email"] else []
            secrets += [password.reveal()] if password else []
            async with open_sniffer(
                account,
                chosen,
                output,
                overwrites=overwrite,
                asks=not listen_only,
                secrets=secrets,
            ) as sniffer:
                done.append(sniffer)
                with anyio.move_on_after(math.inf if for_s is None else for_s):
                    await _capture(sniffer, lines, wants_json=wants_json)

    await run_until_stopped(listen)
    if done:
        _show_counts(done[0], wants_json=wants_json)


async def _choose(account: Meross, lines: TypedLines) -> MerossDevice:
    devices = sorted(account.devices.values(), key=lambda one: one.info.name.lower())
    if not devices:
        raise UsageError("the account has no device")
    show_table(
        ("number", "name", "uuid"),
        [(number, one.info.name, one.info.id) for number, one in enumerate(devices, 1)],
    )
    click.echo("Which one? ", nl=False)
    async for line in lines:
        if line.isdecimal() and 0 < int(line[:6]) <= len(devices):
            return devices[int(line) - 1]
        click.echo(f"A number from 1 to {len(devices)}: ", nl=False)
    raise click.Abort


async def _capture(sniffer: Sniffer, lines: TypedLines, *, wants_json: bool) -> None:
    """Show what is heard and take what is typed, until that ends."""
    async with service_group() as tasks:
        tasks.start_soon(_show, sniffer, wants_json, name="structiot.cli.meross.sniff")
        if not can_be_typed():
            await anyio.sleep_forever()
        click.echo(
            "Listening. Say what you are going to do in the app, then do it; an empty"
            " line ends the capture.",
            err=True,
        )
        async for line in lines:
            if not line:
                return
            sniffer.annotate(line)
            # From here on what happens belongs to it.
            click.echo("noted: do it now", err=True)


async def _show(sniffer: Sniffer, wants_json: bool) -> None:  # noqa: FBT001 - of a task
    async with sniffer.records() as records:
        async for record in records:
            if wants_json:
                click.echo(encode_record(record), nl=False)
            elif record.kind is not Kind.ANNOTATION:
                click.echo(_line_of(record))


def _line_of(record: Record) -> str:
    time = record.at[11:19]
    envelope = record.envelope
    if envelope is None:
        return printable(f"{time} {record.text}", most=_WIDE)
    payload = json.dumps(envelope.payload)
    name = envelope.namespace.removeprefix("Appliance.")
    text = f"{time} {record.by:9} {envelope.method:6} {name} {payload}"
    return printable(text, most=_WIDE)


def _show_counts(sniffer: Sniffer, *, wants_json: bool) -> None:
    counts: Mapping[str, int] = sniffer.counts
    if wants_json:
        show_json({"path": str(sniffer.path), "counts": dict(counts)})
        return
    words = [
        f"{number} {name}{'' if number == 1 else ending}"
        for name, ending in _PLURALS.items()
        if (number := counts[name])
    ]
    click.echo(f"{sniffer.path}: {', '.join(words) or 'nothing was said'}")
    if counts["dropped"]:
        click.echo(f"{counts['dropped']} more had no room", err=True)


def _is_there(path: Path) -> bool:
    return path.exists()
