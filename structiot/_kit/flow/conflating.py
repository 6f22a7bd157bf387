"""The latest value of each key, for readers who need the present and not the past."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

from structiot._kit.flow.mailbox import ITEMS_A_TURN
from structiot.errors import UsageError

__all__ = ["ConflatingQueue"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_log = logging.getLogger(__name__)


class ConflatingQueue(Generic[K, V]):
    """Stream of values by key; a new value of a key replaces one that still waits.

    `put` never waits. The queue holds at most one value a key, so it is bounded by
    their number, and a slow reader misses what was in between but never what is.
    Values come out in the order in which their keys last changed. What `append` adds
    is replaced by nothing and keeps its place; of that at most `max_appended` wait,
    then the oldest is dropped. Each burst of losses is logged once; it lasts until
    the reader has taken all that was appended.

    Closing ends the iteration after what waits. Cancelling a reader loses nothing.

    Args:
        max_appended: Most appended values that wait, at least 1.
        name: Whose values, for the log.

    Raises:
        UsageError: `max_appended` is less than 1.

    Attributes:
        replaced: Values that were replaced before they were read.
        dropped: Appended values that were lost to overflow.
    """

    __slots__ = (
        "_appended",
        "_in_burst",
        "_is_closed",
        "_max_appended",
        "_taken",
        "_values",
        "_wakeup",
        "dropped",
        "name",
        "replaced",
    )

    def __init__(self, *, max_appended: int = 256, name: str = "queue") -> None:
        if max_appended < 1:
            message = f"a queue holds at least one appended value, not {max_appended}"
            raise UsageError(message)
        self.name: str = name
        self.replaced: int = 0
        self.dropped: int = 0
        self._max_appended = max_appended
        # A key of its own for each appended value, which nobody else can have.
        self._values: dict[K | object, V] = {}
        self._appended: deque[object] = deque()
        self._wakeup = anyio.Event()
        self._is_closed = False
        self._in_burst = False
        self._taken = 0

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: V, *, keeps_place: bool = False) -> None:
        """Give `key` a new value; silently nothing once closed.

        Args:
            key: Whose value it is.
            value: The value.
            keeps_place: It comes out where the value comes that it replaces, not after
                all others.
        """
        if self._is_closed:
            return
        if key in self._values:
            self.replaced += 1
            if not keeps_place:
                del self._values[key]
        self._values[key] = value
        self._wakeup.set()

    def discard(self, key: K) -> None:
        """Have the value of `key` not come out, if there is one."""
        self._values.pop(key, None)

    def append(self, value: V) -> None:
        """Add a value that nothing replaces; silently nothing once closed."""
        if self._is_closed:
            return
        if not self._appended:
            self._in_burst = False
        elif len(self._appended) >= self._max_appended:
            self._count_drop()
            del self._values[self._appended.popleft()]
        key = object()
        self._appended.append(key)
        self._values[key] = value
        self._wakeup.set()

    def _count_drop(self) -> None:
        self.dropped += 1
        if not self._in_burst:
            self._in_burst = True
            text = "%s is full at %d appended; the oldest goes, %d lost so far"
            _log.warning(text, self.name, self._max_appended, self.dropped)

    def close(self) -> None:
        """End the iteration after what waits; closing twice is silent."""
        self._is_closed = True
        self._wakeup.set()

    def __aiter__(self) -> ConflatingQueue[K, V]:
        return self

    async def __anext__(self) -> V:
        self._taken += 1
        if self._taken % ITEMS_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
        elif self._values:
            await anyio.lowlevel.checkpoint_if_cancelled()
        while not self._values:
            if self._is_closed:
                raise StopAsyncIteration
            if self._wakeup.is_set():
                self._wakeup = anyio.Event()
            await self._wakeup.wait()
        # No checkpoint from here on: a cancelled reader must not lose the value.
        key = next(iter(self._values))
        if self._appended and key is self._appended[0]:
            self._appended.popleft()
        return self._values.pop(key)
