"""Humidifiers, air filters and baby machines. Facts: reference 4.9."""

from __future__ import annotations

from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.fields import (
    Adjustable,
    Choice,
    Field,
    Measured,
    Pace,
    Switched,
)
from structiot.meross.wire.envelope import Method

__all__ = ["Filters", "Sounds", "Sprays"]

_SONGS: Final = 11
_LOUDEST: Final = 16


class Sprays(ChannelFeature):
    """A choice of how to spray, a channel."""

    name = "spray"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Spray",)
    fields: ClassVar[tuple[Field, ...]] = (
        Choice(
            "spray",
            ("mode",),
            icon="mdi:sprinkler",
            tells_unknown=True,
            options={0: "off", 1: "continuous", 2: "intermittent"},
        ),
    )
    digest_key = "spray"
    is_certain = True
    pace: ClassVar[Pace] = "live"
    is_list = False


class Filters(ChannelFeature):
    """How much is left of a filter."""

    name = "filter_life"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.FilterMaintenance",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "filter_life",
            ("life",),
            category="diagnostic",
            icon="mdi:air-filter",
            tells_unknown=True,
            lowest=0,
            highest=100,
            unit="%",
            decimals=0,
        ),
    )
    is_certain = True
    asks: ClassVar[Method | None] = Method.PUSH


class Sounds(ChannelFeature):
    """Whether a baby machine sounds, what, and how loud."""

    name = "sound"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Mp3",)
    fields: ClassVar[tuple[Field, ...]] = (
        Switched("sound", ("mute",), icon="mdi:music", on=(0,), off=1),
        Choice(
            "song",
            ("song",),
            icon="mdi:playlist-music",
            options={number: f"Song {number}" for number in range(1, _SONGS + 1)},
        ),
        Adjustable(
            "volume",
            ("volume",),
            icon="mdi:volume-high",
            unit=None,
            lowest=0,
            highest=_LOUDEST,
            minimum=0,
            maximum=_LOUDEST,
            step=1,
        ),
    )
    asked: ClassVar[object] = {}
    is_certain = True
    pace: ClassVar[Pace] = "live"
    is_list = False
