"""Radiator valves (mts100, mts100v3, mts150, mts150p).

Facts: reference 4.12. Temperatures are ten times as large on the wire, the adjustment a
hundred times. A valve sleeps: the hub acknowledges at once, and a later push confirms.
Pushes hold only what has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.errors import UsageError
from structiot.meross.features.climate import wire_temperature
from structiot.meross.features.feature import Request, Update
from structiot.meross.features.fields import (
    Adjustable,
    Flag,
    Limits,
    Setting,
    Switched,
    celsius,
    limits_of,
)
from structiot.meross.features.freshness import stamp_of
from structiot.meross.features.subdevice import (
    DIGEST_HUB,
    SubAbout,
    SubPoll,
    TableSubFeature,
    joined,
)
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import Climate, ClimateState, Command, Entity

__all__ = ["VALVES", "Valve"]

VALVES: Final = ("mts100", "mts100v3", "mts150", "mts150p")

_ALL: Final = "Appliance.Hub.Mts100.All"
_MODE: Final = "Appliance.Hub.Mts100.Mode"
_TEMPERATURE: Final = "Appliance.Hub.Mts100.Temperature"
_ADJUST: Final = "Appliance.Hub.Mts100.Adjust"
_WINDOW: Final = "Appliance.Hub.Mts100.SuperCtl"
_TOGGLE: Final = "Appliance.Hub.ToggleX"

_PRESETS: Final = {0: "custom", 1: "comfort", 2: "economy", 4: "away", 3: "auto"}
_NUMBERS: Final = {name: number for number, name in _PRESETS.items()}
_CUSTOM: Final = 0
_AUTO: Final = 3
_SCALE: Final = 10
_STEP_C: Final = 0.5
_TARGET: Final = "currentSet"
_KEY: Final = "valve"


def _preset(name: str) -> Adjustable:
    return Adjustable(
        key=f"{name}_temperature",
        path=(name,),
        name=f"{name.capitalize()} temperature",
        category="config",
        device_class="temperature",
        scale=_SCALE,
        minimum=5,
        maximum=35,
        step=_STEP_C,
    )


_ADJUSTMENT: Final = Adjustable(
    key="temperature_adjustment",
    path=("temperature",),
    name="Temperature adjustment",
    category="config",
    scale=100,
    minimum=-5,
    maximum=5,
    lowest=-20,
    highest=20,
    step=0.5,
)
_DETECTION: Final = Switched(
    key="window_detection",
    path=("enable",),
    name="Window detection",
    category="config",
    is_optional=True,
)
_OPENED: Final = Flag(
    key="window_open", path=("openWindow",), name="Window", device_class="window"
)


class Valve(TableSubFeature):
    """The valve as a `Climate`, the temperatures of its presets, and its window."""

    name = _KEY
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {DIGEST_HUB, _ALL, _MODE, _TEMPERATURE, _ADJUST, _WINDOW, _TOGGLE}
    )
    polls: ClassVar[tuple[SubPoll, ...]] = (
        SubPoll(namespace=_ALL),
        SubPoll(namespace=_ADJUST, pace="slow"),
        SubPoll(namespace=_WINDOW, pace="slow"),
    )
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            namespace=_TEMPERATURE,
            fields=(_OPENED, _preset("comfort"), _preset("economy"), _preset("away")),
        ),
        Setting(namespace=_ADJUST, fields=(_ADJUSTMENT,)),
        Setting(namespace=_WINDOW, fields=(_DETECTION,)),
    )

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._is_on: bool | None = None
        self._mode: int | None = None
        self._is_heating: bool | None = None
        self._temperatures_c: dict[str, float] = {}
        self._limits_c: Limits = (5.0, 35.0)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The valve, then its settings."""
        low, high = self._limits_c
        climate = Climate(
            key=_KEY,
            modes=("off", "heat", "auto"),
            presets=tuple(_PRESETS.values()),
            min_target_c=low,
            max_target_c=high,
            step_c=_STEP_C,
        )
        return (climate, *self.table.entities)

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read what it says of itself; what it does not say stays."""
        if namespace in {_ADJUST, _WINDOW}:
            return self.table.take(namespace, item)
        if not self._is_newest(namespace, item, at_utc):
            return Update()
        before = self._limits_c
        toggle, mode, temperature = _parts(namespace, item, self.about.kind)
        self._read_mode(toggle, mode)
        self._read_temperature(temperature)
        state = Update(
            states={_KEY: self._state()}, entities_changed=self._limits_c != before
        )
        return joined([state, self.table.take(_TEMPERATURE, temperature)])

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request] | None:
        """Set the mode, preset or target of the valve, or one of its settings.

        Raises:
            UsageError: A target for the schedule, which has its own.
        """
        if key == _KEY and isinstance(command, ClimateState):
            return self._climate(command)
        return super().command(key, command, at_utc)

    def _climate(self, command: ClimateState) -> Sequence[Request]:
        """A target is that of the preset that is told; else it is a custom one."""
        preset = None if command.preset is None else _NUMBERS[command.preset]
        if command.mode == "auto":
            if preset not in (None, _AUTO):
                raise UsageError(f"in auto a valve has no preset {command.preset}")
            preset = _AUTO
        elif command.mode == "heat" and preset is None and self._mode == _AUTO:
            preset = _CUSTOM
        members: dict[str, object] = {}
        if command.target_c is not None:
            if preset == _AUTO:
                raise UsageError("the schedule of a valve has its own targets")
            if preset is None and self._mode != _CUSTOM:
                preset = _CUSTOM
            name = _PRESETS[_CUSTOM if preset is None else preset]
            members[name] = wire_temperature(command.target_c, _SCALE, _STEP_C)
        requests: list[Request] = []
        if command.mode is not None:
            onoff = 0 if command.mode == "off" else 1
            requests.append(self.order(_TOGGLE, {"channel": 0, "onoff": onoff}))
        if preset is not None:
            requests.append(self.order(_MODE, {"state": preset}))
        if members:
            requests.append(self.order(_TEMPERATURE, members))
        return requests

    def _is_newest(self, namespace: str, item: Item, at_utc: datetime) -> bool:
        is_digest = namespace == DIGEST_HUB
        source = item if is_digest else object_of(item, "online")
        stamp = stamp_of(source.get("lastActiveTime"), at_utc)
        return self.freshness.is_newest(_KEY, stamp, is_old=is_digest)

    def _read_mode(self, toggle: Item, mode: Item) -> None:
        onoff = integer_of(toggle.get("onoff"))
        if onoff in (0, 1):
            self._is_on = onoff == 1
        state = integer_of(mode.get("state"))
        if state not in _PRESETS or state == self._mode:
            return
        self._mode = state
        # The target follows until the valve confirms it; of the schedule it is unknown.
        target = self._temperatures_c.get(_PRESETS[state])
        if target is not None:
            self._temperatures_c[_TARGET] = target

    def _read_temperature(self, item: Item) -> None:
        for name in ("room", *_PRESETS.values(), _TARGET):
            temperature = celsius(item.get(name), _SCALE)
            if temperature is not None:
                self._temperatures_c[name] = temperature
        point = None if self._mode is None else _PRESETS[self._mode]
        if point in item and _TARGET not in item and point in self._temperatures_c:
            self._temperatures_c[_TARGET] = self._temperatures_c[point]
        heating = integer_of(item.get("heating"))
        if heating in (0, 1):
            self._is_heating = heating == 1
        limits = limits_of(item, "min", "max", _SCALE)
        if limits is not None and limits[0] >= -50 and limits[1] <= 150:
            self._limits_c = limits

    def _state(self) -> ClimateState:
        mode = None if self._is_on is None else "heat" if self._is_on else "off"
        if mode == "heat" and self._mode == _AUTO:
            mode = "auto"
        action = {None: None, True: "heating", False: "idle"}[self._is_heating]
        return ClimateState(
            mode=mode,
            target_c=self._temperatures_c.get(_TARGET),
            current_c=self._temperatures_c.get("room"),
            action="off" if mode == "off" else action,
            preset=None if self._mode is None else _PRESETS[self._mode],
        )


def _parts(namespace: str, item: Item, kind: str) -> tuple[Item, Item, Item]:
    """Give what is said of on and off, of the mode, and of temperatures."""
    if namespace == DIGEST_HUB:
        own = next((object_of(item, k) for k in (kind, *VALVES) if k in item), {})
        target = {_TARGET: own[_TARGET]} if _TARGET in own else {}
        return item, {"state": own.get("mode")}, target
    if namespace == _ALL:
        return (
            object_of(item, "togglex"),
            object_of(item, "mode"),
            object_of(item, "temperature"),
        )
    if namespace == _MODE:
        return {}, item, {}
    return (item, {}, {}) if namespace == _TOGGLE else ({}, {}, item)
