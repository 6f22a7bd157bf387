"""What happens to a client's connection, and who is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import StructiotError
from structiot.mqtt.wire.properties import ConnackProperties

__all__ = [
    "Connected",
    "ConnectionEvent",
    "ConnectionEvents",
    "Disconnected",
    "ReadingPaused",
    "ReadingResumed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker has accepted us.

    Attributes:
        session_present: Whether the broker remembered our session; if not, what was
            published while we were away is lost to us.
        limits: What the broker announced (MQTT 5.0).
        version: 4 for MQTT 3.1.1, 5 for 5.0.
        attempts: How many attempts it took.
    """

    session_present: bool
    limits: ConnackProperties
    version: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """There is no connection.

    Attributes:
        reason: Why, in one line that names host and port.
        error: The same as an error.
        attempt: How many attempts in a row have failed.
        retry_in_s: When the next attempt follows; None when there is none.
    """

    reason: str
    error: StructiotError | None
    attempt: int
    retry_in_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPaused:
    """Nothing more is read from the broker until a subscriber has taken something.

    Attributes:
        unread_bytes: What the messages hold that wait to be taken or acknowledged.
        limit_bytes: What the client may hold in all (`max_held_bytes`).
    """

    unread_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingResumed:
    """Enough was taken, or the connection has ended meanwhile.

    Attributes:
        after_s: How long nothing was read.
    """

    after_s: float


ConnectionEvent: TypeAlias = Connected | Disconnected | ReadingPaused | ReadingResumed


class ConnectionEvents:
    """Hands events to all listeners; a new one gets the present state first.

    Attributes:
        latest: Whether there is a connection; None before anything happened.
    """

    def __init__(self, name: str) -> None:
        self.latest: Connected | Disconnected | None = None
        self._name = name
        self._listeners: FanOut[Mailbox[ConnectionEvent]] = FanOut()

    def tell(self, event: ConnectionEvent) -> None:
        """Something has happened."""
        if isinstance(event, Connected | Disconnected):
            self.latest = event
        for box in self._listeners:
            box.put(event)

    def end(self) -> None:
        """Nothing will happen any more."""
        self._listeners.close()

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[Mailbox[ConnectionEvent]]:
        """Iterate over events for the length of the block."""
        box: Mailbox[ConnectionEvent] = Mailbox(name=self._name)
        if self.latest is not None:
            box.put(self.latest)
        with self._listeners.listening(box):
            yield box
