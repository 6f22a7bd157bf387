"""Sensors of a device on the Wi-Fi: presence, light, temperature and humidity.

Facts: reference 4.11. Channel and names are always asked for: a ms600 that is asked
without them answers with an error, or starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import About, Poll
from structiot.meross.features.fields import Amount, Choice, Field
from structiot.meross.features.requests import polled
from structiot.meross.features.samples import (
    DISTANCE,
    HUMIDITY,
    LIGHT,
    PRESENCE,
    TEMPERATURE,
    Sample,
    SampledFeature,
    samples_of,
)
from structiot.meross.wire.payloads import Item, items_of

__all__ = ["LATEST_X", "PresenceSettings", "RoomSensors"]

LATEST_X: Final = "Appliance.Control.Sensor.LatestX"
_HISTORY_X: Final = "Appliance.Control.Sensor.HistoryX"
_LATEST: Final = "Appliance.Control.Sensor.Latest"
_HISTORY: Final = "Appliance.Control.Sensor.History"
_PRESENCE: Final = "Appliance.Control.Presence.Config"
_MOST_CHANNELS: Final = 16


class RoomSensors(SampledFeature):
    """`Sensor.LatestX`, `Sensor.Latest` and their histories.

    Temperature and humidity exist once they have been told; presence and light from
    the start on what can be set up for presence.
    """

    name = "room"
    abilities: ClassVar[tuple[str, ...]] = (LATEST_X, _LATEST, _HISTORY)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {LATEST_X, _HISTORY_X, _LATEST, _HISTORY}
    )
    fields: ClassVar[tuple[Field, ...]] = (
        PRESENCE,
        DISTANCE,
        LIGHT,
        TEMPERATURE,
        HUMIDITY,
    )
    is_certain = True
    max_channels = _MOST_CHANNELS

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._senses_presence = _PRESENCE in about.abilities
        if self._senses_presence:
            for field in (PRESENCE, DISTANCE, LIGHT):
                self.remember(field.key, field, None)

    @property
    def polls(self) -> Sequence[Poll]:
        """What is newest, with channel and names; nothing of a hub's subdevices."""
        abilities = self.about.abilities
        if any(name.startswith("Appliance.Hub.") for name in abilities):
            return []
        asked: list[Poll] = []
        if LATEST_X in abilities:
            names = ["presence", "light"] if self._senses_presence else ["temp", "humi"]
            asked.append(polled(LATEST_X, [{"channel": 0, "data": names}]))
        if _LATEST in abilities:
            asked.append(polled(_LATEST, [{"channel": 0}]))
        elif _HISTORY in abilities:
            asked.append(polled(_HISTORY, [{"channel": 0}], pace="slow"))
        return asked

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """What has the id of a subdevice is told of that."""
        return "subId" not in item

    def samples(self, namespace: str, item: Item) -> Iterable[Sample]:
        """Give lists by the names of quantities, or of values that have the names."""
        if namespace in {_LATEST, _HISTORY}:
            values = items_of(item, "value")
            item = {"data": {"temp": list(values), "humi": list(values)}}
        return samples_of(item)


_WORK_MODE: Final = Choice(
    "presence_work_mode",
    ("mode", "workMode"),
    name="Work mode",
    category="config",
    options={number: f"mode_{number}" for number in range(4)},
    is_optional=True,
    is_enabled=False,
)


def _setting(
    key: str, path: tuple[str, str], name: str, most: float, unit: str | None = None
) -> Amount:
    return Amount(key, path, name=name, maximum=most, unit=unit, is_optional=True)


_RANGE: Final = replace(
    _setting("presence_range", ("distance", "value"), "Range", 20, "m"),
    scale=1000,
    step=0.1,
)


class PresenceSettings(ChannelFeature):
    """`Presence.Config`: how a presence sensor looks; what its modes are is unknown."""

    name = "presence_settings"
    abilities: ClassVar[tuple[str, ...]] = (_PRESENCE,)
    fields: ClassVar[tuple[Field, ...]] = (
        _WORK_MODE,
        _setting("presence_timeout", ("noBodyTime", "time"), "Nobody after", 3600, "s"),
        _RANGE,
        _setting("presence_sensitivity", ("sensitivity", "level"), "Sensitivity", 10),
        _setting("presence_threshold_1", ("mthx", "mth1"), "Threshold 1", 10_000),
        _setting("presence_threshold_2", ("mthx", "mth2"), "Threshold 2", 10_000),
        _setting("presence_threshold_3", ("mthx", "mth3"), "Threshold 3", 10_000),
    )
    is_certain = True
    asks_by_channel = True
    max_channels = _MOST_CHANNELS
