"""Openers of garage doors. Facts: reference 4.8 and 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import (
    ChannelFeature,
    channel_name,
    channel_of_key,
    title,
)
from structiot.meross.features.door import Door
from structiot.meross.features.door_settings import (
    CONFIG,
    MULTIPLE_CONFIG,
    DoorSettings,
    SharedDoorSettings,
)
from structiot.meross.features.feature import (
    About,
    Happened,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Pace
from structiot.meross.features.figures import on_off_of, whole_of
from structiot.meross.features.requests import order
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import (
    Command,
    Cover,
    CoverAction,
    CoverState,
    Entity,
    Event,
    State,
)

__all__ = ["GarageDoors"]

STATE: Final = "Appliance.GarageDoor.State"
_EVENT: Final = "door"


class GarageDoors(ChannelFeature):
    """A cover for each door, with what happens to it.

    An opener of one door has it on channel 0; one of three has them on 1 to 3, and its
    channel 0 is none, although it tells of one now and then.
    """

    name = "garage_door"
    abilities: ClassVar[tuple[str, ...]] = (STATE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({STATE, CONFIG, MULTIPLE_CONFIG})
    digest_key = "garageDoor"
    asked: ClassVar[object] = {}
    pace: ClassVar[Pace] = "live"

    def __init__(self, about: About) -> None:
        self._has_many = any(channel.number > 0 for channel in about.channels)
        super().__init__(about)
        self._doors: dict[int, Door] = {}
        self._settings = (
            DoorSettings(about, self._channels)
            if MULTIPLE_CONFIG in about.abilities
            else SharedDoorSettings(about)
        )

    @property
    def polls(self) -> Sequence[Poll]:
        """The doors, where the digest does not have them, and their settings."""
        has_settings = self._settings.abilities[0] in self.about.abilities
        return [*super().polls, *(self._settings.polls if has_settings else ())]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The doors, and their settings."""
        return (*super().entities, *self._settings.entities)

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the door, and what happens to it."""
        is_there = self._settings.is_there(channel)
        name = channel_name(self.about, channel) or f"Door {channel}"
        door = Cover(
            key=entity_key(self.name, channel),
            name=name if channel else None,
            device_class="garage",
            is_enabled=is_there,
        )
        event = Event(
            key=entity_key(_EVENT, channel),
            name=title(self.about, channel, "Door movement"),
            icon="mdi:garage",
            event_types=("opened", "closed", "stuck"),
            is_enabled=is_there,
        )
        return [door, event]

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """Channel 0 is no door where there are others."""
        if channel > 0 and not self._has_many:
            self._has_many = True
            self._channels.discard(0)
        return channel > 0 or not self._has_many

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the contacts or the settings."""
        before = self.entities
        if namespace != STATE:
            states = self._take_settings(namespace, payload, at_utc)
            return Update(states=states, entities_changed=self.entities != before)
        happened = [
            Happened(key=entity_key(_EVENT, channel), event_type=what, at_utc=at_utc)
            for item in items_of(payload, "state")
            if self.admit(item, channel := channel_of(item))
            for what in self._told(item, channel, at_utc)
        ]
        return self._update(at_utc, happened, changed=self.entities != before)

    def passed(self, at_utc: datetime) -> Update:
        """Let the doors have opened whose time is over."""
        has_news = [door.passed(at_utc) for door in self._doors.values()]
        return self._update(at_utc, (), changed=False) if any(has_news) else Update()

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Let the doors move that were told to; the contact says where they are now."""
        if request.namespace != STATE:
            return super().acknowledged(request, payload, at_utc)
        update = self.take(STATE, payload, at_utc)
        refused = {
            channel_of(item)
            for item in items_of(payload, "state")
            if whole_of(item.get("execute"), 0, 0) == 0
        }
        for item in items_of(request.payload, "state"):
            target, channel = on_off_of(item.get("open")), channel_of(item)
            if target is not None and channel in self._channels - refused:
                set_s = self._settings.duration_s(channel, is_opening=target)
                self._door(channel).order(at_utc, is_open=target, set_s=set_s)
        return self._update(at_utc, update.happened, changed=update.entities_changed)

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Open or close a door, or set something."""
        if not key.startswith(self.name):
            return self._settings.command(key, command, at_utc)
        item: dict[str, object] = {
            "channel": channel_of_key(key, self.name),
            "open": int(command is CoverAction.OPEN),
        }
        if self.about.system.uuid:
            item["uuid"] = self.about.system.uuid
        return [order(STATE, item)]

    def _door(self, channel: int) -> Door:
        return self._doors.setdefault(channel, Door())

    def _told(self, item: Item, channel: int, at_utc: datetime) -> Sequence[str]:
        is_open = on_off_of(item.get("open"))
        if is_open is None:
            return ()
        return self._door(channel).told(at_utc, is_open=is_open)

    def _take_settings(
        self, namespace: str, payload: Payload, at_utc: datetime
    ) -> Mapping[str, State | None]:
        if namespace == MULTIPLE_CONFIG:
            for item in items_of(payload, "config"):
                self.admit(item, channel_of(item))
        if namespace not in self._settings.namespaces:
            return {}
        return self._settings.take(namespace, payload, at_utc).states

    def _update(
        self, at_utc: datetime, happened: Sequence[Happened], *, changed: bool
    ) -> Update:
        """Tell of all doors: those on their way have arrived, or will be there soon."""
        doors = {channel: self._door(channel) for channel in self.channels}
        rests_s = [door.rest_s(at_utc) for door in doors.values()]
        return Update(
            states={
                entity_key(self.name, channel): CoverState(motion=door.motion)
                for channel, door in doors.items()
                if door.motion is not None
            },
            happened=tuple(happened),
            entities_changed=changed,
            look_again_s=min((s for s in rests_s if s is not None), default=None),
        )
