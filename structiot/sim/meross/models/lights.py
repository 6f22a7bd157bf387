"""Bulbs, strips, lamps and dimmers."""

from __future__ import annotations

from functools import partial
from typing import Final

from structiot.sim.meross.models.model import NEWER, TOGGLE, MerossModel, abilities
from structiot.sim.meross.parts.light import Effects, Light
from structiot.sim.meross.parts.timers import Timers
from structiot.sim.meross.parts.toggle import ToggleX

__all__ = ["LIGHTS"]

_EFFECTS: Final = "Control.Light Control.Light.Effect"

LIGHTS: Final = (
    MerossModel(
        name="msl120",
        about="bulb with colours and white tones",
        sub_type="un",
        firmware="2.1.2",
        abilities=abilities(TOGGLE, "Control.Light", Control_Light={"capacity": 7}),
        parts=(ToggleX, partial(Light, capacity=7), Timers),
        answer_bytes=2000,
    ),
    MerossModel(
        name="msl320cpr",
        about="LED strip with effects",
        hardware="4.0.0",
        firmware="4.3.8",
        chip="mt7686",
        abilities=abilities(
            TOGGLE, NEWER, _EFFECTS, most_commands=3, Control_Light={"capacity": 15}
        ),
        parts=(ToggleX, partial(Light, capacity=15), Effects, Timers),
    ),
    MerossModel(
        name="msl450",
        about="lamp with effects",
        hardware="7.0.0",
        firmware="7.3.9",
        chip="rtl8710cm",
        abilities=abilities(TOGGLE, NEWER, _EFFECTS, Control_Light={"capacity": 15}),
        parts=(ToggleX, partial(Light, capacity=15), Effects, Timers),
    ),
    MerossModel(
        name="mss560",
        about="dimmer",
        sub_type="us",
        hardware="4.0.0",
        firmware="4.1.9",
        chip="mt7686",
        abilities=abilities(
            TOGGLE, NEWER, "Control.Light", Control_Light={"capacity": 4}
        ),
        parts=(ToggleX, partial(Light, capacity=4), Timers),
    ),
)
