"""Roller shutters: they run for as long as their motor is on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from structiot._kit.json_text import integer_of
from structiot.meross.wire.payloads import items_of, key_of
from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["Roller"]

_POSITION: Final = "Appliance.RollerShutter.Position"
_STATE: Final = "Appliance.RollerShutter.State"
_CONFIG: Final = "Appliance.RollerShutter.Config"
_ADJUST: Final = "Appliance.RollerShutter.Adjust"
_STOP: Final = -1


class Roller(Part):
    """One shutter, with its position, its movement and its run times.

    Args:
        stage: The device.
        is_native: Whether it stops in between; older firmware runs to the ends.
    """

    namespaces: tuple[str, ...] = (_POSITION, _STATE, _CONFIG, _ADJUST)

    def __init__(self, stage: Stage, *, is_native: bool = True) -> None:
        self._stage = stage
        self._is_native = is_native
        item = {
            "channel": 0,
            "signalOpen": 30_000,
            "signalClose": 20_000,
            "autoAdjust": 1,
            "lmTime": stage.stamp(),
        }
        self._config = Records(stage, _CONFIG, [item], is_pushed=False)
        self._position = 0.0
        self._target = 0.0
        self._speed = 0.0
        self._since_s = stage.clock.now_s()
        self._end: int | None = None

    @property
    def position(self) -> int:
        """Where it is: 100 is open, 0 is closed."""
        run_s = self._stage.clock.now_s() - self._since_s
        reached = self._position + self._speed * run_s
        return round(min(100.0, max(0.0, reached)))

    @property
    def state(self) -> int:
        """0 stands, 1 opens, 2 closes."""
        return 0 if self._speed == 0 else 1 if self._speed > 0 else 2

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with what is asked for."""
        if namespace == _CONFIG:
            return self._config.get(namespace, payload)
        told = {_POSITION: self.position, _STATE: self.state, _ADJUST: 0}[namespace]
        name = "status" if namespace == _ADJUST else key_of(namespace)
        return {key_of(namespace): [{"channel": 0, name: told}]}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Run, stop, or take other run times."""
        if namespace == _CONFIG:
            return self._config.set(namespace, payload)
        wanted = items_of(payload, "position") if namespace == _POSITION else ()
        position = integer_of(wanted[0].get("position")) if wanted else None
        if position is None or not _STOP <= position <= 100:
            raise Malformed(namespace)
        if not self._stage.faults.is_stuck:
            self._run(position)
        return {}

    def query(self, namespace: str) -> Item | None:
        """Answer a PUSH that asks for the adjustment."""
        return self.get(namespace, {}) if namespace == _ADJUST else None

    def set_mains(self, *, is_on: bool) -> None:
        """Stand where it is when the mains goes."""
        if not is_on:
            self._position, self._speed = float(self.position), 0.0

    def _run(self, position: int) -> None:
        was_moving = self._speed != 0
        self._position, self._speed = float(self.position), 0.0
        self._since_s = self._stage.clock.now_s()
        self._stage.agenda.cancel(self._end)
        if position != _STOP and not self._is_native:
            position = 100 if position >= 50 else 0
        distance = 0.0 if position == _STOP else position - self._position
        if distance == 0:
            if was_moving:
                self._tell(_POSITION)
                self._tell(_STATE)
            return
        config = self._config.items[0]
        whole_ms = config["signalOpen"] if distance > 0 else config["signalClose"]
        self._speed = (100 if distance > 0 else -100) / max(whole_ms / 1000, 0.1)
        self._target = float(position)
        self._end = self._stage.agenda.after(distance / self._speed, self._arrive)
        self._tell(_STATE)

    def _arrive(self) -> None:
        self._position, self._speed = self._target, 0.0
        self._tell(_POSITION)
        self._tell(_STATE)

    def _tell(self, namespace: str) -> None:
        self._stage.push(namespace, self.get(namespace, {}))
