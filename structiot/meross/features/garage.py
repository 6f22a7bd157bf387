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
)
from structiot.meross.features.feature import (
    About,
    Happened,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.figures import on_off_of, whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
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

    def __init__(self, about: About) -> None:
        self._has_many = _has_many(about)
        super().__init__(about)
        self._doors: dict[int, Door] = {}
        self._settings = DoorSettings(about)

    @property
    def polls(self) -> Sequence[Poll]:
        """The settings; the doors too, where the digest does not have them."""
        polls = [
            Poll(request=request, pace="slow")
            for request in self._settings.questions(self.channels)
        ]
        if "garageDoor" not in self.about.system.digest:
            polls.append(Poll(request=_request(Method.GET, {"state": {}})))
        return polls

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the door, what happens to it, and its settings."""
        is_there = self._settings.is_there(channel)
        door = Cover(
            key=entity_key(self.name, channel),
            name=self._name(channel),
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
        return [door, event, *self._settings.entities_of(channel)]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The doors, and the settings that are of all of them."""
        shared = self._settings.entities_of(None)
        return (*super().entities, *shared)

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """Channel 0 is no door where there are others."""
        if channel > 0 and not self._has_many:
            self._has_many = True
            self._channels.discard(0)
        return channel > 0 or not self._has_many

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the contacts or the settings."""
        if namespace in {CONFIG, MULTIPLE_CONFIG}:
            return self._take_settings(namespace, payload)
        update = super().take(namespace, payload, at_utc)
        happened: list[Happened] = []
        for item in items_of(payload, key_of(namespace)):
            if channel_of(item) in self._channels:
                happened += self._told(item, channel_of(item), at_utc)
        return self._update(at_utc, tuple(happened), changed=update.entities_changed)

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,  # noqa: ARG002
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Make the door, if it is new."""
        self._door(channel)
        return {}

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
                self._door(channel).order(at_utc, is_open=target)
        return self._update(at_utc, update.happened, changed=update.entities_changed)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Open or close a door, or set something."""
        if not key.startswith(self.name):
            return self._settings.command(key, command)
        channel = channel_of_key(key, self.name)
        item: dict[str, object] = {
            "channel": channel,
            "open": int(command is CoverAction.OPEN),
        }
        if self.about.system.uuid:
            item["uuid"] = self.about.system.uuid
        return [_request(Method.SET, {"state": item})]

    def _told(self, item: Item, channel: int, at_utc: datetime) -> list[Happened]:
        is_open = on_off_of(item.get("open"))
        if is_open is None:
            return []
        return [
            Happened(key=entity_key(_EVENT, channel), event_type=what, at_utc=at_utc)
            for what in self._door(channel).told(at_utc, is_open=is_open)
        ]

    def _take_settings(self, namespace: str, payload: Payload) -> Update:
        before = self.entities
        if namespace == MULTIPLE_CONFIG:
            for item in items_of(payload, "config"):
                self.admit(item, channel_of(item))
        states = self._settings.take(namespace, payload, self.channels)
        for channel in self.channels:
            for is_opening in (True, False):
                duration_s = self._settings.duration_s(channel, is_opening=is_opening)
                self._door(channel).configure(
                    is_opening=is_opening, duration_s=duration_s
                )
        return Update(states=states, entities_changed=self.entities != before)

    def _update(
        self, at_utc: datetime, happened: tuple[Happened, ...], *, changed: bool
    ) -> Update:
        doors = {channel: self._door(channel) for channel in self.channels}
        rests_s = [
            rest for d in doors.values() if (rest := d.rest_s(at_utc)) is not None
        ]
        return Update(
            states={
                entity_key(self.name, channel): CoverState(motion=door.motion)
                for channel, door in doors.items()
                if door.motion is not None
            },
            happened=happened,
            entities_changed=changed,
            look_again_s=min(rests_s, default=None),
        )

    def _door(self, channel: int) -> Door:
        return self._doors.setdefault(channel, Door())

    def _name(self, channel: int) -> str | None:
        if channel == 0:
            return None
        return channel_name(self.about, channel) or f"Door {channel}"


def _has_many(about: About) -> bool:
    items = items_of(about.system.digest, "garageDoor")
    numbers = [channel_of(item) for item in items]
    return max([*numbers, *(c.number for c in about.channels)], default=0) > 0


def _request(method: Method, payload: Payload) -> Request:
    return Request(method=method, namespace=STATE, payload=payload)
