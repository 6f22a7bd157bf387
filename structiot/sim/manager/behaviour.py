"""What simulated devices do with messages, by type: a lamp is switched, a sensor measures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeAlias

__all__ = ["DIAL_IN_BEHAVIOURS", "DeviceState", "DialInBehaviour", "behaviour_of"]

DeviceState: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DialInBehaviour:
    """What devices of one type do.

    Attributes:
        about: What it is, in a few words.
        state: What they are like at first; also the data that they tell of themselves.
        answer: Gives the answer to a message, and may change the state; None is none.
        measure: Gives what a device tells by itself, by its state, chance and the time in
            seconds; None tells nothing.
        every_s: How often.
    """

    about: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    answer: Callable[[DeviceState, bytes], bytes | None]
    measure: Callable[[DeviceState, Random, float], bytes] | None = None
    every_s: float = 60.0


def _json(state: Mapping[str, Any]) -> bytes:
    return json.dumps(state, separators=(",", ":")).encode()


def _lamp(state: DeviceState, message: bytes) -> bytes | None:
    wanted = {b"on": True, b"off": False, b"toggle": not state["is_on"]}.get(message)
    if wanted is None and message != b"state":
        return b'{"error":"on, off, toggle or state"}'
    if wanted is not None:
        state["is_on"] = wanted
    return _json(state)


def _sensor(state: DeviceState, message: bytes) -> bytes | None:
    return _json(state) if message == b"state" else None


def _measured(state: DeviceState, random: Random, now_s: float) -> bytes:
    """A room that is warmer by day, and never quite the same."""
    daily = math.sin(now_s / 86_400 * math.tau)
    state["temperature_c"] = round(21 + 2 * daily + random.gauss(0, 0.1), 1)
    state["humidity_percent"] = round(45 - 5 * daily + random.gauss(0, 0.5))
    return _json(state)


def _test(_: DeviceState, message: bytes) -> bytes | None:
    return b"hello server" if message == b"hello client" else None


def _echo(_: DeviceState, message: bytes) -> bytes | None:
    return message


DIAL_IN_BEHAVIOURS: Final[Mapping[str, DialInBehaviour]] = MappingProxyType(
    {
        "lamp": DialInBehaviour(
            about="is switched by on, off and toggle, and asked by state",
            state={"is_on": False},
            answer=_lamp,
        ),
        "sensor": DialInBehaviour(
            about="tells temperature and humidity each minute, and when asked by state",
            state={"temperature_c": 21.0, "humidity_percent": 45},
            answer=_sensor,
            measure=_measured,
        ),
        "test": DialInBehaviour(
            about="answers hello client by hello server",
            state={"key_1": "data_1"},
            answer=_test,
        ),
    }
)
"""The types that behave like something; all others send back what they are sent."""


def behaviour_of(kind: str) -> DialInBehaviour:
    """Give what devices of a type do."""
    return DIAL_IN_BEHAVIOURS.get(kind, DialInBehaviour(answer=_echo))
