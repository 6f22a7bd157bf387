"""The file of a history, as it is written; all methods block, one thread at a time.

What is written is whole after each commit, whenever the process or the machine ends. A
stretch that was cut off so is rolled up when the file is opened the next time, from its
readings.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from structiot._kit.sqlite_file import (
    lock_sqlite_file,
    open_sqlite_file,
    set_aside,
)
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError
from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Occurred, Part, Row, Stretch
from structiot.gateway.history.outbox import Outbox
from structiot.gateway.history.retention import Keep, forget_series, let_go
from structiot.gateway.history.rolling import Rolling
from structiot.gateway.history.schema import PROGRAM_ID, SCHEMA, VERSION

__all__ = ["Batch", "Store", "StoreFacts", "Written", "reason_of", "size_of_file"]

# It is tried again anyway.
_BUSY_S = 0.1
# Of more series than a house has, the numbers are looked up in the file.
_MOST_NUMBERS = 50_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is written in one commit.

    Attributes:
        parts: What was told, in order.
        lines: What goes to somebody else as well, and waits here for that.
        sent: Numbers of what has gone there.
    """

    parts: Sequence[Part] = ()
    lines: bytes = b""
    sent: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What a file has.

    Attributes:
        size_bytes: How large it is, with what SQLite keeps beside it.
        rows: How many raw readings.
        oldest_ms: From when the oldest is.
    """

    size_bytes: int = 0
    rows: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a batch.

    Attributes:
        facts: What the file has now.
        lost: Readings of a time that the file had already.
        resume_ms: When that time is over; a stretch is begun anew then.
    """

    facts: StoreFacts
    lost: int = 0
    resume_ms: int | None = None


