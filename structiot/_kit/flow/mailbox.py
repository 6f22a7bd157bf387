"""A bounded queue between a reader that must never wait and a user who may be slow."""

from __future__ import annotations

import copy
import logging
import math
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Literal, TypeVar, get_args

import anyio
import anyio.lowlevel

from structiot._kit.arguments import check_argument
from structiot.errors import Overflowed, StructiotError, UsageError

__all__ = ["Mailbox", "OverflowPolicy"]

T = TypeVar("T")
OverflowPolicy = Literal["drop_oldest", "drop_newest", "raise"]

# A reader of a box that is never empty lets the other tasks run after so many.
ITEMS_A_TURN = 256

_log = logging.getLogger(__name__)


class Mailbox(Generic[T]):
    """Bounded stream of items with a stated overflow policy.

    `put` never waits. When the box is full, `"drop_oldest"` discards the oldest
    item, `"drop_newest"` the new one, and `"raise"` discards the new one and all
    later ones and lets the reader have what is buffered, then `Overflowed`. Each
    burst of losses is logged once; it lasts until the reader has emptied the box.
    Several tasks may iterate; each item goes to one of them.

    Closing ends the iteration after what is buffered; closing with an error raises
    it there, to every reader. Cancelling a waiting reader loses nothing.

    Args:
        max_items: Most items held, at least 1.
        policy: What happens to the item too many.
        name: Who the box belongs to, for the log.
        max_bytes: Most bytes held, beside one item however long; None is no limit.
        size_of: Gives the bytes of an item, where they are limited.

    Attributes:
        dropped: Items lost to overflow so far.
        high_water: Most items ever held.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_error",
        "_has_overflowed",
        "_in_burst",
        "_items",
        "_max_bytes",
        "_size_of",
        "_taken",
        "_wakeup",
        "dropped",
        "high_water",
        "max_items",
        "name",
        "policy",
    )

    def __init__(
        self,
        max_items: int = 64,
        *,
        policy: OverflowPolicy = "drop_oldest",
        name: str = "mailbox",
        max_bytes: int | None = None,
        size_of: Callable[[T], int] | None = None,
    ) -> None:
        check_argument("max_items", max_items, int)
        if max_items < 1:
            message = f"a mailbox holds at least one item, not {max_items}"
            raise UsageError(message)
        if policy not in get_args(OverflowPolicy):
            message = f"a mailbox has no overflow policy {policy!r}"
            raise UsageError(message)
        self.max_items: int = max_items
        self.policy = policy
        self.name: str = name
        self.dropped: int = 0
        self.high_water: int = 0
        self._items: deque[T] = deque()
        self._bytes = 0
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._size_of: Callable[[T], int] | None = size_of
        self._wakeup: anyio.Event | None = None
        self._closed = False
        self._error: StructiotError | None = None
        self._has_overflowed = False
        self._in_burst = False
        self._taken = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be put in."""
        return self._closed

    def put(self, item: T) -> bool:
        """Add an item; return False if it was lost at once (full or closed)."""
        if self._closed:
            if self._has_overflowed:
                self._count_drop()
            return False
        items, size_of = self._items, self._size_of
        size = 0 if size_of is None else size_of(item)
        if not items:
            self._in_burst = False
        while items and (
            len(items) >= self.max_items or self._bytes + size > self._max_bytes
        ):
            if self.policy == "drop_oldest":
                self._make_room()
                continue
            self._count_drop()
            if self.policy == "raise":
                self._has_overflowed = True
                self.close()
            return False
        items.append(item)
        self._bytes += size
        self.high_water = max(self.high_water, len(items))
        if self._wakeup is not None:
            self._wakeup.set()
        return True

    def _take(self) -> T:
        item = self._items.popleft()
        if self._size_of is not None:
            self._bytes -= self._size_of(item)
        return item

    def _make_room(self) -> None:
        self._count_drop()
        self._take()

    def _count_drop(self) -> None:
        self.dropped += 1
        if not self._in_burst:
            self._in_burst = True
            _log.warning(
                "%s is full at %d items, policy %s; %d lost so far",
                self.name,
                len(self._items),
                self.policy,
                self.dropped,
            )

    def close(self, error: StructiotError | None = None) -> None:
        """End the iteration after what is buffered, with `error` if one is given.

        Closing twice is silent; the first error stays.
        """
        if not self._closed:
            self._closed = True
            self._error = error
            if self._wakeup is not None:
                self._wakeup.set()

    async def receive(self) -> T:
        """Wait for the next item.

        Raises:
            EndOfStream: The box is closed and empty; iteration ends quietly instead.
            Overflowed: The same after an overflow with the policy `"raise"`.
            StructiotError: The box was closed with this error.
        """
        items = self._items
        self._taken += 1
        if self._taken % ITEMS_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
        elif items:
            await anyio.lowlevel.checkpoint_if_cancelled()
        while not items:
            if self._closed:
                raise self._end()
            if self._wakeup is None or self._wakeup.is_set():
                self._wakeup = anyio.Event()
            await self._wakeup.wait()
        # No checkpoint from here on: a cancelled reader must not lose the item.
        return self._take()

    def _end(self) -> Exception:
        if self._has_overflowed:
            message = (
                f"{self.name}: more than {self.max_items} items waited, "
                f"{self.dropped} lost"
            )
            return Overflowed(message, dropped=self.dropped)
        if self._error is not None:
            return copy.copy(self._error)
        return anyio.EndOfStream()

    def receive_nowait(self) -> T:
        """Take the next item at once.

        Raises:
            LookupError: There is none.
        """
        if not self._items:
            message = f"{self.name} is empty"
            raise LookupError(message)
        return self._take()

    def __aiter__(self) -> Mailbox[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def __enter__(self) -> Mailbox[T]:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
