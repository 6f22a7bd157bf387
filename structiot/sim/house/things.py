"""What self-built devices of the house do: by type, what they are told and what they tell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, TypeAlias

from structiot.sim.house.appliances import APPLIANCES, SolarPanel
from structiot.sim.house.day import DAY_S, hour_of
from structiot.sim.manager.behaviour import DialInBehaviour

__all__ = ["things", "told"]

State: TypeAlias = dict[str, Any]
Measure: TypeAlias = Callable[[State, Random, float], None]

_EVERY_S: Final = 600.0
_SUN: Final = APPLIANCES["Solar"]
_FREEZER_C: Final = -18.0


def told(state: Mapping[str, Any]) -> bytes:
    """Write what a device tells of itself."""
    return json.dumps(state, separators=(",", ":")).encode()


def _daily(now_s: float) -> float:
    """Give the warmth of the hour: -1 before dawn, 1 in the afternoon."""
    return math.sin((hour_of(now_s) - 9.0) / 24 * math.tau)


def _room(state: State, random: Random, now_s: float) -> None:
    base_c = state["base_c"]
    state["temperature_c"] = round(
        base_c + 1.2 * _daily(now_s) + random.gauss(0, 0.1), 1
    )
    damp = state["base_percent"] - 5 * _daily(now_s) + random.gauss(0, 0.6)
    state["humidity_percent"] = round(damp)


def _weather(state: State, random: Random, now_s: float) -> None:
    state["temperature_c"] = round(13 + 6 * _daily(now_s) + random.gauss(0, 0.2), 1)
    state["wind_m_s"] = round(abs(3 + 2 * _daily(now_s) + random.gauss(0, 1)), 1)
    light = -_SUN.power_w(now_s) / 760
    state["light_lx"] = round(62_000 * light * random.uniform(0.9, 1.0))
    state["rain_mm"] = round(state["rain_mm"] + random.choice((0, 0, 0, 0.2)), 1)


def _inverter(state: State, random: Random, now_s: float) -> None:
    del random
    panel = SolarPanel(peak_w=590)
    state["power_w"] = round(-panel.power_w(now_s), 1)
    day_s = now_s - now_s % DAY_S
    state["today_kwh"] = round(-panel.energy_wh(day_s, now_s) / 1000, 3)


def _freezer(state: State, random: Random, now_s: float) -> None:
    turn = math.sin(now_s / 3600 * math.tau)
    target_c = _FREEZER_C + turn if state["is_on"] else 4.0
    drift = (target_c - state["temperature_c"]) * 0.3 + random.gauss(0, 0.05)
    state["temperature_c"] = round(state["temperature_c"] + drift, 1)
    state["is_too_warm"] = state["temperature_c"] > _FREEZER_C + 6
    state["power_w"] = round(96 + random.gauss(0, 1), 1) if turn < 0 else 1.4
    if not state["is_on"]:
        state["power_w"] = 0.0


def _heater(state: State, random: Random, now_s: float) -> None:
    heats = state["is_on"] and state["temperature_c"] < state["target_c"]
    outside_c = 13 + 6 * _daily(now_s)
    loss_c = (state["temperature_c"] - outside_c) * 0.03
    gain_c = 0.9 if heats else 0.0
    state["temperature_c"] = round(state["temperature_c"] + gain_c - loss_c, 1)
    state["power_w"] = round(1480 + random.gauss(0, 6), 1) if heats else 0.0


def _washer(state: State, random: Random, now_s: float) -> None:
    del random
    # At the hours of its circuit in the fuse box.
    left_min = round((9.0 - hour_of(now_s)) * 60 + 107)
    phases = ((107, "ready"), (72, "heating"), (12, "washing"), (0, "spinning"))
    state["phase"] = next((name for min_, name in phases if left_min > min_), "ready")
    state["left_min"] = left_min if 0 < left_min <= 107 else 0


def _battery(state: State, random: Random, now_s: float) -> None:
    del now_s
    state["battery_percent"] = max(5, state["battery_percent"] - random.choice((0, 1)))


def _thing(
    speed: float,
    state: State,
    orders: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    measure: Measure | None = None,
    every_s: float = _EVERY_S,
) -> DialInBehaviour:
    """Make a behaviour: which order changes what, and what is measured.

    Args:
        speed: How fast the clock of the house runs.
        state: What it is like at first.
        orders: What each message that it takes makes of it.
        measure: Changes the state as time goes on.
        every_s: How often, in seconds of the house.
    """
    known = orders or {}

    def answer(state: State, message: bytes) -> bytes | None:
        text = message.decode(errors="replace")
        state.update(known.get(text, {}))
        if text == "toggle":
            state["is_on"] = not state["is_on"]
        elif text.startswith("show "):
            state["text"] = text.removeprefix("show ")
        return told(state)

    def tell(state: State, random: Random, now_s: float) -> bytes:
        if measure is not None:
            measure(state, random, now_s)
        return told(state)

    return DialInBehaviour(
        state=state,
        answer=answer,
        measure=tell if measure is not None else None,
        every_s=every_s / speed,
    )


_ON_OFF: Final = {"on": {"is_on": True}, "off": {"is_on": False}}
_LOCK: Final = {"lock": {"lock": "locked"}, "unlock": {"lock": "unlocked"}}
_FIRMWARE: Final = {"installed": "2.0.3", "latest": "2.1.0"}
_INSTALLED: Final = {"installed": "2.1.0", "latest": "2.1.0"}


def things(speed: float) -> dict[str, DialInBehaviour]:
    """Give what devices of each type do in a house whose clock runs so fast."""
    room = {"temperature_c": 21.0, "humidity_percent": 45}
    contact = {"is_open": False, "battery_percent": 88}
    cold = {"temperature_c": _FREEZER_C, "is_too_warm": False, "power_w": 1.4}
    warm = {"temperature_c": 14.0, "target_c": 19.0, "power_w": 0.0}
    outside = {"temperature_c": 11.0, "wind_m_s": 2.0, "light_lx": 0, "rain_mm": 0.0}
    sun = {"power_w": 0.0, "today_kwh": 0.0}
    washing = {"phase": "ready", "left_min": 0, "is_door_open": False}
    made = _thing
    slow_s = 4 * 3600.0
    return {
        "lamp": made(speed, {"is_on": False}, _ON_OFF),
        "climate": made(
            speed, {**room, "base_c": 21.0, "base_percent": 47}, measure=_room
        ),
        "contact": made(speed, contact, measure=_battery, every_s=slow_s),
        "motion": made(speed, {"is_moving": False}),
        "remote": made(
            speed, {"battery_percent": 74}, measure=_battery, every_s=slow_s
        ),
        "lock": made(speed, {"lock": "locked", "battery_percent": 61}, _LOCK),
        "siren": made(speed, {"is_on": False}, _ON_OFF),
        "heater": made(speed, {"is_on": True, **warm}, _ON_OFF, measure=_heater),
        "freezer": made(speed, {"is_on": True, **cold}, _ON_OFF, measure=_freezer),
        "washer": made(speed, washing, measure=_washer),
        "inverter": made(speed, sun, measure=_inverter),
        "weather": made(
            speed,
            {**outside, "firmware": _FIRMWARE},
            {"install": {"firmware": _INSTALLED}},
            measure=_weather,
        ),
        "display": made(speed, {"text": "Good morning"}),
        "doorbell": made(speed, {"melody": 3}),
    }