class Store:
    """The file, once it is opened.

    Args:
        path: Where it is; it is made with its folder.
        most_outbox_bytes: Most that waits for somebody else.
    """

    def __init__(self, path: Path, *, most_outbox_bytes: int = 50_000_000) -> None:
        self.path: Path = path
        self.most_outbox_bytes: int = most_outbox_bytes
        self._connection: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._numbers: dict[RecordedSeries, tuple[int, RecordedSeries]] = {}
        self._stretch: Stretch | None = None
        self._rolling: Rolling | None = None
        self.outbox: Outbox = Outbox()

    # ------------------------------------------------------------ opened and closed

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._connection is not None

    def open(self) -> None:
        """Open the file, and roll up what was left; one that is damaged is set aside.

        Raises:
            ConfigError: Another gateway has it, or it is no history.
            OSError: It cannot be made.
            sqlite3.Error: It cannot be opened now.
        """
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = lock_sqlite_file(path, busy_s=_BUSY_S)
        for is_second in (False, True):
            try:
                self._open()
            except sqlite3.OperationalError:
                self._let_go()
                raise
            except sqlite3.DatabaseError as exc:
                self._let_go()
                if is_second:
                    raise
                self._set_aside(exc)
            except BaseException:
                self._let_go()
                raise
            else:
                return

    def _open(self) -> None:
        self._connection = open_sqlite_file(
            self.path,
            SCHEMA,
            program_id=PROGRAM_ID,
            version=VERSION,
            is_durable=True,
            is_checked=False,
        )
        execute = self._connection.execute
        # What a long commit has left is not kept for ever.
        execute("PRAGMA journal_size_limit=16777216")
        self._identity = _identity_of(self.path)
        self._rolling = Rolling(self._connection)
        execute("BEGIN IMMEDIATE")
        self._rolling.recover(keeping=self._stretch is not None)
        self.outbox.load(self._connection)
        execute("COMMIT")

    def _set_aside(self, error: Exception) -> None:
        aside = set_aside(self.path, keeps_earlier=True)
        text = "the history %s is damaged, and is now %s; a new one is begun: %s"
        _log.error(text, self.path, aside, printable(str(error)))
        self._stretch = None

    def close(self) -> None:
        """Close the file, and let others have it; closing twice is silent."""
        self._let_go()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._rolling = None
        self._numbers.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    # ------------------------------------------------------------ written

    def apply(self, batch: Batch, *, keep: Keep | None = None) -> Written:
        """Write a batch in one transaction; it is safe when this returns.

        After an error the file is closed, and opened anew by the next call; the batch
        may be given again.

        Args:
            batch: What is written.
            keep: What is old enough to be let go.

        Raises:
            ConfigError: Another gateway has the file, or it is no history.
            OSError: It cannot be reached now.
            sqlite3.Error: It cannot be written now.
        """
        if self._connection is not None and not self._is_in_place():
            _log.error("the history %s was removed or replaced while in use", self.path)
            self._let_go()
            self._stretch = None
        if self._connection is None:
            self.open()
        try:
            return self._apply(batch, keep)
        except sqlite3.OperationalError:
            self._let_go()
            raise
        except sqlite3.DatabaseError as exc:
            self._let_go()
            self._set_aside(exc)
            raise
        except BaseException:
            self._let_go()
            raise

    def _apply(self, batch: Batch, keep: Keep | None) -> Written:
        connection, rolling = self._connection, self._rolling
        assert connection is not None  # noqa: S101 - it was opened
        assert rolling is not None  # noqa: S101
        stretch = self._stretch
        lost, resume_ms = 0, None
        connection.execute("BEGIN IMMEDIATE")
        for part in batch.parts:
            if part.stretch is not stretch or not rolling.is_open:
                rolling.begin(part.stretch, part.from_ms, is_whole=part.is_first)
                stretch = part.stretch
            lost += rolling.take(part, self._numbered(part.rows))
            self._keep(part.occurred)
            resume_ms = rolling.resume_ms
            if part.is_last:
                rolling.finish()
        self.outbox.change(connection, batch.lines, batch.sent, self.most_outbox_bytes)
        if keep is not None:
            let_go(connection, keep)
            if gone := forget_series(connection, keep):
                rolling.forget(gone)
                self._numbers.clear()
        facts = self._facts(connection)
        connection.execute("COMMIT")
        self._stretch = stretch
        return Written(facts=facts, lost=lost, resume_ms=resume_ms)

    def _is_in_place(self) -> bool:
        # What is written to a file that was removed is lost without a word.
        return (
            _identity_of(self.path) == self._identity
            and _identity_of(Path(f"{self.path}-wal")) is not None
        )

    def _numbered(self, rows: Iterable[Row]) -> list[tuple[int, Row]]:
        return [(self._number(row[0]), row) for row in rows]

    def _number(self, series: RecordedSeries) -> int:
        found = self._numbers.get(series)
        if found is not None and found[1] is series:
            return found[0]
        assert self._connection is not None  # noqa: S101 - it was opened
        execute = self._connection.execute
        one = series
        told = (one.slug, one.name, one.label, one.decimals)
        key = (one.system, one.device, one.entity, one.kind, one.unit)
        execute(
            "INSERT INTO series (system, device, entity, kind, unit, slug, name, label, "
            "decimals) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "slug = excluded.slug, name = excluded.name, label = excluded.label, "
            "decimals = excluded.decimals",
            (*key, *told),
        )
        (number,) = execute(
            "SELECT number FROM series WHERE system = ? AND device = ? AND entity = ? "
            "AND kind = ? AND unit = ?",
            key,
        ).fetchone()
        self._numbers.pop(series, None)
        if len(self._numbers) >= _MOST_NUMBERS:
            self._numbers.clear()
        self._numbers[series] = int(number), series
        return int(number)

    def _keep(self, occurred: Iterable[Occurred]) -> None:
        assert self._connection is not None  # noqa: S101 - it was opened
        self._connection.executemany(
            "INSERT INTO occurrences (series, at_ms, event_type, data) "
            "VALUES (?, ?, ?, ?)",
            [
                (self._number(one.series), one.at_ms, one.event_type, one.data)
                for one in occurred
            ],
        )

    def _facts(self, connection: sqlite3.Connection) -> StoreFacts:
        query = "SELECT min(from_ms) FROM stretches WHERE has_raw"
        (oldest_ms,) = connection.execute(query).fetchone()
        return StoreFacts(
            size_bytes=size_of_file(self.path),
            rows=sum(_numbers_in(connection, one) for one in ("figures", "steps")),
            oldest_ms=oldest_ms,
        )


def _numbers_in(connection: sqlite3.Connection, table: str) -> int:
    """Give how many rows a table has whose numbers follow each other."""
    # SQLite finds each end at once, and both in one question by going through all.
    first, last = (
        connection.execute(f"SELECT {end}(number) FROM {table}").fetchone()[0]  # noqa: S608
        for end in ("min", "max")
    )
    return 0 if first is None else int(last - first + 1)


def size_of_file(path: Path) -> int:
    """Give the size of a file, with what SQLite keeps beside it."""
    size = 0
    for ending in ("", "-wal"):
        with suppress(OSError):
            size += Path(f"{path}{ending}").stat().st_size
    return size


def reason_of(error: Exception) -> str:
    """Say why a file cannot be used."""
    if isinstance(error, OSError) and not isinstance(error, ConfigError):
        return printable(path_fault(error))
    return printable(str(error))


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
