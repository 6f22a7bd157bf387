"""Bytes that wait to be written: small ones in one piece, large ones as they are.

What is small is cheaper to copy than to remember. A payload that is large is referred to
until the system has taken it, however many it is for.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

__all__ = ["LARGE_BYTES", "MOST_PIECES", "Buffer", "OutBuffer", "size_of"]

LARGE_BYTES = 4_096
"""What has as many is not copied."""

# What is written in portions has its head in one piece with so much of what follows.
JOINED_BYTES = 16_384
# The system takes so many pieces at once everywhere.
MOST_PIECES = 64

Buffer: TypeAlias = bytes | bytearray | memoryview


class OutBuffer(bytearray):
    """What one connection has to write.

    `+=` copies, `add_large` refers. The bytearray itself has what was copied. It is empty
    while something else waits only where a part has been written: a payload has a head.

    Attributes:
        large_bytes: What waits beside the bytearray's own bytes, `len` of it.
    """

    __slots__ = ("_bound", "_large", "large_bytes")

    def __init__(self) -> None:
        super().__init__()
        self.large_bytes: int = 0
        # Each with the number of own bytes between it and the one before.
        self._large: deque[tuple[int, Buffer]] | None = None
        # Own bytes that stand before the last of them.
        self._bound = 0

    @property
    def size(self) -> int:
        """How many bytes wait in all."""
        return len(self) + self.large_bytes

    def add_large(self, data: Buffer) -> None:
        """Append bytes that nobody will change, without a copy."""
        if self._large is None:
            self._large = deque()
        self._large.append((len(self) - self._bound, data))
        self._bound = len(self)
        self.large_bytes += len(data)

    def prepend(self, data: Buffer) -> None:
        """Put a copy of something before everything else."""
        self[:0] = data
        if self._large:
            gap, first = self._large[0]
            self._large[0] = gap + len(data), first
            self._bound += len(data)

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        if self._large is not None:
            self._large, self._bound, self.large_bytes = None, 0, 0

    def cut(self, own_bytes: int, large_bytes: int) -> None:
        """Go back to where there were so many bytes of its own, and of large ones."""
        while self._large and self.large_bytes > large_bytes:
            gap, last = self._large.pop()
            self._bound -= gap
            self.large_bytes -= len(last)
        del self[own_bytes:]

    def take(self) -> list[Buffer]:
        """Give all that waits, in order, and be empty."""
        pieces = self.pieces(most=len(self._large or ()) * 2 + 1)
        self.clear()
        return pieces

    def pieces(self, *, most: int = MOST_PIECES) -> list[Buffer]:
        """Give the first pieces of what waits, without taking them."""
        found: list[Buffer] = []
        own, at = bytes(self), 0
        for gap, data in self._large or ():
            if len(found) + 2 > most:
                return found
            if gap:
                found.append(own[at : at + gap])
                at += gap
            found.append(data)
        if at < len(own):
            found.append(own[at:])
        return found

    def portion(self, most_bytes: int) -> Buffer:
        """Take the first bytes, as many as that at most."""
        if not self._large:
            data: Buffer = bytes(memoryview(self)[:most_bytes])
            del self[: len(data)]
            return data
        gap, first = self._large[0]
        if gap >= most_bytes:
            data = bytes(self[:most_bytes])
        elif gap:
            room = min(most_bytes - gap, JOINED_BYTES)
            data = bytes(self[:gap]) + bytes(memoryview(first)[:room])
        else:
            data = memoryview(first)[:most_bytes]
        self.drop(len(data))
        return data

    def drop(self, size: int) -> None:
        """Forget the first bytes: they have been written."""
        if size == len(self) + self.large_bytes:
            self.clear()
            return
        large, own = self._large, 0
        while large and size:
            gap, data = large[0]
            if gap:
                step = min(gap, size)
                own += step
                size -= step
                large[0] = gap - step, data
                continue
            step = min(len(data), size)
            size -= step
            self.large_bytes -= step
            if step < len(data):
                large[0] = 0, memoryview(data)[step:]
            else:
                large.popleft()
        if not large:
            self._large = None
            own += size
        self._bound = max(0, self._bound - own)
        del self[:own]


def size_of(out: bytearray) -> int:
    """How many bytes wait in any buffer."""
    return len(out) + out.large_bytes if type(out) is OutBuffer else len(out)
