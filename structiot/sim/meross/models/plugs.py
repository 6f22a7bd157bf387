"""Plugs, strips and meters."""

from __future__ import annotations

from functools import partial
from typing import Final

from structiot.sim.meross.models.model import NEWER, TOGGLE, MerossModel, abilities
from structiot.sim.meross.parts.energy import Meter, MeterX
from structiot.sim.meross.parts.timers import Timers
from structiot.sim.meross.parts.toggle import Toggle, ToggleX

__all__ = ["PLUGS"]

_METER: Final = "Control.ConsumptionX Control.Electricity Control.ConsumptionConfig"
_ENCRYPTED: Final = "Encrypt.Suite Encrypt.ECDHE"


def _outlets(count: int, *, has_usb: bool = False) -> tuple[dict[str, str], ...]:
    kinds = ["Switch"] * (count - has_usb) + ["USB"] * has_usb
    rows = [
        {"type": kind, "devName": f"{kind} {number}", "devIconId": "device001"}
        for number, kind in enumerate(kinds, 1)
    ]
    return ({}, *rows)


PLUGS: Final = (
    MerossModel(
        name="mss310",
        about="plug with a meter",
        hardware="6.0.0",
        firmware="6.3.22",
        chip="rtl8710cf",
        abilities=abilities(TOGGLE, _METER, Control_TimerX={"sunOffsetSupport": 1}),
        parts=(ToggleX, Meter, Timers),
    ),
    MerossModel(
        name="mss310_hw1",
        about="plug with a meter, first hardware: Toggle, no digest, no batches",
        kind="mss310",
        hardware="1.0.0",
        firmware="1.1.18",
        chip="MT7688",
        abilities=abilities(
            "Control.Toggle Control.Timer Control.Trigger Control.Electricity "
            "Control.Consumption Control.ConsumptionX",
            most_commands=None,
            without="System.Position",
        ),
        parts=(Toggle, Meter),
        is_legacy=True,
    ),
    MerossModel(
        name="mss110",
        about="plug, encrypted in the local network",
        hardware="7.0.0",
        firmware="7.3.37",
        chip="rtl8710cm",
        abilities=abilities(TOGGLE, NEWER, _ENCRYPTED, most_commands=3),
        parts=(ToggleX, Timers),
    ),
    MerossModel(
        name="mss305",
        about="plug with a meter and an alarm for standby",
        hardware="8.0.0",
        firmware="8.3.15",
        chip="rtl8710cm",
        abilities=abilities(
            TOGGLE,
            _METER,
            NEWER,
            "Control.ConsumptionH Config.OverTemp Config.StandbyKiller",
            most_commands=3,
        ),
        parts=(ToggleX, Meter, Timers),
    ),
    MerossModel(
        name="mss425f",
        about="strip of four sockets and USB",
        sub_type="us",
        firmware="2.1.14",
        abilities=abilities(TOGGLE),
        parts=(partial(ToggleX, outlets=5), Timers),
        channels=_outlets(5, has_usb=True),
    ),
    MerossModel(
        name="mss620",
        about="outdoor plug of two sockets",
        sub_type="us",
        hardware="4.0.0",
        firmware="4.2.3",
        chip="mt7686",
        abilities=abilities(TOGGLE, NEWER),
        parts=(partial(ToggleX, outlets=2), Timers),
        channels=_outlets(2),
    ),
    MerossModel(
        name="em06",
        about="meter of six circuits",
        sub_type="un",
        firmware="2.3.8",
        chip="esp32",
        abilities=abilities(
            NEWER,
            "Control.ElectricityX Control.ConsumptionH Control.CircuitFactor",
            most_commands=3,
        ),
        parts=(partial(MeterX, circuits=6),),
        channels=_outlets(6),
    ),
)
