"""What happens at a manager, as a line for people or as JSON."""

from __future__ import annotations

import json

import asyncclick as click

from structiot._kit.net.network import place
from structiot._kit.text import printable
from structiot.cli._common.output import show_json
from structiot.cli.manager.fleet import node_label
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    ClientReplaced,
    ManagerEvent,
    MessageReceived,
)

__all__ = ["show_event"]

_LONGEST = 2000
_KINDS = {
    ClientConnected: "connected",
    ClientDisconnected: "disconnected",
    ClientReplaced: "replaced",
    ClientRefused: "refused",
    MessageReceived: "message",
}


def show_event(event: ManagerEvent, *, wants_json: bool) -> None:
    """Print an event on a line of its own."""
    if wants_json:
        show_json({"event": _KINDS[type(event)], **_members(event)})
        return
    if isinstance(event, ClientRefused):
        who = place(*event.address)
    else:
        who = f"{event.client.uuid}  {event.client.type}"
    text = printable(f"{who}  {_words(event)}", most=_LONGEST)
    click.echo(f"{event.at_utc.astimezone():%H:%M:%S}  {text}")


def _words(event: ManagerEvent) -> str:
    match event:
        case ClientConnected(client=client):
            data = json.dumps(client.data.data, ensure_ascii=False)
            where = "" if client.is_local else f" to {node_label(client.node)}"
            return f"connected{where} from {place(*client.address)}: {data}"
        case ClientDisconnected(reason=reason):
            return f"gone: {reason}"
        case ClientReplaced(former=former):
            return f"connected anew, before from {place(*former.address)}"
        case ClientRefused(reason=reason):
            return f"refused: {reason}"
        case MessageReceived(data=data):
            return f"says {data.decode(errors='replace').rstrip()}"


def _members(event: ManagerEvent) -> dict[str, object]:
    told: dict[str, object] = {"at_utc": event.at_utc}
    if isinstance(event, ClientRefused):
        return {**told, "address": event.address, "reason": event.reason}
    client = event.client
    told |= {"uuid": client.uuid, "type": client.type, "node": node_label(client.node)}
    match event:
        case ClientConnected():
            told |= {"address": client.address, "data": client.data.data}
        case ClientDisconnected(reason=reason):
            told["reason"] = reason
        case ClientReplaced(former=former):
            told["former_address"] = former.address
        case MessageReceived(data=data):
            told |= _payload(data)
    return told


def _payload(data: bytes) -> dict[str, object]:
    """Give data as text, or in hexadecimal digits, as `structiot mqtt sub` does."""
    try:
        return {"payload": data.decode()}
    except UnicodeDecodeError:
        return {"payload_hex": data.hex()}
