"""Thermostats of the first two generations: `Thermostat.Mode` and `Thermostat.ModeB`.

Facts: reference 4.10. Temperatures are ten times as large on the wire with the first
(mts200, mts205b, mts215), a hundred times with the second (mts960). Of the first, each
preset but the schedule has a set point of its own, and the target is that of the preset
it is in. The second heats or cools by what hangs on it, and 2 is off.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import ClassVar, Final

from structiot.meross.features.climate import CTL_RANGE, ClimateFeature, SetPoint
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.fields import Choice, Flag, Setting
from structiot.model import ClimateState

__all__ = ["MODE", "MODE_B", "SUMMER_MODE", "Thermostat", "ThermostatB"]

MODE: Final = "Appliance.Control.Thermostat.Mode"
MODE_B: Final = "Appliance.Control.Thermostat.ModeB"
SUMMER_MODE: Final = "Appliance.Control.Thermostat.SummerMode"

# Heats whatever it says of a season.
_ONLY_HEATING: Final = ("mts205b",)
_SEASON: Final = Choice(
    "thermostat_season",
    ("mode",),
    name="Season",
    category="config",
    options={1: "heating", 2: "cooling"},
)
_WARNING: Final = Flag(
    "thermostat_warning",
    ("warning",),
    name="Warning",
    category="diagnostic",
    device_class="problem",
    known=(0, 1),
)
_PROBE: Final = Flag(
    "thermostat_probe",
    ("sensorStatus",),
    name="Probe",
    category="diagnostic",
    device_class="connectivity",
    known=(0, 1, 2),
)


def _set_point(preset: str, member: str) -> SetPoint:
    return SetPoint(
        f"thermostat_{preset}_temperature",
        (member,),
        name=f"{preset.capitalize()} temperature",
        category="config",
        scale=10,
    )


class Thermostat(ClimateFeature):
    """`Thermostat.Mode`, with the set points of its presets and the season."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE, SUMMER_MODE})
    settings: Sequence[Setting] = (
        Setting(
            MODE,
            (
                _set_point("comfort", "heatTemp"),
                _set_point("sleep", "coolTemp"),
                _set_point("economy", "ecoTemp"),
                _WARNING,
            ),
            pace="live",
        ),
        Setting(SUMMER_MODE, (_SEASON,)),
    )
    scale = 10
    presets: ClassVar[Mapping[int, str]] = {
        0: "comfort",
        1: "sleep",
        2: "economy",
        3: "schedule",
        4: "manual",
    }
    numbers: ClassVar[Mapping[str, Container[int]]] = {
        "mode": presets,
        "onoff": (0, 1),
        "state": (0, 1),
    }
    set_points: ClassVar[Mapping[int, str]] = {
        0: "heatTemp",
        1: "coolTemp",
        2: "ecoTemp",
        4: "manualTemp",
    }
    temperatures: ClassVar[Sequence[str]] = (
        *set_points.values(),
        "currentTemp",
        "targetTemp",
    )

    def __init__(self, about: About) -> None:
        if about.model in _ONLY_HEATING:
            self.settings = self.settings[:1]
        super().__init__(about)
        self._has_seasons = len(self.settings) > 1
        if not self._has_seasons:
            self.modes: tuple[str, ...] = ("off", "heat", "auto")

    def state(self, channel: int) -> ClimateState | None:
        """Give what it does, by the season."""
        numbers = self.zone(channel).numbers
        if not {"onoff", "mode"} & numbers.keys():
            return None
        is_cooling = self.known(entity_key(_SEASON.key, channel)) == 2
        return self.state_of(
            channel,
            is_on=numbers.get("onoff") != 0,
            is_active=numbers["state"] == 1 if "state" in numbers else None,
            working="cool" if is_cooling else "heat",
        )

    def orders(self, channel: int, command: ClimateState) -> Sequence[Request]:
        """Set the season, if it differs, then all else at once."""
        preset = self.preset_for(channel, command)
        members: dict[str, object] = {}
        if command.mode is not None:
            members["onoff"] = 0 if command.mode == "off" else 1
        if command.target_c is not None and preset is None:
            preset = self.zone(channel).numbers["mode"]
        if preset is not None:
            members["mode"] = preset
            if command.target_c is not None:
                target = self.wire_temperature(command.target_c)
                members[self.set_points[preset]] = target
        orders = [self.order(channel, members)] if members else []
        season = {"heat": 1, "cool": 2}.get(command.mode or "")
        is_so = self.known(entity_key(_SEASON.key, channel)) == season
        if season is None or is_so or not self._has_seasons:
            return orders
        return [self.order_in(SUMMER_MODE, channel, {"mode": season}), *orders]


class ThermostatB(ClimateFeature):
    """`Thermostat.ModeB`, with its probe."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE_B,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE_B, CTL_RANGE})
    settings: Sequence[Setting] = (
        Setting(MODE_B, (_PROBE,), pace="live"),
        Setting(CTL_RANGE),
    )
    scale = 100
    presets: ClassVar[Mapping[int, str]] = {1: "manual", 2: "schedule", 3: "timer"}
    # An `onoff` of 0 is not seen of this model; another client takes it for off.
    numbers: ClassVar[Mapping[str, Container[int]]] = {
        "mode": presets,
        "working": (1, 2),
        "onoff": (0, 1, 2),
        "state": (0, 1, 2),
    }
    temperatures: ClassVar[Sequence[str]] = ("targetTemp", "currentTemp")

    def state(self, channel: int) -> ClimateState | None:
        """Give what it does, by what hangs on it."""
        numbers = self.zone(channel).numbers
        if not {"onoff", "mode"} & numbers.keys():
            return None
        return self.state_of(
            channel,
            is_on=numbers.get("onoff", 1) == 1,
            is_active={1: True, 2: False}.get(numbers.get("state", 0)),
            working={1: "heat", 2: "cool"}.get(numbers.get("working", 0)),
        )

    def orders(self, channel: int, command: ClimateState) -> Sequence[Request]:
        """Set all at once."""
        preset = self.preset_for(channel, command)
        members: dict[str, object] = {}
        if command.mode is not None:
            members["onoff"] = 2 if command.mode == "off" else 1
        if command.mode in {"heat", "cool"}:
            members["working"] = 1 if command.mode == "heat" else 2
        if command.target_c is not None:
            members["targetTemp"] = self.wire_temperature(command.target_c)
        if preset is not None:
            members["mode"] = preset
        return [self.order(channel, members)] if members else []
