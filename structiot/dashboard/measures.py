"""What the figure of an entity is called for Prometheus, and in which unit it is there.

By its device class and its unit, as Home Assistant has them, in one unit each: power in
watts, energy in watt-hours, temperature in degrees Celsius. All that has no class and unit
of these is one metric, with the unit as a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from structiot.model import Entity, Number, Sensor

__all__ = ["Measure", "measure_of"]


class Measure(NamedTuple):
    """How a figure is told.

    Attributes:
        name: The metric's name, without `_total`.
        about: What it is.
        is_counter: Whether it only grows, but for the times that it begins anew.
        value: Gives the figure in the metric's unit.
    """

    name: str
    about: str
    is_counter: bool
    value: Callable[[float], float]


_ANY: Final = Measure("structiot_value", "A figure that a device tells.", False, float)  # noqa: FBT003

# Of each class: what its unit is called, and by what figures in others are multiplied.
_UNITS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "apparent_power": ("volt_amperes", {"VA": 1.0, "kVA": 1000.0}),
    "battery": ("percent", {"%": 1.0}),
    "carbon_dioxide": ("ppm", {"ppm": 1.0}),
    "current": ("amperes", {"A": 1.0, "mA": 0.001}),
    "data_size": ("bytes", {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}),
    "distance": ("metres", {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0}),
    "duration": (
        "seconds",
        {"s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0, "d": 86_400.0},
    ),
    "energy": (
        "watt_hours",
        {"Wh": 1.0, "kWh": 1e3, "MWh": 1e6, "J": 1 / 3600, "MJ": 1e6 / 3600},
    ),
    "frequency": ("hertz", {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6}),
    "gas": ("cubic_metres", {"m³": 1.0, "L": 0.001}),
    "humidity": ("percent", {"%": 1.0}),
    "illuminance": ("lux", {"lx": 1.0}),
    "moisture": ("percent", {"%": 1.0}),
    "power": ("watts", {"W": 1.0, "kW": 1e3, "MW": 1e6, "mW": 0.001}),
    "power_factor": ("ratio", {"": 1.0, "%": 0.01}),
    "precipitation": ("millimetres", {"mm": 1.0, "cm": 10.0}),
    "pressure": ("pascals", {"Pa": 1.0, "hPa": 100.0, "mbar": 100.0, "kPa": 1e3}),
    "reactive_power": ("vars", {"var": 1.0, "kvar": 1e3}),
    "signal_strength": ("dbm", {"dBm": 1.0}),
    "temperature": ("celsius", {"°C": 1.0, "°F": 0.0, "K": 0.0}),
    "voltage": ("volts", {"V": 1.0, "mV": 0.001, "kV": 1e3}),
    "volume": ("cubic_metres", {"m³": 1.0, "L": 0.001}),
    "water": ("cubic_metres", {"m³": 1.0, "L": 0.001}),
    "wind_speed": ("metres_per_second", {"m/s": 1.0, "km/h": 1 / 3.6}),
}
_DEGREES: Final[dict[str, Callable[[float], float]]] = {
    "°F": lambda value: (value - 32) / 1.8,
    "K": lambda value: value - 273.15,
}


def measure_of(entity: Entity) -> tuple[Measure, str]:
    """Give how the figures of an entity are told, and their unit if it is a label."""
    unit = entity.unit or "" if isinstance(entity, Sensor | Number) else ""
    is_counter = isinstance(entity, Sensor) and entity.state_class == "total_increasing"
    kind = entity.device_class or ""
    word, factors = _UNITS.get(kind, ("", {}))
    if unit not in factors:
        return _ANY, unit
    name = f"structiot_{kind}_{word}"
    value = _DEGREES.get(unit) if kind == "temperature" else None
    about = f"{kind.replace('_', ' ').capitalize()} in {word.replace('_', ' ')}."
    if value is None:
        factor = factors[unit]

        def value(figure: float) -> float:
            return figure * factor

    return Measure(name, about, is_counter, value), ""
