"""One connection after another, by a jittered schedule, until it makes no sense any more.

        +--> attempt --- connected() ---> connected ---+
        |       |                                      | lost
        |     failed                                   |
        |       v                                      |
        +--- waiting <---------------------------------+---> over

One task runs the loop and alone goes from state to state. `attempts` counts what has
failed in a row and is 0 while connected; `error` is None until it is over and then says
for good why. It is over when a cause is final (asking again could not help: a refused
login, our own settings), when too many attempts have failed in a row, when the owner
ends it, or when the last connection of an owner who is leaving has ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from random import Random

import anyio

from structiot._kit.flow.backoff import Backoff, Schedule
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConfigError,
    LinkLost,
    PeerError,
    RateLimited,
    StructiotError,
    UsageError,
)

__all__ = ["Reconnecting"]

# A server that restarts is often back at once; this wait is none of the schedule's.
FIRST_RETRY_S = 0.2


class Reconnecting(ABC):
    """Keeps a connection; a base of links, whose owner runs `run` in a task.

    Args:
        backoff: Waits between attempts; its `retries` are attempts in a row that fail
            after the first.
        random: Jitter of the waits.

    Attributes:
        attempts: How many attempts in a row have failed, the present one included.
        was_connected: Whether there has been a connection.
        max_retries: How many attempts after the first may fail in a row; None is for
            ever.
        lived_s: How long the last connection lived; None if the last attempt failed.
        error: Why there will be no connection any more; None while there may be one.
    """

    # Of their own, as instances with over thirty attributes in a dict are read slower.
    __slots__ = (
        "_attempt",
        "_changed",
        "_connected_at",
        "_farewell",
        "_has_hurried",
        "_is_known",
        "_is_urgent",
        "_life",
        "_over",
        "_reason",
        "_retry_now",
        "_schedule",
        "_told",
        "attempts",
        "error",
        "lived_s",
        "max_retries",
        "was_connected",
    )

    def __init__(self, backoff: Backoff, random: Random) -> None:
        self.attempts: int = 0
        self.was_connected: bool = False
        self.lived_s: float | None = None
        self.error: StructiotError | None = None
        self.max_retries: int | None = backoff.retries
        # A connection that was lost soon does not reset it, and is no failed attempt.
        self._schedule: Schedule = replace(backoff, retries=None).start(random)
        self._has_hurried = False
        # What has been said of losses: that there is one, and what the peer gave as its cause.
        self._is_known = False
        self._told = ""
        self._is_urgent = False
        self._connected_at: float | None = None
        self._reason: StructiotError | None = None
        self._farewell: StructiotError | None = None
        self._attempt = anyio.CancelScope()
        self._life = anyio.CancelScope(shield=True)
        self._retry_now = anyio.Event()
        self._changed = anyio.Event()
        self._over: anyio.Event | None = None

    # -- what each kind of link decides --------------------------------------------

    @abstractmethod
    async def run_connection(self) -> None:
        """Connect, call `connected`, and serve the connection until it ends.

        Raises:
            StructiotError: Why it has ended, or why there was none. Anything else ends
                `run` as it is.
        """

    @abstractmethod
    def lost(self, error: StructiotError, retry_in_s: float | None) -> None:
        """Tell that an attempt has failed or a connection has ended.

        Args:
            error: Why.
            retry_in_s: When the next attempt follows; None when there is none.
        """

    def is_news(self, error: StructiotError, *, is_said: bool = False) -> bool:
        """Whether a loss is worth a warning, or a detail; `lost` asks, once each time.

        A peer that is away is news once, until there is a connection again. A connection
        that is lost is none as long as the next attempt succeeds, nor is what bounded
        attempts end with, which is an error of who waits. What the peer itself gives as
        the cause is news whenever it is another one.

        Args:
            error: Why there is no connection.
            is_said: Whether the peer has given it; without it such errors are that only
                it can have given.
        """
        if is_said or isinstance(error, PeerError | CertificateRefused):
            told, self._told = self._told, str(error)
            is_news = told != self._told
        elif self._is_known or self.lived_s is not None:
            is_news = False
        else:
            is_news = self.was_connected or self.max_retries is None
        self._is_known |= is_news
        return is_news

    def is_final(self, error: StructiotError) -> bool:
        """Whether another attempt could not help."""
        if isinstance(error, CertificateRefused):
            return not error.is_passing
        return isinstance(error, AuthRefused | ConfigError | UsageError)

    def delay_after(self, error: StructiotError) -> float | None:
        """Give the time until the next attempt; None for no more."""
        is_final = self.is_final(error)
        if self._is_urgent and not (is_final and self.attempts):
            return 0.0
        too_many = self.max_retries is not None and self.attempts > self.max_retries
        if is_final or too_many:
            return None
        if self.attempts or self._has_hurried:
            delay_s = self._schedule.next_delay_s() or 0.0
        else:
            # Once only: a server that accepts and hangs up is not to be hammered.
            self._has_hurried = True
            delay_s = FIRST_RETRY_S
        if isinstance(error, RateLimited):
            delay_s = max(delay_s, error.retry_after_s or 0.0)
        return delay_s

    def final_error(self, error: StructiotError) -> StructiotError:
        """Make of the last failure what `run` ends with."""
        if self.is_final(error) or not self.attempts or not self.was_connected:
            return error
        final = LinkLost(
            f"{error}; gave up after {self.attempts} attempts", reason=str(error)
        )
        final.__cause__ = error
        return final

    # -- the loop ------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and stay connected until it is over.

        Shielded: who cancels its owner wants a goodbye, and that needs a connection.
        So an owner who leaves always calls `end`.

        Raises:
            StructiotError: A final cause, or too many attempts.
        """
        self._over = anyio.Event()
        try:
            with self._life:
                while self._farewell is None:
                    self.attempts += 1
                    self._is_urgent = False
                    self._reason = self.lived_s = None
                    error = await self._run_attempt()
                    if self.error is not None:
                        # The owner has ended it, and needs not be told.
                        return
                    if self._farewell is None:
                        await self._wait_after(error)
                # What is under way is not answered any more.
                self.end(self._farewell)
        finally:
            self._over.set()

    async def stopped(self) -> None:
        """Wait until `run` has returned, and with it all that serves a connection."""
        if self._over is not None:
            await self._over.wait()

    async def _wait_after(self, error: StructiotError) -> None:
        delay_s = self.delay_after(error)
        if delay_s is None:
            error = self.final_error(error)
            self.lost(error, None)
            self.end(error)
            raise error
        self._retry_now = anyio.Event()
        self.lost(error, delay_s)
        with anyio.move_on_after(delay_s):
            await self._retry_now.wait()

    async def _run_attempt(self) -> StructiotError:
        error: StructiotError = LinkLost("the connection was ended")
        try:
            with anyio.CancelScope() as self._attempt:
                await self.run_connection()
        except StructiotError as exc:
            # Its traceback would keep everything that the connection has used.
            error = exc.with_traceback(None)
        if self._connected_at is not None:
            self.lived_s = anyio.current_time() - self._connected_at
            self._connected_at = None
            if self._schedule.succeeded(self.lived_s):
                self._has_hurried = False
                self._told = ""
        return self._reason or error

    # -- what the connection, the owner and the users of the link call ---------------

    def connected(self) -> int:
        """The connection is ready for use; give how many attempts it took."""
        self.was_connected = True
        self._is_urgent = self._is_known = False
        self._connected_at = anyio.current_time()
        attempts, self.attempts = self.attempts, 0
        self._wake()
        return attempts

    def drop(self, error: StructiotError) -> None:
        """End the present attempt or connection; the first reason counts."""
        if self._reason is None:
            self._reason = error
        self._attempt.cancel()

    def retry_now(self) -> None:
        """Have the next attempt follow at once, whatever the present one ends with."""
        self._is_urgent = True
        self._retry_now.set()

    def retry_no_more(self, error: StructiotError) -> None:
        """Let the present connection be the last: `run` returns when it has ended.

        Whoever waits then gets this error.
        """
        self._farewell = error
        self._retry_now.set()

    @property
    def is_leaving(self) -> bool:
        """Whether the present connection is the last."""
        return self._farewell is not None

    def end(self, error: StructiotError) -> None:
        """There will be no connection any more; whoever waits for one gets this error.

        The first error counts, and the present connection ends.
        """
        if self.error is None:
            self.error = error
        self.drop(error)
        self._life.cancel()
        self._wake()

    def check(self) -> None:
        """Raise why there will be no connection any more, if so."""
        if self.error is not None:
            raise copy(self.error)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that a connection brings about.

        Raises:
            StructiotError: There will be no connection any more.
        """
        while not holds():
            self.check()
            await self._changed.wait()
        self.check()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
