"""Humidifier, diffuser, purifier, ceiling fan and baby machine."""

from __future__ import annotations

from functools import partial
from typing import Final

from structiot.sim.meross.models.model import (
    NEWER,
    TIMERS,
    TOGGLE,
    MerossModel,
    abilities,
)
from structiot.sim.meross.parts.appliances import (
    DiffuserSensor,
    calibration,
    diffuser_light,
    diffuser_spray,
    fan,
    filter_maintenance,
    mp3,
    physical_lock,
    spray,
)
from structiot.sim.meross.parts.light import Light
from structiot.sim.meross.parts.timers import Timers
from structiot.sim.meross.parts.toggle import ToggleX

__all__ = ["APPLIANCES"]

_TYPE: Final = "mod100"

APPLIANCES: Final = (
    MerossModel(
        name="msxh0",
        about="humidifier with a lamp",
        sub_type="us",
        hardware="3.0.0",
        firmware="3.1.5",
        abilities=abilities(
            TIMERS, "Control.Spray Control.Light", Control_Light={"capacity": 5}
        ),
        parts=(spray, partial(Light, capacity=5, has_onoff=True), Timers),
    ),
    MerossModel(
        name=_TYPE,
        about="diffuser of oils, with a lamp",
        hardware="3.0.0",
        firmware="3.1.5",
        abilities=abilities(
            TIMERS,
            "Control.Diffuser.Light Control.Diffuser.Spray Control.Diffuser.Sensor",
        ),
        parts=(
            partial(DiffuserSensor, kind=_TYPE),
            partial(diffuser_light, kind=_TYPE),
            partial(diffuser_spray, kind=_TYPE),
            Timers,
        ),
    ),
    MerossModel(
        name="map100",
        about="air purifier",
        sub_type="us",
        hardware="7.0.0",
        firmware="7.2.27",
        chip="rtl8710cm",
        abilities=abilities(
            TOGGLE,
            NEWER,
            "Control.Fan Control.FilterMaintenance Control.PhysicalLock",
        ),
        parts=(
            ToggleX,
            partial(fan, most=4),
            filter_maintenance,
            physical_lock,
            Timers,
        ),
    ),
    MerossModel(
        name="mfc100",
        about="ceiling fan with a lamp",
        sub_type="us",
        hardware="7.0.0",
        firmware="7.3.14",
        chip="rtl8710cm",
        abilities=abilities(
            TOGGLE,
            NEWER,
            "Control.Fan Control.Light Config.Calibration",
            most_commands=3,
            Control_Light={"capacity": 4},
        ),
        parts=(
            partial(ToggleX, outlets=2, has_master=False),
            partial(fan, most=4),
            partial(Light, capacity=4, channel=1, has_onoff=True),
            calibration,
            Timers,
        ),
    ),
    MerossModel(
        name="hp110ahk",
        about="baby machine: lamp and songs, encrypted in the local network",
        sub_type="un",
        hardware="4.0.0",
        firmware="4.1.12",
        chip="mt7686",
        abilities=abilities(
            TOGGLE,
            NEWER,
            "Control.Light Control.Mp3 Encrypt.ECDHE",
            Control_Light={"capacity": 15},
        ),
        parts=(ToggleX, partial(Light, capacity=15), mp3, Timers),
    ),
)
