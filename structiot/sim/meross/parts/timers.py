"""Timers and triggers: kept by their ids, and not carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structiot._kit.json_text import integer_of
from structiot.meross.wire.payloads import items_of, key_of
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["Timers"]

_MOST = 64


class Timers(Part):
    """`Control.TimerX` and `Control.TriggerX`, with their digests."""

    namespaces: tuple[str, ...] = (
        "Appliance.Control.TimerX",
        "Appliance.Control.TriggerX",
        "Appliance.Digest.TimerX",
        "Appliance.Digest.TriggerX",
    )

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kept: dict[str, dict[str, Item]] = {"timerx": {}, "triggerx": {}}
        self._counts: dict[str, int] = {}

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with the one that is asked for, or with what there is."""
        kind = namespace.rpartition(".")[2].lower()
        kept = self._kept[kind]
        if ".Digest." in namespace:
            return {"digest": [self._short(item) for item in kept.values()]}
        wanted = items_of(payload, key_of(namespace))
        item = kept.get(str(wanted[0].get("id"))) if wanted else None
        short = {} if item is None else self._short(item)
        return {"digest": short, kind: {} if item is None else item}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Keep one."""
        kind = namespace.rpartition(".")[2].lower()
        wanted = items_of(payload, kind)
        if ".Digest." in namespace or not wanted or "id" not in wanted[0]:
            raise Malformed(namespace)
        name = str(wanted[0]["id"])
        if name not in self._kept[kind] and len(self._kept[kind]) >= _MOST:
            raise Malformed(namespace)
        self._kept[kind][name] = dict(wanted[0])
        self._counts[name] = self._counts.get(name, 0) + 1
        self._stage.push(namespace, {kind: wanted[0]})
        return {}

    def delete(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Forget one."""
        kind = namespace.rpartition(".")[2].lower()
        wanted = items_of(payload, kind)
        name = str(wanted[0].get("id")) if wanted else ""
        if ".Digest." in namespace or name not in self._kept[kind]:
            raise Malformed(namespace)
        del self._kept[kind][name]
        return {}

    def digest(self) -> Item:
        """Give the short form of all."""
        return {
            kind: [self._short(item) for item in kept.values()]
            for kind, kept in self._kept.items()
        }

    def _short(self, item: Mapping[str, Any]) -> Item:
        name = str(item["id"])
        channel = integer_of(item.get("channel")) or 0
        return {"channel": channel, "id": name, "count": self._counts[name]}
