"""What waits in the file for a server that is away: the oldest first, bounded."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence

__all__ = ["Outbox"]


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

    def load(self, connection: sqlite3.Connection) -> None:
        """Look what waits."""
        query = "SELECT number, length(lines) FROM outbox ORDER BY number"
        self._sizes = deque(
            (number, size, 0) for number, size in connection.execute(query)
        )
        self.bytes = sum(size for _, size, _ in self._sizes)

    def change(
        self,
        connection: sqlite3.Connection,
        lines: bytes,
        sent: Sequence[int],
        most_bytes: int,
    ) -> None:
        """Add what shall go, take away what has gone, and make room."""
        gone = set(sent)
        if lines:
            (last,) = connection.execute("SELECT max(number) FROM outbox").fetchone()
            number = max(last or 0, self._sizes[-1][0] if self._sizes else 0) + 1
            query = "INSERT INTO outbox VALUES (?, ?)"
            connection.execute(query, (number, lines))
            self._sizes.append((number, len(lines), lines.count(b"\n")))
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
    def oldest(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
        """Give what waits longest, with its number; None if nothing does."""
        query = "SELECT number, lines FROM outbox ORDER BY number LIMIT 1"
        row = connection.execute(query).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))
