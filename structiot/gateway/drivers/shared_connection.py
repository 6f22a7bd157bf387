"""One connection that many devices hang on: an account, a hub, a server."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import anyio

from structiot._kit.text import error_text, printable
from structiot.errors import LinkLost, ReplyTimeout
from structiot.gateway.isolation import failure_of
from structiot.gateway.retrying import Retrying, when
from structiot.gateway.status import LinkStatus, TaskState, TaskStatus

__all__ = ["SharedConnection"]

T = TypeVar("T")

# Opening includes what a system retries by itself; this only ends a hang.
_OPEN_S = 60.0
_CLOSED = LinkLost("it was closed")

_log = logging.getLogger(__name__)


class SharedConnection(Generic[T]):
    """A connection kept while its devices come and go; made by `DeviceRegistry.share`.

    Made by `DeviceRegistry.share`. When it is lost, so are the devices on it, and they
    wait for it: only the connection itself is tried again.

    Attributes:
        label: What it is, for people.
        reason: Why it is not open; empty while it is.
        retrying: Its attempts, and for how long it is to be left alone.
        opened: How often it was tried to open it.
    """

    def __init__(
        self,
        label: str,
        open_it: Callable[[], AbstractAsyncContextManager[T]],
        retrying: Retrying,
        report: Callable[[SharedConnection[T]], None],
        said: Callable[[BaseException], str] = error_text,
    ) -> None:
        self.label: str = printable(label, most=100)
        self.reason: str = "not open yet"
        self.retrying = retrying
        self.opened: int = 0
        self._open_it = open_it
        self._report = report
        self._said = said
        # Empty while it is not open: what was opened may be anything, None too.
        self._opened: tuple[T] | tuple[()] = ()
        self._users: list[anyio.CancelScope] = []
        self._changed = anyio.Event()
        self._changed_at_s: float | None = None

    @property
    def is_parked(self) -> bool:
        """Whether it is not tried again before a restart or a reload."""
        return self.retrying.is_parked

    @property
    def connection(self) -> T:
        """What was opened.

        Raises:
            LinkLost: It is not open.
        """
        if not self._opened:
            raise LinkLost(f"{self.label}: {self.reason}", reason=self.reason)
        return self._opened[0]

    async def changed(self) -> None:
        """Wait until it is opened, is lost or could not be opened once more."""
        await self._changed.wait()

    async def run(self) -> None:
        """Keep it open until cancelled; called once, by the gateway."""
        try:
            while True:
                error = await failure_of(self._hold_open)
                delay_s = self.retrying.delay_after(error or _CLOSED)
                reason = self._said(error or _CLOSED)
                if self.reason != reason:
                    _log.warning("%s: %s; %s", self.label, reason, when(delay_s))
                self._lost(reason)
                await self.retrying.pause(delay_s)
        finally:
            # Its end is the driver's, which says itself why; the users are let go.
            self._lost("its driver has ended", is_told=False)

    def task(self, now_utc: datetime, devices: tuple[TaskStatus, ...]) -> TaskStatus:
        """Tell how it is, with the devices on it."""
        since_utc = None
        if (at_s := self._changed_at_s) is not None:
            since_utc = now_utc - timedelta(seconds=anyio.current_time() - at_s)
        state: TaskState = "parked" if self.is_parked else "failing"
        if not self.reason:
            state = "running"
        elif at_s is None:
            state = "starting"
        return TaskStatus(
            name=self.label,
            state=state,
            reason=self.reason,
            restarts=max(0, self.opened - 1),
            since_utc=since_utc,
            children=devices,
        )

    def link(self) -> LinkStatus:
        """Tell whether it stands."""
        return LinkStatus(name=self.label, is_up=not self.reason, reason=self.reason)

    async def _hold_open(self) -> None:
        self.opened += 1
        with anyio.move_on_after(_OPEN_S) as patience:
            async with self._open_it() as opened:
                patience.deadline = math.inf
                opened_at = anyio.current_time()
                self._set((opened,), "")
                try:
                    await anyio.sleep_forever()
                finally:
                    self.retrying.lived(anyio.current_time() - opened_at)
        if patience.cancelled_caught:
            message = f"it was not open after {_OPEN_S:g} s"
            raise ReplyTimeout(message, request="open", after_s=_OPEN_S)

    def _lost(self, reason: str, *, is_told: bool = True) -> None:
        self._set((), reason, is_told=is_told)
        for user in self._users:
            user.cancel()

    def _set(
        self, opened: tuple[T] | tuple[()], reason: str, *, is_told: bool = True
    ) -> None:
        if self._changed_at_s is None or self.reason != reason:
            self._changed_at_s = anyio.current_time()
        self._opened, self.reason = opened, reason
        self._changed.set()
        self._changed = anyio.Event()
        if is_told:
            self._report(self)

    @asynccontextmanager
    async def in_use(self, tell: Callable[[str], None]) -> AsyncGenerator[None]:
        """Wait until it is open, and hold the block only as long as it is.

        Args:
            tell: Told why it is not open, each time that changes.

        Raises:
            LinkLost: It was lost while the block ran.
        """
        while not self._opened:
            tell(f"{self.label}: {self.reason}")
            await self._changed.wait()
        with anyio.CancelScope() as scope:  # noqa: ASYNC100 - the block has its own
            self._users.append(scope)
            try:
                yield
            finally:
                self._users.remove(scope)
        if scope.cancelled_caught:
            raise LinkLost(f"{self.label}: {self.reason}", reason=self.reason)
