"""What somebody sees of a simulated SEPL platform, and tells it to do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import asyncclick as click
from anyio.abc import TaskGroup

from structiot._kit.text import error_text, printable
from structiot.cli._common.output import (
    members,
    say_at_terminal,
    show_json,
    show_table,
)
from structiot.cli._common.typed_lines import TypedLines
from structiot.errors import StructiotError
from structiot.sim import (
    SeplEvent,
    SeplLogEntry,
    SeplMessage,
    SeplPlatformSim,
    SeplRecord,
    SeplResponse,
    show_fault,
)

__all__ = ["Console", "show_record"]

Parts: TypeAlias = dict[str, str | None]

_LONGEST: Final = 2000
_PATIENCE_S: Final = 30.0
_HELP: Final = """\
DEVICE SERVICE [DATA [METADATA]]  give a device a command: lamp-1 on '{"level": 5}'
devices                           list devices
gateways                          list gateways
fault NAME[=VALUE][@WHAT][*TIMES] get something wrong: fault refuse@put*1
behave                            get nothing wrong any more
drop                              break off all connections"""


class Console:
    """Takes what is typed.

    Args:
        platform: What it is for.
        tasks: For what takes a while.
    """

    def __init__(self, platform: SeplPlatformSim, tasks: TaskGroup) -> None:
        self._platform = platform
        self._tasks = tasks
        self._words: dict[str, Callable[[], Awaitable[None] | None]] = {
            "help": lambda: click.echo(_HELP, err=True),
            "devices": self._show_devices,
            "gateways": self._show_gateways,
            "behave": platform.faults.clear,
            "drop": platform.drop,
        }

    async def run(self) -> None:
        """Do what is typed, until the input ends."""
        say_at_terminal(
            "Type DEVICE SERVICE [DATA [METADATA]] to give a command, or help."
        )
        async for line in TypedLines():
            try:
                await self._obey(shlex.split(line))
            except (StructiotError, ValueError) as exc:
                _say(error_text(exc))

    async def _obey(self, words: list[str]) -> None:
        match words:
            case []:
                return
            case [word]:
                if word not in self._words:
                    _say(f"{word} needs a service; help says what can be typed")
                elif (going_on := self._words[word]()) is not None:
                    await going_on
            case ["fault", text]:
                self._platform.named_faults.parse(text)
                self._tasks.start_soon(show_fault, self._platform, text)
            case [device, service]:
                self._tasks.start_soon(self._command, device, service, None)
            case [device, service, data, *rest] if len(rest) <= 1:
                parts: Parts = {"metadata": "".join(rest), "data": data}
                self._tasks.start_soon(self._command, device, service, parts)
            case _:
                _say("too many words: put DATA and METADATA into quotes")

    async def _command(self, device: str, service: str, parts: Parts | None) -> None:
        """Give a command; its response is shown like all others."""
        try:
            with anyio.fail_after(_PATIENCE_S):
                await self._platform.send_command(device, service, parts)
        except StructiotError as exc:
            _say(error_text(exc))
        except TimeoutError:
            _say(f"{device} has not responded to {service} within {_PATIENCE_S:g} s")

    def _show_devices(self) -> None:
        show_table(
            ("uri", "name", "type", "tags", "online", "user"),
            [
                (
                    one.uri,
                    one.name,
                    one.type,
                    " ".join(one.tags),
                    one.is_online,
                    one.user,
                )
                for one in self._platform.devices
            ],
        )

    def _show_gateways(self) -> None:
        show_table(
            ("id", "user", "devices", "connections", "hash"),
            [
                (one.id, one.user, len(one.devices), one.connections, one.hash)
                for one in self._platform.gateways.values()
            ],
        )


def _say(text: str) -> None:
    click.echo(printable(text), err=True)


_KINDS: Final = {SeplMessage: "message", SeplEvent: "event", SeplResponse: "response"}


def show_record(record: SeplRecord, *, wants_json: bool) -> None:
    """Print what has come on a line of its own; what tells nothing new is left out."""
    if isinstance(record, SeplMessage) and _is_told_otherwise(record):
        return
    if wants_json:
        show_json({"event": _kind(record), **members(record)})
        return
    text = printable(_words(record), most=_LONGEST)
    click.echo(f"{record.at_utc.astimezone():%H:%M:%S}  #{record.connection}  {text}")


def _is_told_otherwise(message: SeplMessage) -> bool:
    is_other = message.handler in {"handshake", "event", "response"}
    return is_other and message.status == 200


def _kind(record: SeplRecord) -> str:
    if isinstance(record, SeplLogEntry):
        return "ended" if record.is_end else "connected"
    return _KINDS[type(record)]


def _words(record: SeplRecord) -> str:
    match record:
        case SeplLogEntry(is_end=True):
            return f"ended: {record.what}"
        case SeplLogEntry():
            return f"connected: {record.user}, gateway {record.gid}"
        case SeplEvent() | SeplResponse():
            parts = "  ".join(f"{name} {text}" for name, text in record.parts.items())
            what = "responds" if isinstance(record, SeplResponse) else "tells"
            return f"{record.device_uri} {record.service_uri} {what}  {parts}"
        case SeplMessage():
            payload = json.dumps(record.payload, ensure_ascii=False)
            return f"{record.handler or 'unreadable'} {payload}: {record.status}"
