"""Relays: `Control.ToggleX` with or without a master, and `Control.Toggle` before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from structiot._kit.json_text import integer_of
from structiot.meross.wire.payloads import items_of
from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Item, Malformed, Stage

__all__ = ["TOGGLE_X", "Relay", "Toggle", "ToggleX"]

TOGGLE_X: Final = "Appliance.Control.ToggleX"


class Relay(Records):
    """What is on or off."""

    def is_on(self, channel: int = 0) -> bool:
        """Tell whether a relay is on."""
        item = self.find(channel)
        return item is not None and item["onoff"] == 1


class ToggleX(Relay):
    """Channel 0, and if there are `outlets`, these as 1 and so on with 0 as master.

    Args:
        stage: The device.
        outlets: How many there are besides channel 0.
        is_on: Whether they are on at first.
        is_empty: Whether there are none at all, though the ability is listed.
        has_master: Whether channel 0 stands for all others.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        outlets: int = 0,
        is_on: bool = True,
        is_empty: bool = False,
        has_master: bool = True,
    ) -> None:
        channels = range(0 if is_empty else outlets + 1)
        super().__init__(
            stage,
            TOGGLE_X,
            [
                {"channel": number, "onoff": int(is_on), "lmTime": stage.stamp()}
                for number in channels
            ],
            is_list=outlets > 0 or is_empty,
            digest=("togglex",),
        )
        self.is_strip: bool = outlets > 0 and has_master

    def apply(self, wanted: Mapping[str, Any]) -> list[Item]:
        """Switch a relay; channel 0 of a strip switches all of them."""
        item, value = self.find(wanted.get("channel")), integer_of(wanted.get("onoff"))
        if item is None or value not in {0, 1} or self.stage.faults.is_stuck:
            return []
        changed = [item]
        if self.is_strip and item["channel"] == 0:
            changed = list(self.items)
        for one in changed:
            one["onoff"] = value
            self._stamp(one)
        if self.is_strip:
            self.items[0]["onoff"] = int(any(i["onoff"] for i in self.items[1:]))
        return changed


class Toggle(Relay):
    """The relay of first hardware; its state stands at `all.control.toggle`."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(
            stage,
            "Appliance.Control.Toggle",
            [{"onoff": 1, "lmTime": stage.stamp()}],
            is_list=False,
            digest=("toggle",),
            is_digest_list=False,
        )
        self.namespaces: tuple[str, ...] = (
            "Appliance.Control.Toggle",
            "Appliance.Control.Timer",
            "Appliance.Control.Trigger",
        )

    def find(self, channel: object) -> Item | None:
        """Give the only one, which has no channel."""
        return self.items[0] if integer_of(channel or 0) == 0 else None

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with the state, or with no timers."""
        if namespace == self.namespace:
            # It names no channel, and takes it ill if one does.
            return super().get(namespace, {**payload, self.key: {}})
        return {namespace.rpartition(".")[2].lower(): []}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Switch it."""
        wanted = items_of(payload, self.key)
        if namespace != self.namespace or not wanted or "onoff" not in wanted[0]:
            raise Malformed(namespace)
        self.tell(self.apply(wanted[0]))
        return {}

    def apply(self, wanted: Mapping[str, Any]) -> list[Item]:
        """Switch it."""
        value = integer_of(wanted.get("onoff"))
        if value not in {0, 1} or self.stage.faults.is_stuck:
            return []
        self.items[0]["onoff"] = value
        self._stamp(self.items[0])
        return self.items

    def digest(self) -> Item:
        """Give what stands at `all.control`."""
        return {**super().digest(), "timer": [], "trigger": []}
