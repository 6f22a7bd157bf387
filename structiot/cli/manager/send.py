"""`structiot manager send`: to one device, to all of a type, or to all."""

from __future__ import annotations

from collections.abc import Sequence

import asyncclick as click

from structiot._kit.text import error_text
from structiot.cli._common.device_commands import DeviceTarget
from structiot.cli._common.output import show_json
from structiot.cli._common.standard_input import read_all
from structiot.cli._common.tables import show_table
from structiot.cli.manager.complete import complete_uuid
from structiot.cli.manager.fleet import Fleet, fleet_command
from structiot.errors import StructiotError, UsageError
from structiot.manager import FateUnknown, SendReport
from structiot.manager.wire.info import canonical_uuid

__all__ = ["send"]


@click.command(short_help="Send a message to devices.")
@fleet_command(opens=False)
@click.argument(
    "words", nargs=-1, metavar="[UUID] [TEXT]", shell_complete=complete_uuid
)
@click.option("--type", "kind", metavar="TYPE", help="To all devices of a type.")
@click.option("--all", "to_all", is_flag=True, help="To all devices.")
async def send(
    target: DeviceTarget[Fleet],
    *,
    words: tuple[str, ...],
    kind: str | None,
    to_all: bool,
    wants_json: bool,
) -> None:
    """Send TEXT, or what stands on standard input, to the device UUID or to many.

    It is shown to whom it was delivered and to whom not, and why. The status is 1 unless
    it was delivered to all that it was for. What is `unknown` may have arrived: in our own
    dialect devices acknowledge, in the others nobody can tell, and nothing is sent twice.
    """
    if to_all and kind is not None:
        raise click.UsageError("--all are all devices, --type those of a type")
    uuid, text = _read(words, is_for_many=to_all or kind is not None)
    data = await read_all() if text is None else text
    async with target.open() as fleet:
        if uuid is not None:
            await fleet.find(uuid)
            report = await fleet.manager.send(uuid, data)
        else:
            await fleet.all_told()
            manager = fleet.manager
            report = await (
                manager.send_all(data)
                if kind is None
                else manager.send_type(kind, data)
            )
        if not (report.delivered or report.failed) or not fleet.manager.nodes:
            fleet.say_nobody()
    _show(report, wants_json=wants_json)
    if not report:
        raise SystemExit(1)


def _read(words: Sequence[str], *, is_for_many: bool) -> tuple[str | None, str | None]:
    """Give the UUID and the text; None for what is not there."""
    uuid = None
    if not is_for_many:
        if not words:
            raise click.UsageError("say to whom: UUID, --type TYPE or --all")
        uuid, *words = words
        uuid = canonical_uuid(uuid)
    elif len(words) > 1 and _is_uuid(words[0]):
        raise click.UsageError("say UUID, --type TYPE or --all, and one of them only")
    if len(words) > 1:
        raise click.UsageError("TEXT is one word: put it in quotation marks")
    return uuid, words[0] if words else None


def _is_uuid(word: str) -> bool:
    try:
        canonical_uuid(word)
    except UsageError:
        return False
    return True


def _show(report: SendReport, *, wants_json: bool) -> None:
    failed = {
        uuid: {"fate": _fate(error), "reason": error_text(error)}
        for uuid, error in report.failed.items()
    }
    if wants_json:
        show_json({"delivered": report.delivered, "failed": failed})
        return
    rows: list[tuple[str, str, str | None]]
    rows = [(uuid, "delivered", None) for uuid in report.delivered]
    rows += [(uuid, one["fate"], one["reason"]) for uuid, one in failed.items()]
    if rows:
        show_table(("uuid", "fate", "reason"), rows)


def _fate(error: StructiotError) -> str:
    return "unknown" if isinstance(error, FateUnknown) else "not delivered"
