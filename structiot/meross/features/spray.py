"""Humidifiers. Facts: reference 4.9."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.fields import Choice, Field, Pace

__all__ = ["SprayMode", "Sprays"]

SPRAY: Final = "Appliance.Control.Spray"


class SprayMode(IntEnum):
    """How a humidifier sprays."""

    OFF = 0
    CONTINUOUS = 1
    INTERMITTENT = 2


class Sprays(ChannelFeature):
    """A choice of how to spray, a channel."""

    name = "spray"
    abilities: ClassVar[tuple[str, ...]] = (SPRAY,)
    namespaces: ClassVar[frozenset[str]] = frozenset({SPRAY})
    fields: ClassVar[tuple[Field, ...]] = (
        Choice(
            key="spray",
            path=("mode",),
            name="Spray",
            icon="mdi:sprinkler",
            tells_unknown=True,
            options={mode: mode.name.lower() for mode in SprayMode},
        ),
    )
    digest_key = "spray"
    is_certain = True
    pace: ClassVar[Pace] = "live"
    is_list = False
