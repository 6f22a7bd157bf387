"""Garage doors and roller shutters."""

from __future__ import annotations

from functools import partial
from typing import Final

from structiot.sim.meross.models.model import NEWER, TOGGLE, MerossModel, abilities
from structiot.sim.meross.parts.garage import (
    GarageDoors,
    garage_config,
    multiple_config,
)
from structiot.sim.meross.parts.roller import Roller
from structiot.sim.meross.parts.timers import Timers
from structiot.sim.meross.parts.toggle import ToggleX

__all__ = ["DOORS"]

_DOORS: Final = (1, 2, 3)
_NOTIFY: Final = {"notify": ["Appliance.GarageDoor.State"]}
_ROLLER: Final = (
    "RollerShutter.Position RollerShutter.State RollerShutter.Config "
    "RollerShutter.Adjust"
)

DOORS: Final = (
    MerossModel(
        name="msg100",
        about="garage door",
        sub_type="us",
        hardware="4.0.0",
        firmware="4.2.1",
        chip="MT7686",
        abilities=abilities(
            TOGGLE,
            NEWER,
            "GarageDoor.State GarageDoor.Config",
            Control_TimerX={"sunOffsetSupport": 1, **_NOTIFY},
            Control_TriggerX=_NOTIFY,
        ),
        parts=(partial(ToggleX, is_on=False), GarageDoors, garage_config, Timers),
    ),
    MerossModel(
        name="msg200",
        about="three garage doors",
        sub_type="us",
        hardware="4.0.0",
        firmware="4.2.8",
        chip="MT7686",
        abilities=abilities(
            NEWER,
            "Control.TimerX Control.TriggerX Digest.TriggerX Digest.TimerX "
            "GarageDoor.State GarageDoor.Config GarageDoor.MultipleConfig",
        ),
        parts=(
            partial(GarageDoors, channels=_DOORS),
            garage_config,
            partial(multiple_config, channels=_DOORS),
            Timers,
        ),
        channels=({}, *({"type": "Garage", "devName": f"Door {n}"} for n in _DOORS)),
    ),
    MerossModel(
        name="mrs100",
        about="roller shutter that stops where it is told to",
        hardware="7.0.0",
        firmware="7.6.10",
        chip="rtl8710cm",
        abilities=abilities(TOGGLE, NEWER, _ROLLER),
        parts=(partial(ToggleX, is_empty=True), Roller, Timers),
    ),
    MerossModel(
        name="mrs100_hw2",
        about="roller shutter that runs to the ends, and takes no batches",
        kind="mrs100",
        firmware="2.1.2",
        abilities=abilities(TOGGLE, _ROLLER, most_commands=None),
        parts=(
            partial(ToggleX, is_empty=True),
            partial(Roller, is_native=False),
            Timers,
        ),
    ),
)
