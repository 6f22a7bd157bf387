"""Sensors of a device on the Wi-Fi: presence, light, temperature and humidity.

Facts: reference 4.11. Channel and names are always asked for: a ms600 that is asked
without them answers with an error, or starts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Adjustable, Choice, Setting, scaled
from structiot.meross.features.freshness import Freshness, stamp_of
from structiot.meross.features.table import MAX_CHANNELS
from structiot.meross.features.table_feature import TableFeature
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, object_of
from structiot.model import BinarySensor, Entity, Sensor, State

__all__ = ["LATEST_X", "PresenceSettings", "RoomSensors"]

LATEST_X: Final = "Appliance.Control.Sensor.LatestX"
_HISTORY_X: Final = "Appliance.Control.Sensor.HistoryX"
_LATEST: Final = "Appliance.Control.Sensor.Latest"
_HISTORY: Final = "Appliance.Control.Sensor.History"
_PRESENCE: Final = "Appliance.Control.Presence.Config"

# More samples than these say nothing new.
_MOST_SAMPLES: Final = 64
# 1 is nobody; 2 and 3 are somebody, moving away or hardly moving.
_PRESENT: Final = {1: False, 2: True, 3: True}


class RoomSensors(Feature):
    """`Sensor.LatestX`, `Sensor.Latest` and their histories.

    Temperature and humidity exist once they have been told; presence and light from
    the start on what can be set up for presence.
    """

    name = "room"
    abilities: ClassVar[tuple[str, ...]] = (LATEST_X, _LATEST, _HISTORY)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {LATEST_X, _HISTORY_X, _LATEST, _HISTORY}
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._senses_presence = _PRESENCE in about.abilities
        self._freshness = Freshness()
        found = ("presence", "presence_distance", "light") * self._senses_presence
        self._found: dict[str, Entity] = {name: _entity(name, 0) for name in found}

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it senses."""
        return tuple(self._found.values())

    @property
    def polls(self) -> Sequence[Poll]:
        """What is newest, with channel and names; nothing of a hub's subdevices."""
        abilities = self.about.abilities
        if any(name.startswith("Appliance.Hub.") for name in abilities):
            return []
        asked: list[Poll] = []
        if LATEST_X in abilities:
            names = ["presence", "light"] if self._senses_presence else ["temp", "humi"]
            item = {"channel": 0, "data": names}
            asked.append(Poll(request=_question(LATEST_X, "latest", item)))
        if _LATEST in abilities:
            asked.append(Poll(request=_question(_LATEST, "latest", {"channel": 0})))
        elif _HISTORY in abilities:
            question = _question(_HISTORY, "history", {"channel": 0})
            asked.append(Poll(request=question, pace="slow"))
        return asked

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read samples; of each quantity the newest."""
        key = "latest" if namespace in {LATEST_X, _LATEST} else "history"
        before = len(self._found)
        states: dict[str, State | None] = {}
        for item in items_of(payload, key):
            channel = channel_of(item)
            if channel >= MAX_CHANNELS or "subId" in item:
                continue
            if namespace in {LATEST_X, _HISTORY_X}:
                data = object_of(item, "data")
                samples = {name: items_of(data, name) for name in _READ}
            else:
                values = items_of(item, "value")
                samples = {"temp": values, "humi": values}
            for name, found in samples.items():
                self._sample(name, channel, found, at_utc, states)
        return Update(states=states, entities_changed=len(self._found) != before)

    def _sample(
        self,
        name: str,
        channel: int,
        samples: Sequence[Item],
        at_utc: datetime,
        states: dict[str, State | None],
    ) -> None:
        for item in samples[:_MOST_SAMPLES]:
            value = item.get("value", item.get(name))
            if not self._freshness.is_newest(
                f"{name}_{channel}", stamp_of(item.get("timestamp"), at_utc)
            ):
                continue
            told = {_NAMES[name]: _READ[name](value)}
            if name == "presence":
                distance_m = scaled(item.get("distance"), 1000, 0, 100)
                told["presence_distance"] = distance_m
            for quantity, state in told.items():
                key = entity_key(quantity, channel)
                if state is not None:
                    self._found.setdefault(key, _entity(quantity, channel))
                    states[key] = state


def _presence(value: object) -> State | None:
    number = integer_of(value)
    return None if number is None else _PRESENT.get(number)


def _light(value: object) -> State | None:
    return scaled(value, 1, 0, 200_000)


def _temperature(value: object) -> State | None:
    return scaled(value, 100, -50, 150)


def _humidity(value: object) -> State | None:
    return scaled(value, 10, 0, 100)


_READ: Final = {
    "presence": _presence,
    "light": _light,
    "temp": _temperature,
    "humi": _humidity,
}
_NAMES: Final = {
    "presence": "presence",
    "light": "light",
    "temp": "temperature",
    "humi": "humidity",
}
_SENSORS: Final = {
    "presence_distance": ("Distance", "distance", "m", 2),
    "light": ("Light", "illuminance", "lx", 0),
    "temperature": ("Temperature", "temperature", "°C", 1),
    "humidity": ("Humidity", "humidity", "%", 1),
}


def _entity(quantity: str, channel: int) -> Entity:
    key = entity_key(quantity, channel)
    suffix = f" {channel}" if channel else ""
    if quantity == "presence":
        return BinarySensor(key=key, name=f"Presence{suffix}", device_class="occupancy")
    name, device_class, unit, decimals = _SENSORS[quantity]
    return Sensor(
        key=key,
        name=f"{name}{suffix}",
        device_class=device_class,
        unit=unit,
        state_class="measurement",
        decimals=decimals,
    )


def _question(namespace: str, key: str, item: Item) -> Request:
    return Request(method=Method.GET, namespace=namespace, payload={key: [item]})


def _setting(
    key: str, name: str, path: tuple[str, ...], most: float, unit: str | None = None
) -> Adjustable:
    scale = 1000 if unit == "m" else 1
    return Adjustable(
        key=f"presence_{key}",
        path=path,
        name=name,
        category="config",
        scale=scale,
        lowest=0,
        highest=most,
        minimum=0,
        maximum=most,
        step=0.1 if unit == "m" else 1,
        unit=unit,
        is_optional=True,
        ends=("", ""),
    )


class PresenceSettings(TableFeature):
    """`Presence.Config`: how a presence sensor looks; what its modes are is unknown."""

    name = "presence_settings"
    abilities: ClassVar[tuple[str, ...]] = (_PRESENCE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({_PRESENCE})

    def __init__(self, about: About) -> None:
        work_mode = Choice(
            key="presence_work_mode",
            path=("mode", "workMode"),
            name="Work mode",
            category="config",
            options={number: f"mode_{number}" for number in range(4)},
            is_optional=True,
            is_enabled=False,
        )
        thresholds = tuple(
            _setting(f"threshold_{n}", f"Threshold {n}", ("mthx", f"mth{n}"), 10_000)
            for n in (1, 2, 3)
        )
        fields = (
            work_mode,
            _setting("timeout", "Nobody after", ("noBodyTime", "time"), 3600, "s"),
            _setting("range", "Range", ("distance", "value"), 20, "m"),
            _setting("sensitivity", "Sensitivity", ("sensitivity", "level"), 10),
            *thresholds,
        )
        super().__init__(about, [Setting(namespace=_PRESENCE, fields=fields)])
