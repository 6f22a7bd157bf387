"""A strip in the words of the common model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from structiot.maxsmart.info import StripInfo
from structiot.maxsmart.readings import total_power_w
from structiot.model import Entity, Reading, Sensor, State, Switch

__all__ = ["entities_of", "port_of_key", "states_of"]


def entities_of(info: StripInfo, *, has_current: bool) -> tuple[Entity, ...]:
    """Describe a switch, power and energy a port, and the totals of a strip."""
    entities: list[Entity] = []
    for port, name in enumerate(info.port_names, start=1):
        key = f"port_{port}"
        entities.append(Switch(key=key, name=name, device_class="outlet"))
        entities.append(_sensor(f"{key}_power", f"{name} power", "power", "W"))
        entities.append(_energy_sensor(f"{key}_energy", f"{name} energy"))
        if has_current:
            entities.append(
                _sensor(f"{key}_current", f"{name} current", "current", "A")
            )
    if info.port_count > 1:
        entities.append(_sensor("total_power", "Total power", "power", "W"))
        entities.append(_energy_sensor("total_energy", "Total energy"))
    return tuple(entities)


def _sensor(key: str, name: str, device_class: str, unit: str) -> Sensor:
    return Sensor(
        key=key,
        name=name,
        device_class=device_class,
        unit=unit,
        state_class="measurement",
        decimals=2,
    )


def _energy_sensor(key: str, name: str) -> Sensor:
    return Sensor(
        key=key,
        name=name,
        device_class="energy",
        unit="kWh",
        state_class="total_increasing",
        decimals=3,
    )


def states_of(
    readings: Sequence[Reading], energy_wh: Mapping[int, float], *, has_current: bool
) -> dict[str, State | None]:
    """Give the state of each entity by its key; None for what is not reported.

    Args:
        readings: The latest of each port.
        energy_wh: What those ports took that have ever told their power.
        has_current: Whether the strip reports current.
    """
    states: dict[str, State | None] = {}
    for reading in readings:
        key = f"port_{reading.channel}"
        states[key] = reading.is_on
        states[f"{key}_power"] = reading.power_w
        states[f"{key}_energy"] = _kwh(energy_wh.get(reading.channel))
        if has_current:
            states[f"{key}_current"] = reading.current_a
    if len(readings) > 1:
        states["total_power"] = total_power_w(readings)
        states["total_energy"] = _kwh(sum(energy_wh.values()) if energy_wh else None)
    return states


def _kwh(energy_wh: float | None) -> float | None:
    """Give whole watt-hours in kWh, so that they are told only now and then."""
    return None if energy_wh is None else math.floor(energy_wh) / 1000


def port_of_key(key: str) -> int:
    """Tell the port of a switch from its key, such as `port_3`."""
    return int(key.removeprefix("port_"))
