"""What people do with the self-built devices of the house, by type."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from structiot._kit.net.network import LOST
from structiot.sim.house.day import Diary
from structiot.sim.house.things import told
from structiot.sim.manager.device import DialInSim

__all__ = ["live"]

_Happening: TypeAlias = tuple[float, float, Mapping[str, Any] | str]
"""From which hour on, within how many hours, and what: other states, or a message."""

_ON: Final = {"is_on": True}
_OFF: Final = {"is_on": False}
_OPEN: Final = {"is_open": True}
_CLOSED: Final = {"is_open": False}
_MOVING: Final = {"is_moving": True}
_STILL: Final = {"is_moving": False}


def _passing(*hours: float) -> tuple[_Happening, ...]:
    found: list[_Happening] = []
    for hour in hours:
        found += [(hour, 0.02, _MOVING), (hour, 0.02, "motion")]
        found.append((hour + 0.3, 0.05, _STILL))
    return tuple(found)


_HAPPENINGS: Final[Mapping[str, tuple[_Happening, ...]]] = {
    "lamp": (
        (6.6, 0.2, _ON),
        (7.6, 0.4, _OFF),
        (18.6, 1.2, _ON),
        (21.8, 1.2, _OFF),
    ),
    "contact": (
        (7.3, 0.6, _OPEN),
        (8.0, 0.2, _CLOSED),
        (12.6, 0.5, _OPEN),
        (13.2, 0.2, _CLOSED),
        (17.2, 0.4, _OPEN),
        (17.7, 0.4, _CLOSED),
    ),
    "motion": _passing(6.6, 7.5, 9.3, 12.7, 17.5, 19.4, 22.4),
    "remote": ((6.6, 0.1, "single"), (18.8, 0.3, "double"), (22.6, 0.3, "long")),
    "doorbell": ((9.4, 1.0, "ring"), (15.6, 1.0, "ring"), (18.2, 1.0, "ring")),
    "lock": (
        (7.2, 0.1, {"lock": "unlocked"}),
        (7.9, 0.1, {"lock": "locked"}),
        (17.1, 0.1, {"lock": "unlocked"}),
        (22.8, 0.3, {"lock": "locked"}),
    ),
    "siren": ((18.45, 0.05, _ON), (18.6, 0.1, _OFF)),
    "washer": (
        (8.8, 0.05, {"is_door_open": True}),
        (8.95, 0.02, {"is_door_open": False}),
        (10.8, 0.02, "finished"),
        (11.1, 0.2, {"is_door_open": True}),
        (11.5, 0.2, {"is_door_open": False}),
    ),
    "display": (
        (7.0, 0.1, {"text": "Bins today"}),
        (12.0, 0.2, {"text": "Lunch"}),
        (21.0, 0.3, {"text": "Good night"}),
    ),
}


def live(sim: DialInSim, diary: Diary) -> None:
    """Let people do with a device each day what they do."""
    for hour, within_h, what in _HAPPENINGS.get(sim.type, ()):
        diary.daily(hour, partial(_happen, sim, what), within_h=within_h)


async def _happen(sim: DialInSim, what: Mapping[str, Any] | str) -> None:
    if not isinstance(what, str):
        sim.state.update(what)
    # What happens while it is not connected nobody hears of; what it is like it tells
    # when it is again.
    if sim.is_connected:
        with suppress(*LOST):
            await sim.send(what if isinstance(what, str) else told(sim.state))
