"""Hubs, each with one of everything that can be paired with it."""

from __future__ import annotations

from functools import partial
from typing import Final

from structiot.sim.meross.models.model import NEWER, MerossModel, abilities
from structiot.sim.meross.parts.hub import HUB_NAMESPACES, Hub

__all__ = ["HUBS"]

_PAIRED: Final = (
    ("mts100v3", "01000A0B"),
    ("ms100", "1200AABBCCDD"),
    ("ms130", "1A00AABBCC01"),
    ("ms200", "1A00AABBCC02"),
    ("ms405", "1A00AABBCC03"),
    ("gs559", "1A00AABBCC04"),
)

HUBS: Final = (
    MerossModel(
        name="msh300hk",
        about="hub with a valve, and sensors of climate, doors, leaks and smoke",
        sub_type="un",
        hardware="4.0.0",
        firmware="4.5.32",
        chip="mt7686",
        abilities=abilities(
            NEWER,
            HUB_NAMESPACES,
            without="System.Clock",
            Hub_Mts100_Schedule={"scheduleUnitTime": 30},
            Hub_Mts100_ScheduleB={"scheduleUnitTime": 15},
        ),
        parts=(partial(Hub, subdevices=_PAIRED),),
        channels=(),
        answer_bytes=4000,
        subdevices=_PAIRED,
    ),
    MerossModel(
        name="msh300",
        about="hub with a valve and a sensor of temperature",
        sub_type="un",
        hardware="4.0.0",
        firmware="4.1.26",
        chip="mt7686",
        abilities=abilities(
            HUB_NAMESPACES,
            without="System.Clock Hub.ExtraInfo Hub.SubDevice.Version "
            "Hub.SubDevice.Beep Hub.Mts100.SuperCtl Hub.Mts100.Config "
            "Hub.Sensor.DoorWindow Hub.Sensor.Smoke Hub.Sensor.WaterLeak",
            Hub_Mts100_Schedule={"scheduleUnitTime": 30},
            Hub_Mts100_ScheduleB={"scheduleUnitTime": 15},
        ),
        parts=(partial(Hub, subdevices=_PAIRED[:2]),),
        channels=(),
        answer_bytes=4000,
        subdevices=_PAIRED[:2],
    ),
)
