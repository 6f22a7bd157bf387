"""One device that dials in, by whichever connection, as the gateway has it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from structiot._kit.environment import Environment
from structiot._kit.json_text import text_of
from structiot._kit.text import printable
from structiot.devices import BaseDevice
from structiot.errors import LinkLost
from structiot.gateway.drivers.manager.mapping import TypeMapping
from structiot.gateway.entities.told_members import (
    MISSING,
    MemberPath,
    entity_of,
    members_in,
    object_in,
    state_of,
    text_in,
    value_at,
)
from structiot.manager import BaseClient
from structiot.model import Command, DeviceEvent, DeviceInfo, Entity

__all__ = ["DialledDevice"]

_MOST_OTHERS: Final = 32
_MOST_EARLY: Final = 64
_LONGEST_NAME: Final = 64
_NAME: Final = ("name",)


class DialledDevice(BaseDevice[DeviceInfo]):
    """A device, known by its UUID; it lasts while its connections come and go.

    What it says is a stranger's word: of members of which nothing is said in the
    configuration the first 32 are shown, and they stay.

    Args:
        client: Its first connection.
        mapping: What its type has.
        environment: As the driver's.

    Attributes:
        client: Its latest connection.
    """

    def __init__(
        self, client: BaseClient, mapping: TypeMapping, environment: Environment
    ) -> None:
        super().__init__(_info_of(client), mapping.entities, environment=environment)
        self.client: BaseClient = client
        self._mapping = mapping
        self._others: dict[MemberPath, Entity] = {}
        # What happened before anybody listened for the first time.
        self._early: deque[tuple[str, str, str, datetime]] = deque(maxlen=_MOST_EARLY)
        self._tell_values(client.data.data)

    @property
    def is_followed(self) -> bool:
        """Whether anybody listens."""
        return len(self._event_boxes) > 0

    def came(self, client: BaseClient, mapping: TypeMapping) -> None:
        """Take another connection of it; whoever listens is not told of a change."""
        self.client = client
        if mapping is not self._mapping:
            self._mapping = mapping
            self._others.clear()
        self._describe(_info_of(client), self._all_entities())
        self._tell_values(client.data.data)
        self._tell_availability(is_available=True)

    def left(self, reason: str) -> None:
        """It is not connected any more."""
        self._tell_availability(is_available=False, reason=printable(reason))

    def took(self, message: bytes, at_utc: datetime) -> None:
        """Take a message."""
        said = object_in(message)
        if said is not None and self._mapping.has_values:
            self._tell_values(said, at_utc)
        text = text_in(message)
        event = self._mapping.event_in(said, text)
        if event is None:
            return
        happened = (*event, text, at_utc)
        if self.is_followed:
            self._tell_happened(*happened)
        else:
            self._early.append(happened)

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[DeviceEvent]]:
        """Iterate as every device does; the first who does is told of early messages."""
        async with super().events() as events:
            while self._early:
                self._tell_happened(*self._early.popleft())
            yield events

    async def _command(self, key: str, command: Command) -> None:
        if not self.is_available:
            reason = self.availability.reason
            raise LinkLost(f"{self._label} is not available: {reason}", reason=reason)
        await self.client.send(self._mapping.message(key, command))
        if self._mapping.is_assumed(key) and isinstance(command, bool | str):
            self._tell({key: command})

    # ------------------------------------------------------------ inside

    def _tell_happened(
        self, key: str, event_type: str, text: str, at_utc: datetime
    ) -> None:
        self._tell_occurrence(key, event_type, data={"text": text}, at_utc=at_utc)

    def _tell_values(
        self, said: Mapping[str, object], at_utc: datetime | None = None
    ) -> None:
        if self._learn(said):
            self._describe(self.info, self._all_entities(), reason="it tells more")
        states = self._mapping.states_in(said)
        for path, entity in self._others.items():
            if (value := value_at(said, path)) is not MISSING:
                states[entity.key] = state_of(entity, value)
        self._tell(states, at_utc=at_utc)

    def _learn(self, said: Mapping[str, object]) -> bool:
        """See which members there are of which nothing is said; whether any is new."""
        before = len(self._others)
        if not self._mapping.has_others or before >= _MOST_OTHERS:
            return False
        known = {_NAME, *(path for path, _ in self._mapping.members)}
        taken = {entity.key for entity in self._all_entities()}
        for path, value in members_in(said):
            if path in known or path in self._others:
                continue
            entity = entity_of(path, value, taken)
            if entity is not None:
                self._others[path] = entity
                taken.add(entity.key)
            if len(self._others) >= _MOST_OTHERS:
                break
        return len(self._others) > before

    def _all_entities(self) -> tuple[Entity, ...]:
        return (*self._mapping.entities, *self._others.values())


def _info_of(client: BaseClient) -> DeviceInfo:
    told = client.data.data.get("name")
    name = text_of(told) if isinstance(told, str) else None
    return DeviceInfo(
        id=client.uuid,
        system="manager",
        name=printable(name or f"{client.type} {client.uuid[:8]}", most=_LONGEST_NAME),
        model=client.type,
    )
