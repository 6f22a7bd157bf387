"""A queue in which whoever is waited for by many has no more turns than who is alone."""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["FairQueue"]


class FairQueue:
    """Turns that are waited for: the keys in turn, those of one key as they came."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: dict[str, deque[anyio.Event]] = {}
        self._first: deque[anyio.Event] = deque()

    def __len__(self) -> int:
        return self._count

    def waiting_for(self, key: str) -> int:
        """Tell how many of a key wait."""
        return len(self._waiting.get(key, ()))

    def add(self, key: str) -> anyio.Event:
        """Begin to wait; the event is set when the turn has come."""
        turn = anyio.Event()
        self._waiting.setdefault(key, deque()).append(turn)
        self._count += 1
        return turn

    def add_again(self) -> anyio.Event:
        """Wait for another turn, before all others: the one that came was of no use."""
        turn = anyio.Event()
        self._first.append(turn)
        self._count += 1
        return turn

    def remove(self, key: str, turn: anyio.Event) -> None:
        """Wait no more for a turn that has not come."""
        self._count -= 1
        if turn in self._first:
            self._first.remove(turn)
            return
        turns = self._waiting[key]
        turns.remove(turn)
        if not turns:
            del self._waiting[key]

    def pass_on(self) -> bool:
        """Let the next one have its turn, of the key that has waited longest for one.

        Returns:
            Whether there was one.
        """
        if not self._count:
            return False
        if self._first:
            self._count -= 1
            self._first.popleft().set()
            return True
        key = next(iter(self._waiting))
        turns = self._waiting.pop(key)
        self._count -= 1
        if len(turns) > 1:
            self._waiting[key] = turns
        turns.popleft().set()
        return True
