"""What somebody sees of a simulated SEPL platform, and tells it to do."""

from __future__ import annotations

import json
from typing import Final

import asyncclick as click

from structiot._kit.text import printable
from structiot.cli._common.output import members, show_json
from structiot.cli._common.tables import show_table
from structiot.cli.sim.platform_console import Words
from structiot.sim import (
    SeplEvent,
    SeplLogEntry,
    SeplMessage,
    SeplPlatformSim,
    SeplRecord,
    SeplResponse,
)

__all__ = ["show_record", "words_of"]

_LONGEST: Final = 2000


def words_of(platform: SeplPlatformSim) -> Words:
    """Give what can be typed beside commands and faults."""
    return {
        "devices": ("list devices", lambda: _show_devices(platform)),
        "gateways": ("list gateways", lambda: _show_gateways(platform)),
        "drop": ("break off all connections", platform.drop),
    }


def _show_devices(platform: SeplPlatformSim) -> None:
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
            for one in platform.devices
        ],
    )


def _show_gateways(platform: SeplPlatformSim) -> None:
    show_table(
        ("id", "user", "devices", "connections", "hash"),
        [
            (one.id, one.user, len(one.devices), one.connections, one.hash)
            for one in platform.gateways.values()
        ],
    )


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
