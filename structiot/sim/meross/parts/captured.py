"""All that a captured device could be asked, by what it answered."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from structiot._kit.json_text import integer_of
from structiot.errors import UsageError
from structiot.meross.wire.payloads import items_of, key_of, object_of
from structiot.meross.wire.system import ALL
from structiot.sim.meross.captured_state import (
    CapturedState,
    chosen,
    identity_of_item,
)
from structiot.sim.meross.records import merge
from structiot.sim.meross.stage import Item, Malformed, Part

if TYPE_CHECKING:
    from structiot.sim.meross.stage import Stage

__all__ = ["Captured"]

# A device is set up, and says that it is, as it is now.
_OWN: Final = frozenset(
    f"Appliance.{name}"
    for name in ["Config.Key", "Config.Wifi", "Config.WifiX", "Control.Bind"]
)


class Captured(Part):
    """What a capture knows of a device.

    A SET changes the fields that it names of the items that it means, if these are
    there and of the type that they have; it moves nothing else.

    Args:
        stage: The device.
        state: What it was like.
    """

    def __init__(self, stage: Stage, state: CapturedState) -> None:
        self._stage = stage
        self._state = state
        self.namespaces: tuple[str, ...] = tuple(
            name
            for name in state.abilities
            if name not in _OWN and state.told(name) is not None
        )

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer as it answered; of several items those that are asked for."""
        told = self._told(namespace)
        if namespace == ALL:
            return self._all(told)
        key = key_of(namespace)
        wanted = [identity_of_item(one) for one in items_of(payload, key)]
        items = told.get(key)
        if isinstance(items, list) and wanted and None not in wanted:
            found = [
                one
                for one in items
                if isinstance(one, dict) and identity_of_item(one) in wanted
            ]
            return {**told, key: found}
        return told

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Change what is told of the items that are meant, and tell it."""
        if self._stage.faults.is_stuck:
            return {}
        key = key_of(namespace)
        changed = [
            item
            for wanted in items_of(payload, key)
            if (item := self._change(namespace, wanted)) is not None
        ]
        if not changed:
            raise Malformed(namespace)
        own = self._state.payloads[namespace]
        told = changed if isinstance(own[key], list) else changed[0]
        self._stage.push(namespace, {key: copy.deepcopy(told)})
        is_told = namespace in self._state.acknowledging
        return {key: copy.deepcopy(told)} if is_told else {}

    def query(self, namespace: str) -> Item | None:
        """Answer a PUSH that asks where one was answered."""
        is_asked = namespace in self._state.queried
        return self._told(namespace) if is_asked else None

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:
        """Change an item by a physical cause, and tell it."""
        wanted = {} if where is None else {"channel": where, "id": where}
        key = key_of(namespace)
        items = items_of(self._told(namespace), key)
        name = next(
            (n for n in wanted if any(i.get(n) == where for i in items)), "channel"
        )
        meant = dict(fields) if where is None else {**fields, name: where}
        item = self._change(namespace, meant)
        if item is None:
            raise UsageError(f"{namespace} has no {where}")
        is_list = isinstance(self._state.payloads[namespace][key], list)
        told = copy.deepcopy(item)
        self._stage.push(namespace, {key: [told] if is_list else told})

    def digest(self) -> Item:
        """Give the digest as it is now."""
        return copy.deepcopy(self._state.digest)

    # ------------------------------------------------------------ inside

    def _told(self, namespace: str) -> Item:
        found = self._state.told(namespace)
        if found is None:
            raise Malformed(namespace)
        return copy.deepcopy(found)

    def _change(self, namespace: str, wanted: Mapping[str, Any]) -> Item | None:
        """Change the item that is meant, here and in the digest; give it."""
        state, key = self._state, key_of(namespace)
        if namespace not in state.payloads:
            state.payloads[namespace] = self._told(namespace)
        item = chosen(_several(state.payloads[namespace].get(key)), wanted)
        if item is None:
            return None
        self._merge(item, wanted)
        place = state.in_digest(namespace)
        if place is not None:
            short = chosen(_several(place[0][place[1]]), wanted)
            if short is not None:
                self._merge(short, wanted)
        return item

    def _merge(self, item: Item, wanted: Mapping[str, Any]) -> None:
        merge(item, wanted)
        if "lmTime" in item:
            item["lmTime"] = self._stage.stamp()

    def _all(self, told: Item) -> Item:
        """Say who it is by what it is here: its address, its time, its connection."""
        stage = self._stage
        hardware = object_of(told, "all", "system", "hardware")
        firmware = object_of(told, "all", "system", "firmware")
        time = object_of(told, "all", "system", "time")
        online = object_of(told, "all", "system", "online")
        for found, name, value in (
            (hardware, "uuid", stage.uuid),
            (hardware, "macAddress", stage.mac),
            (firmware, "innerIp", stage.lan_host),
            (firmware, "server", stage.server),
            (firmware, "port", stage.port),
            (firmware, "userId", integer_of(stage.user_id) or 0),
            (time, "timestamp", stage.stamp()),
            (online, "status", 1 if stage.is_online else 0),
        ):
            if name in found and isinstance(found, dict):
                found[name] = value
        return told


def _several(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
