"""What an account remembers from one program to the next, in an SQLite file of mode 0600.

It holds the messages of the last hour, so that nobody is banned over a restart, why a
sign-in was refused, and what devices can. All of it may be lost: a file that is damaged
is set aside, one that cannot be written is said once, and nothing waits for either; one
that is none of ours is refused. Several programs may use a file at a time; each message is
written down before it is sent, and who writes learns what the others have sent before.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.json_text import compact, parse_object
from structiot.errors import ProtocolViolation
from structiot.meross.state_file import StateFile

__all__ = [
    "AN_HOUR_S",
    "EVERYBODY",
    "AccountState",
    "SentEarlier",
    "open_account_state",
]

AN_HOUR_S: Final = 3_600.0
# In the place of a device: nobody knows what was sent before, to any of them.
EVERYBODY: Final = ""
_NO_NUMBER: Final = 0
_MOST_KEPT: Final = 4_096
_MOST_WAITING: Final = 8_192
_MOST_CHARACTERS: Final = 32_768


class SentEarlier(NamedTuple):
    """A message that another program has sent, or this one before it was started."""

    device: str
    age_s: float


class _Sent:
    """A message of this program; 0 is the number of one that is not written down yet."""

    def __init__(self, device: str, at_s: float) -> None:
        self.device = device
        self.at_s = at_s
        self.number = 0

    def insert(self, file: sqlite3.Connection) -> int:
        """Write it down; give its number."""
        query = "INSERT INTO sent (device, at_s) VALUES (?, ?)"
        self.number = file.execute(query, (self.device, self.at_s)).lastrowid or 0
        return self.number


class AccountState(StateFile):
    """The open file; made by `open_account_state`, safe to use from several tasks.

    Args:
        path: The file; None remembers nothing beyond this object.
        environment: Tells the time.
    """

    def __init__(self, path: Path | None, environment: Environment) -> None:
        super().__init__(path)
        self._environment = environment
        self._last_id = 0
        self._unheard: list[SentEarlier] = []
        # What waits to be written; the oldest is given up where that is too much.
        self._sent: deque[_Sent] = deque(maxlen=_MOST_WAITING)
        self._taken_back: deque[int] = deque(maxlen=_MOST_WAITING)
        self._to_keep: dict[str, str] = {}

    # ------------------------------------------------------------ messages

    async def sent_earlier(self) -> list[SentEarlier]:
        """Give the messages of the last hour that were not given before."""
        # Has the file put in order, and read; it is only read where others write.
        await self.take_back(_NO_NUMBER)
        now_s = self._now_s()
        found = await self._read(lambda file: self._news(file, now_s))
        news, self._last_id = found or ([], self._last_id)
        return [*self._heard(), *news]

    async def note(self, device: str) -> tuple[int, list[SentEarlier]]:
        """Write down a message that is about to be sent.

        Returns:
            Its number, 0 while the file cannot be written, and the messages before it
            that were not given yet.
        """
        if self._is_in_memory:
            # Nobody else reads it: a thread for each message would be for nothing.
            return 0, []
        sent = _Sent(device, self._now_s())
        self._sent.append(sent)
        try:
            await self._write()
        except BaseException:
            with suppress(ValueError):
                self._sent.remove(sent)
            raise
        return sent.number, self._heard()

    async def take_back(self, number: int) -> None:
        """Delete a message that was written down: it is not sent."""
        self._taken_back.append(number)
        await self._write()

    def _heard(self) -> list[SentEarlier]:
        heard, self._unheard = self._unheard, []
        return heard

    def _news(
        self, file: sqlite3.Connection, now_s: float
    ) -> tuple[list[SentEarlier], int]:
        """Read what is new, and the number of the last."""
        # What seems to be of the future was sent before the clock was set back.
        query = (
            "SELECT id, device, CASE WHEN at_s > ?1 THEN ?1 ELSE at_s END FROM sent "
            "WHERE id > ?2 AND at_s > ?3 ORDER BY id"
        )
        rows = file.execute(query, (now_s, self._last_id, now_s - AN_HOUR_S)).fetchall()
        last_id = rows[-1][0] if rows else self._last_id
        return [
            SentEarlier(device, now_s - at_s)
            for _, device, at_s in rows
            if isinstance(device, str)
        ], last_id

    def _now_s(self) -> float:
        return self._environment.now_utc().timestamp()

    # ------------------------------------------------------------ what else is kept

    async def keep(self, name: str, value: Mapping[str, object] | None) -> None:
        """Keep a value under a name, or none any more."""
        await self.keep_all({name: value})

    async def keep_all(self, values: Mapping[str, Mapping[str, object] | None]) -> None:
        """Keep several at once."""
        for name, value in values.items():
            text = compact(value, is_ascii=True) if value is not None else ""
            self._to_keep[name] = text if len(text) <= _MOST_CHARACTERS else ""
        if values:
            await self._write()

    async def kept(self, prefix: str) -> dict[str, dict[str, object]]:
        """Give all that is kept under names that begin so, by the rest of these."""

        def work(file: sqlite3.Connection) -> dict[str, dict[str, object]]:
            query = (
                "SELECT name, value FROM kept "
                "WHERE substr(name, 1, ?) = ? AND length(value) <= ? LIMIT ?"
            )
            bounds = (len(prefix), prefix, _MOST_CHARACTERS, _MOST_KEPT)
            found = {}
            for name, text in file.execute(query, bounds):
                if isinstance(name, str) and isinstance(text, str):
                    with suppress(ProtocolViolation):
                        found[name[len(prefix) :]] = parse_object(text.encode(), "kept")
            return found

        return await self._read(work) or {}

    # ------------------------------------------------------------ what is written

    @property
    def _waiting(self) -> int:
        return len(self._sent) + len(self._taken_back) + len(self._to_keep)

    def _take(self) -> Callable[[sqlite3.Connection], Callable[[], None]]:
        sent, taken_back = list(self._sent), list(self._taken_back)
        to_keep, now_s = dict(self._to_keep), self._now_s()

        def write(file: sqlite3.Connection) -> Callable[[], None]:
            news, last_id = self._news(file, now_s)
            file.execute("DELETE FROM sent WHERE at_s <= ?", (now_s - AN_HOUR_S,))
            file.execute("UPDATE sent SET at_s = ? WHERE at_s > ?", (now_s, now_s))
            rows = [(number,) for number in taken_back]
            file.executemany("DELETE FROM sent WHERE id = ?", rows)
            for one in sent:
                last_id = one.insert(file)
            _keep(file, to_keep)
            return lambda: done(news, last_id)

        def done(news: list[SentEarlier], last_id: int) -> None:
            self._unheard += news
            self._last_id = last_id
            for one in sent:
                with suppress(ValueError):
                    self._sent.remove(one)
            for number in taken_back:
                with suppress(ValueError):
                    self._taken_back.remove(number)
            for name, text in to_keep.items():
                if self._to_keep.get(name) == text:
                    del self._to_keep[name]

        return write

    def _unsure(self) -> None:
        self._unheard.append(SentEarlier(EVERYBODY, 0.0))
        self._sent.append(_Sent(EVERYBODY, self._now_s()))


def _keep(file: sqlite3.Connection, values: Mapping[str, str]) -> None:
    for name, text in values.items():
        file.execute("DELETE FROM kept WHERE name = ?", (name,))
        (count,) = file.execute("SELECT count(*) FROM kept").fetchone()
        if text and count < _MOST_KEPT:
            file.execute("INSERT INTO kept VALUES (?, ?)", (name, text))


@asynccontextmanager
async def open_account_state(
    path: Path | None, *, environment: Environment = SYSTEM_ENVIRONMENT
) -> AsyncGenerator[AccountState]:
    """Open an account's file for the length of the block.

    Args:
        path: The file, whose folder is made; None remembers nothing.
        environment: Tells the time.

    Yields:
        What it holds. Of a file that could not be read it is not known what was sent.

    Raises:
        ConfigError: There is something else, which is left as it is.
    """
    state = AccountState(path, environment)
    await state.begin()
    try:
        async with service_group() as tasks:
            tasks.start_soon(state.run, name="structiot.meross state")
            yield state
    finally:
        await state.end()  # noqa: ASYNC102 - it shields itself, and is bounded
