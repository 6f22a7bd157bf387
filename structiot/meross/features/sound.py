"""The sounds of baby machines. Facts: reference 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import Poll, Request, entity_key
from structiot.meross.features.figures import on_off_of, whole_of
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item
from structiot.model import Command, Entity, Number, Select, State, Switch

__all__ = ["Sounds"]

MP3: Final = "Appliance.Control.Mp3"
_SONGS: Final = tuple(f"Song {number}" for number in range(1, 12))
_LOUDEST: Final = 16


class Sounds(ChannelFeature):
    """Whether it sounds, what, and how loud."""

    name = "sound"
    abilities: ClassVar[tuple[str, ...]] = (MP3,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MP3})
    is_certain = True

    @property
    def polls(self) -> Sequence[Poll]:
        """All of it; the digest does not tell."""
        request = Request(method=Method.GET, namespace=MP3, payload={"mp3": {}})
        return [Poll(request=request)]

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe a switch, a choice and a volume."""
        return [
            Switch(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Sound"),
                icon="mdi:music",
            ),
            Select(
                key=entity_key("song", channel),
                name=title(self.about, channel, "Song"),
                icon="mdi:playlist-music",
                options=_SONGS,
            ),
            Number(
                key=entity_key("volume", channel),
                name=title(self.about, channel, "Volume"),
                icon="mdi:volume-high",
                minimum=0,
                maximum=_LOUDEST,
            ),
        ]

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read what is told; an order tells a part."""
        states: dict[str, State | None] = {}
        is_mute = on_off_of(item.get("mute"))
        if is_mute is not None:
            states[entity_key(self.name, channel)] = not is_mute
        song = whole_of(item.get("song"), 1, len(_SONGS))
        if song is not None:
            states[entity_key("song", channel)] = _SONGS[song - 1]
        volume = whole_of(item.get("volume"), 0, _LOUDEST)
        if volume is not None:
            states[entity_key("volume", channel)] = volume
        return states

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Sound or be silent, choose a song, set the volume."""
        name = key.partition("_")[0]
        item: dict[str, object] = {"channel": channel_of_key(key, name)}
        if name == "song":
            item["song"] = _SONGS.index(str(command)) + 1
        elif name == "volume" and isinstance(command, int | float):
            item["volume"] = round(command)
        else:
            item["mute"] = int(command is not True)
        return [Request(method=Method.SET, namespace=MP3, payload={"mp3": item})]
