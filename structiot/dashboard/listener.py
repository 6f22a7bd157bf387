"""One browser that listens: what it has still to be told, the latest of each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import anyio

from structiot._kit.json_text import compact

__all__ = ["Changes", "Listener", "Tick", "event_in_pieces"]

Changes: TypeAlias = dict[str, dict[str, bytes]]
"""What has changed, by device and key."""

_PIECE_BYTES = 32_768


def event_in_pieces(kind: str, id_: bytes, texts: Iterable[bytes]) -> Iterator[bytes]:
    """Write an event of many values in pieces of 32 kB, put together as they are asked for.

    What is not asked for yet stays the text that all share.
    """
    parts, size = [b"event: %b\nid: %b\ndata: {" % (kind.encode(), id_)], 0
    separator = b""
    for text in texts:
        parts += separator, text
        separator = b","
        size += len(text)
        if size >= _PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(b"}\n\n")
    yield b"".join(parts)


class Tick:
    """What has changed since the one before, shared by all listeners.

    Attributes:
        id: The event's id.
        changes: The values.
        cards: Devices whose cards are others now.
    """

    def __init__(self, id_: bytes, changes: Changes, cards: tuple[str, ...]) -> None:
        self.id: bytes = id_
        self.changes: Changes = changes
        self.cards: tuple[str, ...] = cards
        self._events: dict[str | None, bytes] = {}

    def values(self, device: str | None) -> Mapping[str, bytes]:
        """Give the values of all devices, or of one."""
        if device is not None:
            return self.changes.get(device, {})
        return {k: v for values in self.changes.values() for k, v in values.items()}

    def event(self, device: str | None) -> bytes:
        """Give them as an event, which is written once."""
        text = self._events.get(device)
        if text is None:
            values = self.values(device).values()
            text = b"".join(event_in_pieces("state", self.id, values))
            self._events[device] = text
        return text


class Listener:
    """Holds what one browser has not been told yet.

    Args:
        device: The device that it wants to know of; None for all.
    """

    __slots__ = ("_cards", "_device", "_late", "_tick", "_wake")

    def __init__(self, device: str | None) -> None:
        self._device = device
        # One tick as it is, which costs nothing; of several the latest of each value.
        self._tick: Tick | None = None
        self._late: dict[str, bytes] = {}
        self._cards: dict[str, None] = {}
        self._wake = anyio.Event()

    def offer(self, tick: Tick) -> None:
        """Take what has changed; never waits."""
        device = self._device
        cards = tick.cards if device is None else ({device} & set(tick.cards))
        self._cards.update(dict.fromkeys(cards))
        is_concerned = tick.changes if device is None else device in tick.changes
        if is_concerned:
            if self._tick is None and not self._late:
                self._tick = tick
            else:
                if self._tick is not None:
                    self._late.update(self._tick.values(device))
                    self._tick = None
                self._late.update(tick.values(device))
        if is_concerned or cards:
            self._wake.set()

    async def wait(self) -> None:
        """Wait until there is something to be told."""
        await self._wake.wait()

    def take(self, id_: bytes) -> Iterator[bytes]:
        """Give the next event in pieces, and forget it; nothing if there is none.

        That cards are others comes first, so that their values find them.
        """
        if self._cards:
            cards, self._cards = list(self._cards), {}
            text = compact({"devices": cards}, is_ascii=False).encode()
            yield b"event: structure\nid: %b\ndata: %b\n\n" % (id_, text)
        elif (tick := self._tick) is not None:
            self._tick = None
            yield tick.event(self._device)
        elif self._late:
            late, self._late = self._late, {}
            yield from event_in_pieces("state", id_, late.values())
        if not (self._cards or self._tick or self._late):
            self._wake = anyio.Event()
