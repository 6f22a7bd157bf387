"""The sounds of baby machines. Facts: reference 4.9."""

from __future__ import annotations

from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.fields import Adjustable, Choice, Field, Pace, Switched
from structiot.meross.wire.envelope import Payload

__all__ = ["Sounds"]

MP3: Final = "Appliance.Control.Mp3"
_SONGS: Final = 11
_LOUDEST: Final = 16


class Sounds(ChannelFeature):
    """Whether it sounds, what, and how loud."""

    name = "sound"
    abilities: ClassVar[tuple[str, ...]] = (MP3,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MP3})
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            key="sound",
            path=("mute",),
            name="Sound",
            icon="mdi:music",
            on=(0,),
            off=1,
        ),
        Choice(
            key="song",
            path=("song",),
            name="Song",
            icon="mdi:playlist-music",
            options={number: f"Song {number}" for number in range(1, _SONGS + 1)},
        ),
        Adjustable(
            key="volume",
            path=("volume",),
            name="Volume",
            icon="mdi:volume-high",
            unit=None,
            lowest=0,
            highest=_LOUDEST,
            minimum=0,
            maximum=_LOUDEST,
            step=1,
        ),
    )
    is_certain = True
    pace: ClassVar[Pace] = "live"
    is_list = False

    def question(self) -> Payload:
        """Give the documented form."""
        return {"mp3": {}}
