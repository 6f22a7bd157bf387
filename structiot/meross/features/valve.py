"""Valves on a hub: of radiators (mts100, mts150 and their kin), and of sprinklers.

Facts: reference 4.12 and 12. Temperatures are ten times as large on the wire, the
adjustment a hundred times. A radiator valve sleeps: the hub acknowledges at once, and a
later push confirms. Pushes hold only what has changed. Of sprinklers (mst100, mst200 with
two zones) on is 1 and off is 2; `Hub.ToggleX` is acknowledged by them and moves nothing,
so that it is never used.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.climate import ClimateFeature, SetPoint
from structiot.meross.features.feature import About, Request, Update, entity_key
from structiot.meross.features.fields import Adjustable, Amount, Flag, Setting, Switched
from structiot.meross.features.samples import DIGEST_HUB, Freshness, stamp_of
from structiot.meross.features.subdevice import SubFeature
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, items_of, key_of, object_of
from structiot.model import ClimateState, State

__all__ = ["Sprinkler", "Valve", "ValveSettings"]

# How long a valve may sleep until it hears of an order.
_HOLD: Final = timedelta(minutes=2)
_ALL: Final = "Appliance.Hub.Mts100.All"
_MODE: Final = "Appliance.Hub.Mts100.Mode"
_TEMPERATURE: Final = "Appliance.Hub.Mts100.Temperature"
_ADJUST: Final = "Appliance.Hub.Mts100.Adjust"
_WINDOW: Final = "Appliance.Hub.Mts100.SuperCtl"
_TOGGLE: Final = "Appliance.Hub.ToggleX"


def _set_point(preset: str) -> SetPoint:
    return SetPoint(f"{preset}_temperature", (preset,), category="config", scale=10)


class Valve(SubFeature, ClimateFeature):
    """The valve as a `Climate`, the temperatures of its presets, and its window."""

    name = "valve"
    abilities: ClassVar[tuple[str, ...]] = (_TEMPERATURE,)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {DIGEST_HUB, _ALL, _MODE, _TEMPERATURE, _TOGGLE}
    )
    settings: Sequence[Setting] = (
        Setting(
            _TEMPERATURE,
            (
                Flag(
                    "window_open", ("openWindow",), name="Window", device_class="window"
                ),
                _set_point("comfort"),
                _set_point("economy"),
                _set_point("away"),
            ),
            pace=None,
        ),
        Setting(_ALL, pace="live"),
    )
    scale = 10
    modes: tuple[str, ...] = ("off", "heat", "auto")
    presets: ClassVar[Mapping[int, str]] = {
        0: "custom",
        1: "comfort",
        2: "economy",
        4: "away",
        3: "auto",
    }
    schedule = "auto"
    manual = "custom"
    numbers: ClassVar[Mapping[str, Container[int]]] = {
        "onoff": (0, 1),
        "state": presets,
        "heating": (0, 1),
    }
    preset = "state"
    current = "room"
    target = "currentSet"
    set_points: ClassVar[Mapping[int, str]] = presets
    temperatures: ClassVar[Sequence[str]] = ("room", "currentSet", *presets.values())
    tells_all = False

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._freshness = Freshness()
        # What was ordered, until the valve has heard of it; the hub knows only later.
        self._ordered: dict[str, int | None] = {}
        self._hold_until_utc: datetime | None = None

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Believe the order: the valve is asleep, and the rest of the answer is older."""
        key = key_of(request.namespace)
        orders, answers = items_of(request.payload, key), items_of(payload, key)
        told = {n: v for one in answers for n, v in one.items() if n != self.target}
        said = {key: [{**told, **one} for one in orders]}
        update = super().acknowledged(request, said, at_utc)
        names = {*self.numbers, *self.presets.values()}
        for item in orders:
            for name in names & item.keys():
                self._ordered[name] = integer_of(item[name])
        self._hold_until_utc = at_utc + _HOLD
        return update

    def _heard(self, item: Item, at_utc: datetime, *, is_by_valve: bool) -> Item:
        """Leave out what is older than an order that the valve has not heard of yet."""
        if self._hold_until_utc is None or at_utc >= self._hold_until_utc:
            self._ordered.clear()
        for name in [one for one in self._ordered if one in item]:
            if is_by_valve or integer_of(item[name]) == self._ordered[name]:
                del self._ordered[name]
        old = {*self._ordered, self.target} if self._ordered else set()
        return {name: value for name, value in item.items() if name not in old}

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read what it says of itself; what it does not say stays."""
        is_digest = namespace == DIGEST_HUB
        source = item if is_digest else object_of(item, "online")
        stamp = stamp_of(source.get("lastActiveTime"), at_utc)
        if not self._freshness.is_newest(self.name, stamp, is_old=is_digest):
            return {}
        if is_digest:
            item = self._of_digest(item)
        elif namespace == _ALL:
            onoff = object_of(item, "togglex").get("onoff")
            state = object_of(item, "mode").get("state")
            item = {**object_of(item, "temperature"), "onoff": onoff, "state": state}
        is_by_valve = not is_digest and namespace != _ALL
        item = self._heard(item, at_utc, is_by_valve=is_by_valve)
        return super().read(_TEMPERATURE, item, channel, at_utc)

    def state(self, channel: int) -> ClimateState | None:
        """Give what it does."""
        numbers = self.zone(channel).numbers
        return self.state_of(
            channel,
            is_on=numbers["onoff"] == 1 if "onoff" in numbers else None,
            is_active=numbers["heating"] == 1 if "heating" in numbers else None,
            working="heat",
        )

    def orders(self, channel: int, command: ClimateState) -> Sequence[Request]:
        """A target is that of the preset that is told; else it is a custom one."""
        preset = self.preset_for(channel, command)
        members: dict[str, object] = {}
        if command.target_c is not None:
            if preset is None and self.zone(channel).numbers["state"] != 0:
                preset = 0
            target = self.wire_temperature(command.target_c)
            members[self.presets[preset or 0]] = target
        orders: list[Request] = []
        if command.mode is not None:
            toggle = {"channel": 0, "onoff": 0 if command.mode == "off" else 1}
            orders.append(self.order_in(_TOGGLE, channel, toggle))
        if preset is not None:
            orders.append(self.order_in(_MODE, channel, {"state": preset}))
        if members:
            orders.append(self.order(channel, members))
        return orders

    def _of_digest(self, item: Item) -> Item:
        """Give what the digest says: on or off, the preset, now and then the target."""
        kinds = (self.about.model, "mts100", "mts100v3", "mts150", "mts150p")
        own = next((object_of(item, kind) for kind in kinds if kind in item), {})
        said = {"onoff": item.get("onoff"), "state": own.get("mode")}
        return {**said, **{k: v for k, v in own.items() if k == self.target}}


class ValveSettings(SubFeature):
    """What is added to what it measures, and whether it looks for open windows."""

    name = "valve_settings"
    abilities: ClassVar[tuple[str, ...]] = (_ADJUST, _WINDOW)
    settings: Sequence[Setting] = (
        Setting(
            _ADJUST,
            (
                Adjustable(
                    "temperature_adjustment",
                    ("temperature",),
                    category="config",
                    scale=100,
                    minimum=-5,
                    maximum=5,
                    lowest=-20,
                    highest=20,
                ),
            ),
        ),
        Setting(
            _WINDOW,
            (
                Switched(
                    "window_detection", ("enable",), category="config", is_optional=True
                ),
            ),
        ),
    )


_WATER: Final = "Appliance.Control.Water"
_CONFIG: Final = "Appliance.Config.DeviceCfg"
_MOST_ZONES: Final = 16
_DURATION: Final = Amount(
    "water_duration",
    ("mstCfg", "dura"),
    name="Duration",
    device_class="duration",
    minimum=1,
    maximum=86_400,
    unit="s",
)
_FLOW: Final = Flag(
    "water_flow", ("wflow",), name="Water flows", device_class="running"
)


class Sprinkler(ChannelFeature):
    """Water on and off by zone, whether it flows, and for how long it does by default."""

    name = "water"
    abilities: ClassVar[tuple[str, ...]] = (_WATER,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, _WATER, _CONFIG})
    settings: Sequence[Setting] = (
        Setting(_WATER, (Switched("water", ("onoff",), off=2),), pace="live"),
        Setting(_CONFIG, (_DURATION,)),
        Setting(DIGEST_HUB, (_FLOW,), pace=None),
    )
    is_certain = True
    asks_by_channel = True
    max_channels = _MOST_ZONES

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the zones of a payload; the digest has them in one item."""
        if namespace == DIGEST_HUB:
            item = object_of(payload, "hub")
            zones = items_of(item, "waDet") or (object_of(item, "mst"),)
            payload = {"hub": list(zones)}
        return super().take(namespace, payload, at_utc)

    def order(self, channel: int, members: Item) -> Request:
        """Give the order for a zone; what turns it on says for how long."""
        duration_s = self.known(entity_key(_DURATION.key, channel))
        if members["onoff"] == 1 and duration_s is not None:
            members = {**members, "dura": duration_s}
        return super().order(channel, members)
