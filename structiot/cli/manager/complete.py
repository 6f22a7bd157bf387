"""What a shell offers for a UUID: the devices that the managers tell of meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structiot.cli._common.completing import WAIT_S, Offer, completer
from structiot.cli.manager.fleet import open_fleet

__all__ = ["complete_uuid"]


@completer
async def complete_uuid(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the UUIDs of the devices that are connected, with their types."""
    # Who sends to many names none.
    if given.get("words") or given["kind"] or given["to_all"] or not given["uri"]:
        return []
    async with open_fleet(**{**given, "wait_s": WAIT_S}) as fleet:
        await fleet.all_told()
        return [(one.uuid, one.type) for one in fleet.manager.fleet.values()]
