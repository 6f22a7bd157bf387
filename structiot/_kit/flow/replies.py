"""Waiters for replies: register, then send, then wait."""

from __future__ import annotations

import copy
import logging
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

from structiot.errors import StructiotError, UsageError

__all__ = ["Reply", "ReplyTable"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_log = logging.getLogger(__name__)


class Reply(Generic[V]):
    """A reply that is on its way."""

    __slots__ = ("_error", "_event", "_value")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: V | None = None
        self._error: StructiotError | None = None

    async def wait(self) -> V:
        """Wait for the reply; cancelling the wait abandons it.

        Raises:
            StructiotError: What the request failed with, a copy for each waiter.
        """
        await self._event.wait()
        if self._error is not None:
            # Who is cancelled in the same moment is not told that it has failed.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise copy.copy(self._error)
        return self._value  # type: ignore[return-value]  # set before the event

    def _settle(self, value: V | None, error: StructiotError | None) -> None:
        # Called once: whoever settles a reply has taken it out of the table.
        self._value = value
        self._error = error
        self._event.set()


class ReplyTable(Generic[K, V]):
    """Pending requests by id.

    The reader of a link calls `resolve` for each reply and `fail_all` in its
    `finally`, so that nobody waits for a reply that cannot come.

    Attributes:
        unknown: Replies that nobody waited for, such as those after a timeout.
    """

    def __init__(self, name: str = "replies") -> None:
        self.name = name
        self.unknown: int = 0
        self._pending: dict[K, Reply[V]] = {}
        self._error: StructiotError | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, key: object) -> bool:
        return key in self._pending

    @contextmanager
    def expect(self, key: K) -> Generator[Reply[V]]:
        """Register a request for the length of the block; always removed after.

        Raises:
            UsageError: The id is waited for already.
            StructiotError: The link has failed before (see `fail_all`).
        """
        if self._error is not None:
            raise copy.copy(self._error)
        if key in self._pending:
            message = f"{self.name}: id {key!r} is in use"
            raise UsageError(message)
        reply: Reply[V] = Reply()
        self._pending[key] = reply
        try:
            yield reply
        finally:
            if self._pending.get(key) is reply:
                del self._pending[key]

    def resolve(self, key: K, value: V) -> bool:
        """Hand over a reply; return False, count and log it if nobody waits."""
        reply = self._pending.pop(key, None)
        if reply is None:
            self.unknown += 1
            _log.debug("%s: reply for unknown id %.300r dropped", self.name, key)
            return False
        reply._settle(value, None)  # noqa: SLF001 - the other half of this module
        return True

    def fail(self, key: K, error: StructiotError) -> bool:
        """Fail one request; return False if nobody waits for it."""
        reply = self._pending.pop(key, None)
        if reply is None:
            return False
        reply._settle(None, error)  # noqa: SLF001 - the other half of this module
        return True

    def fail_all(self, error: StructiotError) -> None:
        """Fail every request, the present ones and those to come until `reopen`.

        The latest error is what new requests fail with.
        """
        self._error = error
        pending, self._pending = self._pending, {}
        for reply in pending.values():
            reply._settle(None, error)  # noqa: SLF001 - the other half of this module

    def reopen(self) -> None:
        """Accept requests again, on a new link."""
        self._error = None
