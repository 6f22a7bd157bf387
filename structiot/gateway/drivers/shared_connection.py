"""One connection that many devices hang on: an account, a hub, a server."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

import anyio

from structiot.errors import LinkLost, StructiotError
from structiot.gateway.retrying import Retrying, when

__all__ = ["SharedConnection"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class SharedConnection(Generic[T]):
    """A connection that is opened once, and kept while its devices come and go.

    Made by `DeviceRegistry.share`. When it is lost, so are the devices on it, and they
    wait for it: only the connection itself is tried again.

    Attributes:
        label: What it is, for people.
        reason: Why it is not open; empty while it is.
    """

    def __init__(
        self,
        label: str,
        open_it: Callable[[], AbstractAsyncContextManager[T]],
        retrying: Retrying,
        report: Callable[[SharedConnection[T]], None],
    ) -> None:
        self.label = label
        self.reason: str = "not open yet"
        self._open_it = open_it
        self._retrying = retrying
        self._report = report
        # Empty while it is not open: what was opened may be anything, None too.
        self._opened: tuple[T] | tuple[()] = ()
        self._users: list[anyio.CancelScope] = []
        self._changed = anyio.Event()

    @property
    def is_parked(self) -> bool:
        """Whether it is not tried again before a restart."""
        return self._retrying.is_parked

    @property
    def connection(self) -> T:
        """What was opened.

        Raises:
            LinkLost: It is not open.
        """
        if not self._opened:
            raise LinkLost(f"{self.label}: {self.reason}", reason=self.reason)
        return self._opened[0]

    async def run(self) -> None:
        """Keep it open until cancelled; called once, by the gateway."""
        try:
            while True:
                error = await self._open_once()
                delay_s = self._retrying.delay_after(error)
                if self.reason != str(error):
                    _log.warning("%s: %s; %s", self.label, error, when(delay_s))
                self._lost(str(error))
                await self._retrying.pause(delay_s)
        finally:
            self._lost("its driver has ended")

    async def _open_once(self) -> Exception:
        opened_at = anyio.current_time()
        try:
            async with self._open_it() as opened:
                opened_at = anyio.current_time()
                self._set((opened,), "")
                await anyio.sleep_forever()
        except StructiotError as exc:
            return exc
        # Isolation: a fault in one system's code must not end the others' devices.
        except Exception as exc:  # noqa: BLE001
            _log.error("%s: internal error", self.label, exc_info=exc)
            return exc
        finally:
            self._retrying.lived(anyio.current_time() - opened_at)
        return LinkLost(f"{self.label} was closed")

    def _lost(self, reason: str) -> None:
        self._set((), reason)
        for user in self._users:
            user.cancel()

    def _set(self, opened: tuple[T] | tuple[()], reason: str) -> None:
        self._opened, self.reason = opened, reason
        self._changed.set()
        self._changed = anyio.Event()
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
