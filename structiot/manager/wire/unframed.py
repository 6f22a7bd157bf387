"""Both sides of D0 to D3, which do not tell where a message ends. Facts: reference 1, 7.2.

What a device sends is data, but for two things: its info while that is asked for, and its
answer while a heartbeat is under way. What a server sends is data, but for its commands.
Both are looked for at the begin and at the end of what comes in one piece, which is a
guess that no dialect without frames can avoid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from structiot.errors import UsageError
from structiot.manager.wire.dialects import WORDS, Dialect, Words
from structiot.manager.wire.events import (
    AliveAsked,
    Data,
    Event,
    InfoAsked,
    InfoTold,
    IsAlive,
    Left,
)
from structiot.manager.wire.info import Info, InfoReader

__all__ = ["UnframedDevice", "UnframedServer"]

_LIKE_INFO: Final = re.compile(
    rb"[0-9A-Fa-f-]{1,36}|[0-9A-Fa-f-]{32,36}#(#.*)?", re.DOTALL
)
_BLANK: Final = b" \t\r\n"
# As much as the original reads at once: what is longer is no word that is still to end.
_MOST_HELD_BYTES: Final = 4096
_MOST_MARKED_BYTES: Final = 65_535


class UnframedServer:
    """The server's side of one connection."""

    def __init__(self, dialect: Dialect) -> None:
        self._words: Words = WORDS[dialect]
        # Of the info that is asked for first, and of one that is asked for again; data
        # may come in front of the latter.
        self._reader: InfoReader | None = None
        self._is_known = self._is_asked_again = False
        self._is_marker_due = False
        self._is_alive_asked = self._may_answer_late = False
        self._held = b""

    @property
    def holds(self) -> bool:
        """Whether something waits that may be the begin of an answer, or of an info.

        Call `let_go` if nothing else comes within a moment.
        """
        return bool(self._held)

    @property
    def held_bytes(self) -> int:
        """How much waits for the rest of it."""
        reader = self._reader
        return len(self._held) + (0 if reader is None else reader.held_bytes)

    # ------------------------------------------------------------ what is sent

    def ask_info(self) -> bytes:
        """Ask who the device is, for the first time or again."""
        if self._is_known:
            self._is_asked_again = True
        else:
            self._reader = InfoReader()
        return self._words.ask_info

    def ask_alive(self) -> bytes:
        """Ask whether it is there."""
        self._is_alive_asked, self._may_answer_late = True, False
        return self._words.ask_alive

    def say_goodbye(self, reason: str = "") -> bytes:  # noqa: ARG002
        """End it."""
        return self._words.end

    def write(self, data: bytes, message_id: int = 0) -> bytes:  # noqa: ARG002
        """Write a message.

        Raises:
            UsageError: A device would obey it as a command.
        """
        written = data + self._words.marker
        if command := self._words.command_in(written):
            raise UsageError(f"a device would take {command}")
        return written

    # ------------------------------------------------------------ what is read

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come.

        Raises:
            ProtocolViolation: What should be an info is none.
        """
        events: list[Event] = []
        if self._reader is not None:
            found = self._reader.feed(data)
            if found is None:
                return events
            data = self._told(*found, events)
        data, self._held = self._held + data, b""
        if self._is_asked_again and _LIKE_INFO.fullmatch(data):
            found = InfoReader().feed(data)
            if found is None:
                self._held = data
                return events
            data = self._told(*found, events)
        if self._is_marker_due and data:
            self._is_marker_due = False
            data = data.removeprefix(self._words.marker)
        if self._is_alive_asked or self._may_answer_late:
            data = self._without_answer(data, events)
        if data:
            events.append(Data(data))
        return events

    def let_go(self) -> list[Event]:
        """Take for data what was held."""
        held, self._held = self._held, b""
        if held:
            self._is_alive_asked, self._may_answer_late = False, True
        return [IsAlive(), Data(held)] if held else []

    def _told(self, info: Info, rest: bytes, events: list[Event]) -> bytes:
        events.append(InfoTold(info))
        self._reader, self._is_known, self._is_asked_again = None, True, False
        self._is_marker_due = bool(self._words.marker)
        return rest.lstrip(_BLANK)

    def _without_answer(self, data: bytes, events: list[Event]) -> bytes:
        answer = self._words.is_alive
        if self._may_answer_late:
            # One that comes after the data that proved it alive is no news.
            self._may_answer_late = data != answer
            return data if self._may_answer_late else b""
        if not data:
            return data
        if data.startswith(answer):
            data, self._is_alive_asked = data.removeprefix(answer), False
        elif data.endswith(answer):
            data, self._is_alive_asked = data.removesuffix(answer), False
        elif len(data) <= _MOST_HELD_BYTES and _may_go_on(data, [answer]):
            self._held = data
            return b""
        else:
            self._is_alive_asked, self._may_answer_late = False, True
        events.append(IsAlive())
        return data


class UnframedDevice:
    """The device's side of one connection."""

    def __init__(self, dialect: Dialect) -> None:
        self._words: Words = WORDS[dialect]
        # D3's devices put the marker behind their info.
        self._info_end = self._words.marker if dialect is Dialect.D3 else b""
        self._commands: dict[bytes, Event] = {
            self._words.ask_info: InfoAsked(),
            self._words.ask_alive: AliveAsked(),
            self._words.end: Left(),
        }
        self._held = b""

    @property
    def holds(self) -> bool:
        """Whether something waits that may be the begin of a command."""
        return bool(self._held)

    @property
    def held_bytes(self) -> int:
        """How much waits for the rest of it."""
        return len(self._held)

    def tell_info(self, info: Info) -> bytes:
        """Say who it is.

        Raises:
            UsageError: It cannot be written.
        """
        return info.encode() + self._info_end

    def say_alive(self) -> bytes:
        """Answer a heartbeat."""
        return self._words.is_alive

    def write(self, data: bytes, message_id: int = 0) -> bytes:  # noqa: ARG002
        """Write a message, as it is.

        Raises:
            UsageError: A server would take it for the answer to a heartbeat.
        """
        if data == self._words.is_alive:
            message = f"a server would take the bytes {data.hex(' ')} for a heartbeat's answer"
            raise UsageError(message)
        return data

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come."""
        data, self._held = self._held + data, b""
        marker = self._words.marker
        if marker:
            return self._feed_marked(data, marker)
        first, last = [], []
        begin, end = 0, len(data)
        while word := next(
            (c for c in self._commands if data.startswith(c, begin)), b""
        ):
            begin += len(word)
            first.append(self._commands[word])
        while word := next(
            (c for c in self._commands if data.endswith(c, begin, end)), b""
        ):
            end -= len(word)
            last.append(self._commands[word])
        data = data[begin:end]
        is_short = len(data) <= _MOST_HELD_BYTES
        if not last and is_short and _may_go_on(data, self._commands):
            self._held = data
            return first
        return [*first, *([Data(data)] if data else []), *reversed(last)]

    def let_go(self) -> list[Event]:
        """Take for data what was held."""
        held, self._held = self._held, b""
        return [Data(held)] if held else []

    def _feed_marked(self, data: bytes, marker: bytes) -> list[Event]:
        *whole, rest = data.split(marker)
        events = [self._commands.get(one + marker, Data(one)) for one in whole]
        # Each message ends with a marker, unless it does not: not held for ever, and no
        # more of it than a frame of the dialects that have them.
        if len(rest) > _MOST_MARKED_BYTES:
            events.append(Data(rest))
            rest = b""
        self._held = rest
        return events


def _may_go_on(data: bytes, words: Iterable[bytes]) -> bool:
    """Tell whether the end of data may be the begin of one of the words."""
    return any(
        data.endswith(word[:size]) for word in words for size in range(1, len(word))
    )
