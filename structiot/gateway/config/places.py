"""`[devices]` in the configuration: where devices are, and which are switched with care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from structiot.gateway.config.fields import Section

__all__ = ["DeviceSection", "EntitySection", "Room"]


def _check_room(room: str) -> str:
    if not room.strip() or not room.isprintable():
        raise ValueError(f"{room!r} is no name of a room that can be shown")
    return room


Room = Annotated[str, Field(max_length=100), AfterValidator(_check_room)]


class EntitySection(Section):
    """`[devices.<device>.entities.<entity>]`: one entity of a device.

    Attributes:
        confirm: Whether the page asks before it is switched: a freezer, a heater. By
            default as of its device; locks ask before they unlock, and sirens.
        room: Where it is, if not where its device is.
    """

    also_called: ClassVar[Mapping[str, str]] = {"area": "room"}

    confirm: bool | None = None
    room: Room | None = None


class DeviceSection(Section):
    """`[devices.<device>]`: a device of any system, by its level in topics.

    Attributes:
        room: Where it is; the page shows devices by rooms, and Home Assistant is told.
        confirm: Whether the page asks before anything of it is switched.
        entities: What is otherwise for one entity, by its key.
    """

    also_called: ClassVar[Mapping[str, str]] = {"area": "room"}

    room: Room | None = None
    confirm: bool | None = None
    entities: Mapping[str, EntitySection] = {}
