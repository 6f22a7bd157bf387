"""What came to the simulated SENERGY platform, in its order, for tests to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, final

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox

__all__ = ["SenergyCall", "SenergyMessage", "SenergyRecord", "SenergyRecords"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyCall:
    """A call of the HTTP side.

    Attributes:
        method: Such as `PUT`.
        path: Percent-encoded, below `/device-manager`; whole elsewhere.
        status: What it was answered.
        at_utc: When.
    """

    method: str
    path: str
    status: int
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyMessage:
    """A message that a client has published.

    Attributes:
        kind: What became of it: `dropped` is an event of a service that there is not,
            `ignored` what was acknowledged and moved to `ignored/...`.
        user: Whose.
        topic: Where it was published.
        at_utc: When it came.
        parts: The protocol's parts of an event or a response, by name.
        text: What an error says; why a message is ignored.
        is_awaited: Whether somebody waited for a response.
    """

    kind: Literal["event", "response", "error", "dropped", "ignored"]
    user: str
    topic: str
    at_utc: datetime
    parts: Mapping[str, object] = field(default_factory=dict)
    text: str = ""
    is_awaited: bool = False

    @property
    def device(self) -> str:
        """The local id of the device, of an event or a response."""
        return self.topic.split("/")[-2]

    @property
    def service(self) -> str:
        """The local id of the service, of an event or a response."""
        return self.topic.split("/")[-1]

    @property
    def data(self) -> object:
        """The part `data`; None without one."""
        return self.parts.get("data")

    @property
    def metadata(self) -> object:
        """The part `metadata`; None without one."""
        return self.parts.get("metadata")


SenergyRecord: TypeAlias = SenergyCall | SenergyMessage
"""Anything that the platform takes note of."""


@final
class SenergyRecords:
    """The latest of each kind, and whoever follows them.

    Args:
        kept: How many of each kind are held.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._by_kind: dict[str, deque[SenergyMessage]] = {}
        self.calls: deque[SenergyCall] = deque(maxlen=kept)
        self._followers: FanOut[Mailbox[SenergyRecord]] = FanOut()

    def of_kind(self, kind: str) -> deque[SenergyMessage]:
        """Give the latest messages of a kind."""
        return self._by_kind.setdefault(kind, deque(maxlen=self._kept))

    @contextmanager
    def following(self) -> Generator[Mailbox[SenergyRecord]]:
        """Give whatever is noted from now on."""
        box: Mailbox[SenergyRecord] = Mailbox(self._kept, name="what a platform notes")
        with self._followers.listening(box):
            yield box

    def add(self, record: SenergyRecord) -> None:
        """Note something."""
        if isinstance(record, SenergyCall):
            self.calls.append(record)
        else:
            self.of_kind(record.kind).append(record)
        for box in self._followers:
            box.put(record)
