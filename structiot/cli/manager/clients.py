"""`structiot manager clients`: which devices are connected, and to which manager."""

from __future__ import annotations

import json

import asyncclick as click

from structiot._kit.net.network import place
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_table
from structiot.cli.manager.fleet import Fleet, fleet_command, node_label
from structiot.manager import BaseClient

__all__ = ["clients"]

_COLUMNS = ("uuid", "type", "node", "address", "dialect", "since", "data")


@click.command(short_help="List the devices that are connected.")
@fleet_command()
@click.option("--type", "kind", help="Only those of this type.")
async def clients(fleet: Fleet, *, kind: str | None, wants_json: bool) -> None:
    """List the devices that are connected to any of the managers of a broker.

    The managers were started with the same `--uri` and `--name`.
    """
    await fleet.all_told()
    found = [
        one for one in fleet.manager.fleet.values() if kind is None or one.type == kind
    ]
    found.sort(key=lambda one: (one.type, one.uuid))
    if wants_json:
        show_json([_row(one) for one in found])
    elif found:
        show_table(_COLUMNS, [_cells(one) for one in found])
    if not found:
        fleet.say_nobody()


def _row(client: BaseClient) -> dict[str, object]:
    return {
        **client.return_data(),
        "node": node_label(client.node),
        "address": list(client.address),
        "dialect": client.dialect,
        "connected_at_utc": client.connected_at_utc,
    }


def _cells(client: BaseClient) -> list[object]:
    host, port = client.address
    return [
        client.uuid,
        client.type,
        node_label(client.node),
        place(host, port),
        client.dialect,
        f"{client.connected_at_utc.astimezone():%Y-%m-%d %H:%M:%S}",
        json.dumps(client.data.data, ensure_ascii=False, separators=(",", ":")),
    ]
