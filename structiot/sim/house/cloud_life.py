"""What people and weather do with the Meross devices of the house, by model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from structiot.sim.house.day import Diary, hour_of
from structiot.sim.meross.parts.subdevices import (
    DoorSensor,
    LeakSensor,
    SmokeSensor,
    TemperatureSensor,
)
from structiot.sim.meross.simulator import MerossSim
from structiot.sim.shared.faults import Fault, FaultKind

__all__ = ["LIVES"]

_POSITION: Final = "Appliance.RollerShutter.Position"
_FAN: Final = "Appliance.Control.Fan"
_AIR: Final = "Appliance.Control.Diffuser.Sensor"
_SPRAY: Final = "Appliance.Control.Diffuser.Spray"
_DAMP: Final = "Appliance.Control.Diffuser.Light"
_CIRCUITS: Final = "Appliance.Control.ElectricityX"
_FLOOR: Final = "Appliance.Control.Thermostat.Mode"
_SMOKE: Final = 25
_WEAK: Final = 0.5


def _warmth(hour: float) -> float:
    """Give what the day adds to a temperature: -1 before dawn, 1 in the afternoon."""
    return math.sin((hour - 9.0) / 24 * math.tau)


def _desk(sim: MerossSim, diary: Diary) -> None:
    for hour in (8.3, 17.2):
        for outlet in (1, 2):
            diary.daily(hour, partial(sim.press, outlet))


def _lamp(sim: MerossSim, diary: Diary) -> None:
    # It is on at first.
    for hour in (7.2, 19.6, 22.8):
        diary.daily(hour, sim.press)


def _garage(sim: MerossSim, diary: Diary) -> None:
    for opens, closes in ((7.5, 7.8), (10.2, 10.6), (17.3, 17.6)):
        diary.daily(opens, sim.open_door, within_h=0.1)
        diary.daily(closes, sim.close_door, within_h=0.1)


def _shutter(sim: MerossSim, diary: Diary) -> None:
    for hour, position in ((6.8, 100), (13.5, 40), (16.5, 100), (21.3, 0)):
        wanted = {"position": {"channel": 0, "position": position}}
        # As from its button at the wall.
        move = sim.device.part(_POSITION).set
        diary.daily(hour, partial(move, _POSITION, wanted))


def _diffuser(sim: MerossSim, diary: Diary) -> None:
    def measure() -> None:
        warmth = _warmth(hour_of(diary.clock.now_s()))
        near = diary.random.gauss(0, 1)
        fields = {
            "temperature": round(214 + 12 * warmth + 2 * near),
            "humidity": round(452 - 40 * warmth + 8 * near),
        }
        sim.set_state(_AIR, fields)

    diary.every(15, measure)
    for hour, mode, is_on in ((18.5, 0, 1), (20.0, 1, 1), (22.3, 2, 0)):
        diary.daily(hour, partial(sim.set_state, _SPRAY, {"mode": mode}))
        diary.daily(hour, partial(sim.set_state, _DAMP, {"onoff": is_on}))


def _floor(sim: MerossSim, diary: Diary) -> None:
    """Let the room be colder than wanted until noon, and warm enough after it."""

    def measure() -> None:
        warmth = _warmth(hour_of(diary.clock.now_s()))
        near = diary.random.gauss(0, 1)
        sim.set_state(_FLOOR, {"currentTemp": round(209 + 9 * warmth + near)})

    diary.every(20, measure)


def _purifier(sim: MerossSim, diary: Diary) -> None:
    for hour, speed in ((6.6, 2), (12.4, 3), (13.4, 1), (18.4, 4), (19.4, 2), (22, 1)):
        diary.daily(hour, partial(sim.set_state, _FAN, {"speed": speed}))


def _fuse_box(sim: MerossSim, diary: Diary) -> None:
    """Let the box answer and its meter say nothing for a while: old figures, no fault."""

    def stop() -> None:
        sim.faults.always(Fault(kind=FaultKind.REFUSE, on=_CIRCUITS))

    diary.daily(10.0, stop)
    diary.daily(14.0, sim.faults.clear)


def _hub(sim: MerossSim, diary: Diary) -> None:
    for one in sim.subdevices.values():
        match one:
            case TemperatureSensor():
                base_c = 12.5 if one.kind == "ms100" else 21.0
                diary.every(20, partial(_measure, one, base_c, diary))
            case DoorSensor():
                for hour in (8.9, 9.1, 19.0, 19.2):
                    is_open = hour in (8.9, 19.0)
                    act = partial(one.move, is_open=is_open)
                    diary.daily(hour, act, within_h=0.1)
            case LeakSensor():
                diary.daily(10.6, partial(one.leak, is_wet=True))
                diary.daily(11.4, partial(one.leak, is_wet=False))
                # Its radio is weak down there.
                diary.daily(2.0, partial(one.set_online, is_online=False))
                diary.daily(4.0, partial(one.set_online, is_online=True))
            case SmokeSensor():
                diary.daily(18.4, partial(one.alarm, _SMOKE), within_h=0.1)
                diary.daily(18.7, partial(one.alarm, one.FINE), within_h=0.1)


def _measure(sensor: TemperatureSensor, base_c: float, diary: Diary) -> None:
    warmth = _warmth(hour_of(diary.clock.now_s()))
    near = diary.random.gauss(0, _WEAK)
    sensor.measure(base_c + warmth + 0.2 * near, 48 - 4 * warmth + near)


LIVES: Final[Mapping[str, Callable[[MerossSim, Diary], Any]]] = {
    "mss425f": _desk,
    "msl120": _lamp,
    "msg100": _garage,
    "mrs100": _shutter,
    "mts200": _floor,
    "mod100": _diffuser,
    "map100": _purifier,
    "em06": _fuse_box,
    "msh300hk": _hub,
}
"""What happens to devices of a model."""
