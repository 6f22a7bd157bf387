"""Garage doors: the contact at the door is all that the device knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from structiot._kit.json_text import integer_of
from structiot.errors import UsageError
from structiot.meross.wire.payloads import items_of
from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Item, Malformed, Stage

__all__ = ["GarageDoors", "garage_config", "multiple_config"]

_OPENS_S: Final = 2.0
_CLOSES_S: Final = 10.0


class GarageDoors(Records):
    """Doors that open and close in their time.

    Args:
        stage: The device.
        channels: Their channels; of several, a command to channel 0 moves all.

    Attributes:
        opens_s: How long after a command the contact tells that a door is open.
        closes_s: How long after a command it tells that it is closed.
    """

    def __init__(self, stage: Stage, *, channels: Sequence[int] = (0,)) -> None:
        now = stage.stamp()
        extra = {} if len(channels) == 1 else {"doorEnable": 1}
        super().__init__(
            stage,
            "Appliance.GarageDoor.State",
            [{"channel": n, **extra, "open": 0, "lmTime": now} for n in channels],
            digest=("garageDoor",),
            is_list=len(channels) > 1,
        )
        self.opens_s: float = _OPENS_S
        self.closes_s: float = _CLOSES_S
        self._moves: dict[int, int] = {}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Give the motor its signal; the answer tells where the door is by now."""
        wanted = items_of(payload, self.key)
        if not wanted or integer_of(wanted[0].get("open")) not in {0, 1}:
            raise Malformed(namespace)
        rows = []
        for one in wanted:
            channel = integer_of(one.get("channel")) or 0
            is_all = channel == 0 and len(self.items) > 1
            for door in self.items:
                if is_all or door["channel"] == channel:
                    self._move(door, integer_of(one.get("open")) or 0)
                    rows.append({**door, "execute": 1})
        return {self.key: self.stage.shaped(rows, is_list=len(self.items) > 1)}

    def arrive(self, channel: int | None, is_open: int) -> None:
        """Be there, by the motor or by hand.

        Raises:
            UsageError: There is no such door.
        """
        door = self.find(channel)
        if door is None:
            raise UsageError(f"there is no door {channel}")
        self._stop(door)
        if door["open"] == is_open:
            return
        door.update(open=is_open, lmTime=self.stage.stamp())
        self.stage.push(self.namespace, {self.key: [dict(door)]})
        if len(self.items) > 1:
            # Firmware tells of a door that is none.
            online = {"online": {"timestamp": self.stage.stamp()}}
            none = {"channel": 0, "doorEnable": 0, "open": 0, "lmTime": 0}
            self.stage.push(self.namespace, {self.key: [none], "reason": online})

    def _move(self, door: Item, is_open: int) -> None:
        self._stop(door)
        if door["open"] == is_open or self.stage.faults.is_stuck:
            return
        channel = door["channel"]
        takes_s = self.opens_s if is_open else self.closes_s
        act = partial(self.arrive, channel, is_open)
        self._moves[channel] = self.stage.agenda.after(takes_s, act)

    def _stop(self, door: Item) -> None:
        self.stage.agenda.cancel(self._moves.pop(door["channel"], None))


def garage_config(stage: Stage) -> Records:
    """Make the settings of a device with one door."""
    item = {
        "signalDuration": 1000,
        "buzzerEnable": 1,
        "doorOpenDuration": 30_000,
        "doorCloseDuration": 30_000,
    }
    name = "Appliance.GarageDoor.Config"
    return Records(stage, name, [item], is_list=False, is_pushed=False)


def multiple_config(stage: Stage, *, channels: Sequence[int]) -> Records:
    """Make the settings of a device with several doors."""
    items = [
        {
            "channel": channel,
            "doorEnable": 1,
            "timestamp": stage.stamp(),
            "timestampMs": 0,
            "signalOpen": 1000,
            "signalClose": 1000,
            "buzzerEnable": 1,
        }
        for channel in channels
    ]
    return Records(stage, "Appliance.GarageDoor.MultipleConfig", items)
