"""Simulated devices that dial in to the gateway, for the demonstration and for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from structiot._kit.environment import Environment
from structiot.sim.house.day import DAY_S
from structiot.sim.house.dialled import (
    DIALLED,
    dialled_uuid,
    house_fleet,
    is_native,
)
from structiot.sim.house.residents import named_on

__all__ = ["SHOWN", "simulated_fleet"]

SHOWN: Final = tuple((plan.kind, plan.name) for plan in DIALLED)
"""The devices that are shown: what they are, and what they are called."""

_USUAL: Final = 4
_HOST: Final = "127.0.0.1"
_SECRET: Final = "a secret of the demonstration"  # noqa: S105 - everybody may know it


def _figure(name: str, member: str, unit: str, **more: object) -> dict[str, Any]:
    about = {"name": name, "member": member, "unit": unit}
    return {**about, "state_class": "measurement", "decimals": 1, **more}


_TEMPERATURE: Final = _figure(
    "Temperature", "temperature_c", "°C", device_class="temperature"
)
_POWER: Final = _figure("Power", "power_w", "W", device_class="power")
_BATTERY: Final = _figure(
    "Battery", "battery_percent", "%", device_class="battery", decimals=0
)
_PRESSES: Final = ("single", "double", "long")

TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "lamp": {
        "switches": [{"name": "Light", "member": "is_on"}],
        "buttons": [{"name": "Toggle", "send": "toggle"}],
    },
    "climate": {
        "sensors": [
            _TEMPERATURE,
            _figure(
                "Humidity", "humidity_percent", "%", device_class="humidity", decimals=0
            ),
        ]
    },
    "contact": {
        "binary_sensors": [
            {"name": "Opening", "member": "is_open", "device_class": "opening"}
        ],
        "sensors": [_BATTERY],
    },
    "motion": {
        "binary_sensors": [
            {"name": "Motion", "member": "is_moving", "device_class": "motion"}
        ],
        "events": [{"name": "Passing", "types": ["motion"], "device_class": "motion"}],
    },
    "remote": {
        "events": [{"name": "Button", "types": _PRESSES, "device_class": "button"}],
        "sensors": [_BATTERY],
    },
    "lock": {"locks": [{"name": "Lock", "member": "lock"}], "sensors": [_BATTERY]},
    "siren": {"sirens": [{"name": "Siren", "member": "is_on"}]},
    "heater": {
        "switches": [{"name": "Heater", "member": "is_on"}],
        "sensors": [_TEMPERATURE, _POWER],
    },
    "freezer": {
        "switches": [{"name": "Freezer", "member": "is_on"}],
        "sensors": [_TEMPERATURE, _POWER],
        "binary_sensors": [
            {"name": "Too warm", "member": "is_too_warm", "device_class": "problem"}
        ],
    },
    "washer": {
        "sensors": [
            {"name": "Phase", "member": "phase"},
            _figure(
                "Time left", "left_min", "min", device_class="duration", decimals=0
            ),
        ],
        "binary_sensors": [
            {"name": "Door", "member": "is_door_open", "device_class": "door"}
        ],
        "events": [{"name": "Programme", "types": ["finished"]}],
    },
    "inverter": {
        "sensors": [
            {**_POWER, "name": "Solar power"},
            _figure(
                "Today",
                "today_kwh",
                "kWh",
                device_class="energy",
                decimals=3,
                state_class="total_increasing",
            ),
        ]
    },
    "weather": {
        "sensors": [
            _TEMPERATURE,
            _figure("Wind", "wind_m_s", "m/s", device_class="wind_speed"),
            _figure("Light", "light_lx", "lx", device_class="illuminance", decimals=0),
            _figure(
                "Rain",
                "rain_mm",
                "mm",
                device_class="precipitation",
                state_class="total_increasing",
            ),
        ],
        "updates": [{"name": "Firmware", "member": "firmware", "install": "install"}],
    },
    "display": {
        "texts": [{"name": "Text", "member": "text", "send": "show {text}"}],
    },
}
"""What devices of each type have; of doorbells nothing is said."""


@asynccontextmanager
async def simulated_fleet(
    environment: Environment, *, count: int | None = None, day_s: float = DAY_S
) -> AsyncGenerator[dict[str, Any]]:
    """Simulate the first `count` of them; give the section.

    Some speak our own dialect and have a secret, doorbells say what nobody has
    described, and all others are what `TYPES` says.
    """
    count = count or _USUAL
    ports = await _free_ports(environment)
    async with house_fleet(
        environment, count=count, ports=ports, secret=_SECRET, host=_HOST, day_s=day_s
    ):
        kinds = [named_on(DIALLED, number)[0].kind for number in range(count)]
        yield {
            "host": _HOST,
            "port": ports[False],
            "listeners": [{"host": _HOST, "port": ports[True], "dialect": "structiot"}],
            "secrets": {
                dialled_uuid(number): _SECRET
                for number, kind in enumerate(kinds)
                if is_native(kind)
            },
            "types": TYPES,
            "other_types": True,
        }


async def _free_ports(environment: Environment) -> tuple[int, int]:
    """Find two ports that nobody listens at."""
    listen = environment.network.listen_tcp
    async with listen(_HOST, 0) as one, listen(_HOST, 0) as other:
        return one.address[1], other.address[1]
