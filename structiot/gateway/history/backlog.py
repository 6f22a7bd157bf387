"""Readings that wait to be written: in order, bounded in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TypeAlias

from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.recorded import Value

__all__ = ["Backlog", "Occurred", "Part", "Row", "Stretch", "size_of"]

# Of a row with its tuple and its figure, as measured.
_ROW_BYTES = 136
_OCCURRED_BYTES = 300

Row: TypeAlias = tuple[RecordedSeries, int, Value]
"""Whose value, since when, and what it is."""


@dataclass(frozen=True, slots=True)
class Occurred:
    """Something that happened.

    Attributes:
        series: The event entity.
        at_ms: When.
        event_type: What.
        data: What else is known of it, as JSON.
    """

    series: RecordedSeries
    at_ms: int
    event_type: str
    data: str


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Time without an interruption, within one hour of the house.

    It says everything anew: nobody needs an earlier one to know what was.

    Attributes:
        from_ms: Where it begins.
        hour_ms: Where the hour begins.
        end_ms: Where the hour ends.
    """

    from_ms: int
    hour_ms: int
    end_ms: int


@dataclass(slots=True)
class Part:
    """What of a stretch is written at a time.

    Attributes:
        stretch: Of which it is a part.
        from_ms: Where it begins.
        until_ms: Where it ends.
        rows: What was told, each series in the order of time.
        occurred: What happened.
        is_last: Whether the stretch is over.
    """

    stretch: Stretch
    from_ms: int
    until_ms: int
    rows: list[Row] = field(default_factory=list)
    occurred: list[Occurred] = field(default_factory=list)
    is_last: bool = False
    bytes: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it has the beginning of its stretch."""
        return self.from_ms == self.stretch.from_ms

    def add(self, row: Row) -> None:
        """Add what was told."""
        self.rows.append(row)
        self.bytes += size_of(row)

    def happened(self, one: Occurred) -> None:
        """Add what happened."""
        self.occurred.append(one)
        self.bytes += _OCCURRED_BYTES + getsizeof(one.data)


def size_of(row: Row) -> int:
    """Give the bytes that a row takes in memory."""
    value = row[2]
    return _ROW_BYTES + (4 * len(value) if isinstance(value, str) else 0)


class Backlog:
    """The parts that wait, the oldest first.

    Args:
        most_bytes: Most that waits; then the oldest stretch goes, all of it, for what
            follows would be read as if nothing had changed in it.

    Attributes:
        lost: How many readings went so.
        bytes: How much waits.
        gone: The latest stretch that had to go; if it is not over, it is begun anew.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes: int = most_bytes
        self.lost: int = 0
        self.bytes: int = 0
        self.gone: Stretch | None = None
        self._parts: deque[Part] = deque()

    @property
    def rows(self) -> int:
        """How many readings wait."""
        return sum(len(part.rows) + len(part.occurred) for part in self._parts)

    def put(self, part: Part) -> None:
        """Add a part."""
        self._parts.append(part)
        self.bytes += part.bytes
        self._make_room()

    def take(self) -> list[Part]:
        """Take all that waits."""
        parts = list(self._parts)
        self._parts.clear()
        self.bytes = 0
        return parts

    def give_back(self, parts: Sequence[Part]) -> None:
        """Put back in front what could not be written."""
        self._parts.extendleft(reversed(parts))
        self.bytes += sum(part.bytes for part in parts)
        self._make_room()

    def give_up(self, parts: Sequence[Part]) -> None:
        """Let go of what can never be written, and of what its last stretch has more."""
        if parts:
            self.lost += sum(len(part.rows) + len(part.occurred) for part in parts)
            self._let_go(parts[-1].stretch)

    def _make_room(self) -> None:
        while self.bytes > self.most_bytes:
            self._let_go(self._parts[0].stretch)

    def _let_go(self, stretch: Stretch) -> None:
        self.gone = stretch
        while self._parts and self._parts[0].stretch is stretch:
            part = self._parts.popleft()
            self.bytes -= part.bytes
            self.lost += len(part.rows) + len(part.occurred)
