"""Which features a device has: those that its abilities ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from structiot.meross.features.alarm import Alarms, OverTemperature
from structiot.meross.features.appliances import Filters, Sounds, Sprays
from structiot.meross.features.diffuser import (
    DiffuserClimate,
    DiffuserLights,
    DiffuserSprays,
)
from structiot.meross.features.electricity import (
    CircuitFactors,
    Electricity,
    MeterLimits,
)
from structiot.meross.features.energy_count import EnergyCount
from structiot.meross.features.energy_days import DayConsumption, HourConsumption
from structiot.meross.features.fan import Fans
from structiot.meross.features.feature import About, Feature
from structiot.meross.features.garage import GarageDoors
from structiot.meross.features.hub import Hub, is_hub
from structiot.meross.features.light import Lamps
from structiot.meross.features.room_sensors import PresenceSettings, RoomSensors
from structiot.meross.features.settings import (
    ChildLock,
    Overheating,
    PowerRetention,
    Standby,
    StatusLight,
)
from structiot.meross.features.shutter import Shutters
from structiot.meross.features.switches import Switches
from structiot.meross.features.system import Connections, Firmware, Signal
from structiot.meross.features.thermostat import Thermostat, ThermostatB
from structiot.meross.features.thermostat_c import ThermostatC
from structiot.meross.features.thermostat_settings import ThermostatSettings
from structiot.meross.features.timers import Rules

__all__ = ["FEATURES", "features_of"]

FEATURES: Final[tuple[type[Feature], ...]] = (
    Switches,
    Lamps,
    Fans,
    Filters,
    GarageDoors,
    Shutters,
    Sprays,
    DiffuserLights,
    DiffuserSprays,
    DiffuserClimate,
    Sounds,
    Electricity,
    EnergyCount,
    DayConsumption,
    HourConsumption,
    MeterLimits,
    CircuitFactors,
    Alarms,
    OverTemperature,
    StatusLight,
    ChildLock,
    Overheating,
    Standby,
    PowerRetention,
    Rules,
    Signal,
    Connections,
    Firmware,
    ThermostatSettings,
    RoomSensors,
    PresenceSettings,
)
# A device has one of these, whatever it lists.
THERMOSTATS: Final[tuple[type[Feature], ...]] = (ThermostatC, ThermostatB, Thermostat)


def features_of(about: About, before: Iterable[Feature] = ()) -> tuple[Feature, ...]:
    """Make the features of a device, in the order of `FEATURES`.

    Args:
        about: What is known of the device.
        before: Those that it had. A hub is kept: it remembers what hangs on it, of which
            one payload tells only a part.
    """
    made = [feature(about) for feature in FEATURES if _has(about, feature)]
    made += [feature(about) for feature in THERMOSTATS if _has(about, feature)][:1]
    if is_hub(about.system.digest, about.abilities):
        known = (one for one in before if isinstance(one, Hub))
        made.append(next(known, None) or Hub(about))
    return tuple(made)


def _has(about: About, feature: type[Feature]) -> bool:
    return any(ability in about.abilities for ability in feature.abilities)
