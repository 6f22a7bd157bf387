"""What waits in the file for a server that is away: the oldest first, bounded."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence

__all__ = ["Outbox"]

_PORTION_BYTES = 500_000


class Outbox:
    """What of it is known without looking.

    Attributes:
        bytes: How much waits.
        dropped: How many readings had to go to make room.
    """

    def __init__(self) -> None:
        self.bytes: int = 0
        self.dropped: int = 0
        self._sizes: deque[tuple[int, int, int]] = deque()
        self._number = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Look what waits."""
        query = "SELECT number, length(CAST(lines AS BLOB)) FROM outbox ORDER BY number"
        self._sizes = deque(
            (number, size, 0) for number, size in connection.execute(query)
        )
        self.bytes = sum(size for _, size, _ in self._sizes)
        last = self._sizes[-1][0] if self._sizes else 0
        self._number = max(self._number, last)

    def change(
        self,
        connection: sqlite3.Connection,
        lines: bytes,
        sent: Sequence[int],
        most_bytes: int,
    ) -> None:
        """Add what shall go, take away what has gone, and make room."""
        gone = set(sent)
        for some in _portions(lines):
            # Numbers of what has gone are not given again.
            self._number += 1
            query = "INSERT INTO outbox VALUES (?, ?)"
            connection.execute(query, (self._number, some))
            self._sizes.append((self._number, len(some), some.count(b"\n")))
        sizes = deque(one for one in self._sizes if one[0] not in gone)
        total = sum(size for _, size, _ in sizes)
        while sizes and total > most_bytes:
            number, size, readings = sizes.popleft()
            gone.add(number)
            total -= size
            self.dropped += readings or 1
        self._sizes, self.bytes = sizes, total
        if gone:
            connection.executemany(
                "DELETE FROM outbox WHERE number = ?", [(one,) for one in gone]
            )

    @staticmethod
    def oldest(
        connection: sqlite3.Connection, *, after: int = 0
    ) -> tuple[int, bytes] | None:
        """Give what waits longest, with its number; None if nothing does.

        Args:
            connection: The file.
            after: Number of what has gone, and is still there.
        """
        # What is no bytes is none of ours, and goes when room is made.
        query = (
            "SELECT number, lines FROM outbox WHERE number > ? AND "
            "typeof(lines) = 'blob' ORDER BY number"
        )
        row = connection.execute(f"{query} LIMIT 1", (after,)).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))


def _portions(lines: bytes) -> Iterator[bytes]:
    """Cut lines into what a server takes at a time."""
    begin = 0
    while begin < len(lines):
        end = min(len(lines), begin + _PORTION_BYTES)
        if end < len(lines):
            end = lines.rfind(b"\n", begin, end) + 1 or len(lines)
        yield lines[begin:end]
        begin = end
