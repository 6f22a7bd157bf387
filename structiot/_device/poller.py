"""One poll for all who watch a device, which is judged by it, and healed.

Nobody polls while nobody watches. While somebody does, one task polls by the schedule.
A poll that fails is repeated after delays that grow up to a minute; that the device is
away is said once, and once that it is back. Commands take turns. Polls do too, so that
what is read is handed on in the order in which it was read.

What is heard of the device otherwise (it was asked for something else, or it spoke by
itself) counts as much as a poll does: see `heard` and `failed`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio

from structiot._device.schedule import PollSchedule
from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.text import error_text
from structiot.errors import (
    AuthRefused,
    DeviceReplaced,
    PeerError,
    RateLimited,
    ReplyTimeout,
    TransportError,
    UsageError,
)

__all__ = ["POLL_WITHIN_S", "Poller"]

POLL_WITHIN_S = 60.0

T = TypeVar("T")


class Poller:
    """See the module's text; `run` is its background task.

    Args:
        schedule: When to poll.
        offline_after: Failures in a row that make the device away.
        poll_within_s: How long a poll may take; one that takes longer has failed.
        tell_availability: Called with `is_available`, `reason` and `is_replaced` when
            the device went away or is back; says whether that was news.
        label: Gives the name of the device for log lines.
        log: Where those go.
        environment: Whose chance is in the delays between retries.

    Attributes:
        schedule: As given.
        turn: Held during a poll; whoever else asks the device for long takes it, too.
        heard_at: When the device was heard of last; at first, when this was made.
    """

    def __init__(
        self,
        schedule: PollSchedule,
        *,
        offline_after: int,
        poll_within_s: float = POLL_WITHIN_S,
        tell_availability: Callable[..., bool],
        label: Callable[[], str],
        log: logging.Logger,
        environment: Environment,
    ) -> None:
        if offline_after < 1:
            message = f"offline_after is at least 1, not {offline_after}"
            raise UsageError(message)
        if not poll_within_s > 0:
            message = f"poll_within_s is above 0 s, not {poll_within_s}"
            raise UsageError(message)
        self.schedule = schedule
        self.turn: anyio.Lock = anyio.Lock(fast_acquire=True)
        self.heard_at: float = anyio.current_time()
        self._offline_after = offline_after
        self._poll_within_s = poll_within_s
        self._failures = 0
        self._away_since: float | None = None
        self._retries = Backoff(
            first_s=min(1.0, schedule.poll_s),
            factor=1.5,
            cap_s=60.0,
            jitter=0.2,
            stable_s=0.0,
        ).start(environment.random)
        self._tell_availability = tell_availability
        self._label = label
        self._log = log
        self._watchers = 0
        self._wake = anyio.Event()
        self._quiet_until = -math.inf
        # What bounds a newcomer's first poll.
        self._retry_at = self._polled_at = -math.inf
        self._commanding = anyio.Lock(fast_acquire=True)

    @property
    def is_watched(self) -> bool:
        """Whether somebody watches, so that the device is polled."""
        return self._watchers > 0

    @property
    def is_commanding(self) -> bool:
        """Whether a command is being carried out."""
        return self._commanding.locked()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last that is known of the device is a failure."""
        return self._failures > 0

    def is_current(self, *, may_be_recent: bool) -> bool:
        """Whether what it told last is as good as new, or heard of a moment ago."""
        is_recent = may_be_recent and self.silent_s <= self.schedule.poll_s
        return self.is_watched or is_recent

    @property
    def silent_s(self) -> float:
        """For how long the device was not heard of."""
        return anyio.current_time() - self.heard_at

    # ------------------------------------------------------------ polling

    async def run(self, poll: Callable[[], Awaitable[object]]) -> None:
        """Poll while anybody watches, until cancelled.

        Raises:
            AuthRefused: Credentials that were refused will be refused again, and some
                peers lock the account over it.
        """
        while True:
            await self._until_due()
            self._polled_at = anyio.current_time()
            self.schedule.tick(self._polled_at)
            try:
                await self.refresh(poll)
            except AuthRefused:
                raise
            except (TransportError, PeerError) as exc:
                self._log.debug("%s: poll failed: %s", self._label(), exc)

    async def _until_due(self) -> None:
        while self._due_at() > anyio.current_time():
            self._wake = anyio.Event()
            with anyio.CancelScope(deadline=self._due_at()):
                await self._wake.wait()

    def _due_at(self) -> float:
        return max(self.schedule.next_at, self._quiet_until)

    async def refresh(self, poll: Callable[[], Awaitable[T]]) -> T:
        """Poll now, in turn with the other polls, and judge the device by the outcome.

        Raises:
            TransportError: As `poll` did.
            PeerError: Likewise.
            ReplyTimeout: It took too long.
        """
        async with self.turn:
            try:
                result = await self.within(poll)
            except (TransportError, PeerError) as exc:
                self.failed(exc)
                raise
            self.heard()
            return result

    async def within(self, poll: Callable[[], Awaitable[T]]) -> T:
        """Poll, for so long and no longer; nobody is judged by it.

        Raises:
            ReplyTimeout: It took too long, and was cancelled.
        """
        limit_s = self._poll_within_s
        with anyio.move_on_after(limit_s):
            return await poll()
        message = f"{self._label()} was polled for {limit_s:g} s without an end"
        raise ReplyTimeout(message, request="poll", after_s=limit_s)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Have the device polled for the length of the block, at first at once.

        That many begin and end costs the device nothing: the first poll waits for the
        retry that is due, and comes a second (or `poll_s`) after the last one.
        """
        if not self._watchers:
            spaced_at = self._polled_at + min(1.0, self.schedule.poll_s)
            now = anyio.current_time()
            self.schedule.begin(max(now, self._retry_at, spaced_at))
            self._wake.set()
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self.schedule.stop()

    # ------------------------------------------------------------ what is heard of it

    def heard(self) -> None:
        """Note that the device was heard of, whether it was asked or not."""
        now = self.heard_at = anyio.current_time()
        if not self._failures:
            return
        self._failures = 0
        self._retry_at = -math.inf
        self._retries.succeeded(0.0)
        away_since, self._away_since = self._away_since, None
        if away_since is not None:
            self._log.info("%s is back after %.0f s", self._label(), now - away_since)
            self._tell_availability(is_available=True)
        # Whoever is back need not wait for the end of a retry's delay.
        self.poll_by(now + self.schedule.poll_s)

    def pushed(self) -> None:
        """Note that it told by itself all that a poll brings: the next one can wait."""
        self.heard()
        self.schedule.pushed(anyio.current_time())
        self._wake.set()

    def failed(self, error: Exception, *, is_certain: bool = False) -> None:
        """Note that the device failed, by a poll or otherwise.

        Args:
            error: Its text is the reason that is told.
            is_certain: It leaves no doubt that the device is away, as when its hub says
                so; another device in its place and refused credentials never do.
        """
        now = anyio.current_time()
        is_certain = is_certain or isinstance(error, DeviceReplaced | AuthRefused)
        self._failures += 1
        is_away = is_certain or self._failures >= self._offline_after
        is_news = is_certain or self._away_since is None
        delay_s = self._retries.next_delay_s() or 0.0
        self._retry_at = now + delay_s
        self.schedule.retry(now, delay_s)
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            # Not even for a newcomer.
            self._quiet_until = now + error.retry_after_s
        self._wake.set()
        if is_away and is_news:
            if self._away_since is None:
                self._away_since = now
            is_told = self._tell_availability(
                is_available=False,
                reason=error_text(error),
                is_replaced=isinstance(error, DeviceReplaced),
            )
            if is_told and not isinstance(error, AuthRefused):
                self._log.warning("%s is away: %s; asking on", self._label(), error)

    # ------------------------------------------------------------ commands

    @asynccontextmanager
    async def commanding(self) -> AsyncGenerator[None]:
        """Take the turn of a command; a poll follows at once if the device fails."""
        async with self._commanding:
            try:
                yield
            except (TransportError, DeviceReplaced):
                self.poll_by(anyio.current_time())
                raise

    def commanded(self) -> None:
        """Poll quicker for a while."""
        self.schedule.commanded(anyio.current_time())
        self._wake.set()

    def set_pace(self, poll_s: float) -> None:
        """Poll at another pace from now on, such as while pushes do not come."""
        self.schedule.poll_s = poll_s
        self.poll_by(anyio.current_time() + poll_s)

    def poll_by(self, at: float) -> None:
        """Poll at this time, unless a poll is due before it anyway."""
        self.schedule.hurry(at)
        self._wake.set()
