"""What came to the simulated SEPL platform, in its order, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias, final

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox

__all__ = [
    "SeplEvent",
    "SeplLogEntry",
    "SeplMessage",
    "SeplRecord",
    "SeplRecords",
    "SeplResponse",
]

_Parts: TypeAlias = Mapping[str, str]
_EventKey: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]


@dataclass(slots=True, kw_only=True)
class SeplMessage:
    """A frame that a client sent, and what the platform made of it.

    Attributes:
        connection: Which connection, the first being 1.
        handler: What was asked; `handshake` for the first, empty for what is no message.
        token: The client's name for it.
        payload: What came with it; of a handshake without the password.
        at_utc: When it came.
        status: What it was answered; None as long as it is not, and where a fault took
            the message or its answer.
    """

    connection: int
    handler: str
    token: str
    payload: Any
    at_utc: datetime
    status: int | None = None


class _WithParts:
    """What has protocol parts by name."""

    __slots__ = ()

    parts: _Parts

    @property
    def data(self) -> str | None:
        """The part `data`."""
        return self.parts.get("data")

    @property
    def metadata(self) -> str | None:
        """The part `metadata`."""
        return self.parts.get("metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeplEvent(_WithParts):
    """An event that the platform took.

    Attributes:
        number: Which one of all, the first being 1.
        connection: Which connection it came by.
        user: Whose.
        device_uri: Of which device.
        service_uri: Of which of its services.
        parts: Its protocol parts by name; null is an empty text.
        repeats: How many with the same device, service and parts had come before.
        at_utc: When it came.
    """

    number: int
    connection: int
    user: str
    device_uri: str
    service_uri: str
    parts: _Parts
    repeats: int
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeplResponse(_WithParts):
    """What a client answered to a command.

    Attributes:
        number: Which response of all, the first being 1.
        connection: Which connection it came by.
        user: Whose.
        device_uri: Of which device, as the response says.
        service_uri: Of which of its services.
        task_id: What ties it to the command.
        parts: Its protocol parts by name; null is an empty text.
        payload: All of it, as it came.
        is_awaited: Whether somebody waited for it; not so for a second one.
        at_utc: When it came.
    """

    number: int
    connection: int
    user: str
    device_uri: str
    service_uri: str
    task_id: str
    parts: _Parts
    payload: Mapping[str, Any]
    is_awaited: bool
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeplLogEntry:
    """That a connection began or ended.

    Attributes:
        connection: Which connection, the first being 1.
        user: Whose; empty if nobody logged in.
        gid: Of which gateway; empty likewise.
        what: `connected`, or why it ended.
        is_end: Whether it ended.
        at_utc: When.
    """

    connection: int
    user: str
    gid: str
    what: str
    is_end: bool
    at_utc: datetime


SeplRecord: TypeAlias = SeplMessage | SeplEvent | SeplResponse | SeplLogEntry
"""Anything that the platform takes note of."""


@final
class SeplRecords:
    """The latest of each kind, and whoever follows them.

    Args:
        kept: How many of each kind are held.
    """

    def __init__(self, kept: int) -> None:
        self.kept: int = kept
        self.messages: deque[SeplMessage] = deque(maxlen=kept)
        self.events: deque[SeplEvent] = deque(maxlen=kept)
        self.responses: deque[SeplResponse] = deque(maxlen=kept)
        self.log: deque[SeplLogEntry] = deque(maxlen=kept)
        self._followers: FanOut[Mailbox[SeplRecord]] = FanOut()
        self._seen: Counter[_EventKey] = Counter()
        self._event_count = self._response_count = 0

    @contextmanager
    def following(self) -> Generator[Mailbox[SeplRecord]]:
        """Give whatever is noted from now on."""
        box: Mailbox[SeplRecord] = Mailbox(self.kept, name="what a platform notes")
        with self._followers.listening(box):
            yield box

    def tell(self, record: SeplRecord) -> None:
        """Tell those who follow."""
        for box in self._followers:
            box.put(record)

    def add_event(
        self,
        *,
        connection: int,
        user: str,
        device_uri: str,
        service_uri: str,
        parts: _Parts,
        at_utc: datetime,
    ) -> None:
        """Note an event."""
        if len(self.events) == self.kept:
            oldest = _key(self.events[0])
            self._seen[oldest] -= 1
            if not self._seen[oldest]:
                del self._seen[oldest]
        key = (user, device_uri, service_uri, tuple(parts.items()))
        self._event_count += 1
        event = SeplEvent(
            number=self._event_count,
            connection=connection,
            user=user,
            device_uri=device_uri,
            service_uri=service_uri,
            parts=MappingProxyType(dict(parts)),
            repeats=self._seen[key],
            at_utc=at_utc,
        )
        self._seen[key] += 1
        self.events.append(event)
        self.tell(event)

    def add_response(
        self,
        *,
        connection: int,
        user: str,
        payload: Mapping[str, Any],
        parts: _Parts,
        at_utc: datetime,
        is_awaited: bool,
    ) -> SeplResponse:
        """Note a response, and give it."""
        self._response_count += 1
        response = SeplResponse(
            number=self._response_count,
            connection=connection,
            user=user,
            device_uri=_text(payload.get("device_url")),
            service_uri=_text(payload.get("service_url")),
            task_id=_text(payload.get("task_id")),
            parts=MappingProxyType(dict(parts)),
            payload=payload,
            is_awaited=is_awaited,
            at_utc=at_utc,
        )
        self.responses.append(response)
        self.tell(response)
        return response

    def add_log(self, entry: SeplLogEntry) -> None:
        """Note that a connection began or ended."""
        self.log.append(entry)
        self.tell(entry)


def _key(event: SeplEvent) -> _EventKey:
    parts = tuple(event.parts.items())
    return event.user, event.device_uri, event.service_uri, parts


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
