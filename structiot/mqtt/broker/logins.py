"""Passwords are checked in threads of their own, few at a time, the addresses in turn.

A check takes 50 ms of a processor and 16 MB on purpose. So those who come too fast wait,
in a bounded queue for each address, and who has gone meanwhile is not checked. What was
right once is known again without a check, so that a house comes back quickly after its
network did.
"""

from __future__ import annotations

import logging
import os

import anyio

from structiot._kit.flow.fair_queue import FairQueue
from structiot.mqtt.broker.passwords import Passwords

__all__ = ["Logins"]

# The loop's thread needs a processor, too.
AT_ONCE = max(1, min(4, (os.cpu_count() or 1) - 1))

_log = logging.getLogger(__name__)


class Logins:
    """Checks passwords for clients that connect.

    Args:
        passwords: Names and hashes.
        most_waiting: Logins that may wait; of one address a quarter as many.
    """

    def __init__(self, passwords: Passwords, *, most_waiting: int) -> None:
        self._passwords = passwords
        self._most = most_waiting
        self._most_of_address = max(1, most_waiting // 4)
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._running = 0
        self._waiting = FairQueue()
        self._refused = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def check(self, host: str, name: str, password: bytes) -> bool:
        """Tell whether a password is right; who is cancelled meanwhile waits no more.

        A check that has begun is not cancelled.
        """
        if self._passwords.is_known(name, password):
            return True
        await self._wait_for_turn(host)
        is_right = False
        try:
            with anyio.CancelScope(shield=True):
                is_right = await anyio.to_thread.run_sync(
                    self._passwords.check, name, password, limiter=self._limiter
                )
        finally:
            self._pass_on()
        return is_right

    async def _wait_for_turn(self, host: str) -> None:
        if self._running < AT_ONCE:
            self._running += 1
            return
        turn = self._waiting.add(host)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._pass_on()
            else:
                self._waiting.remove(host, turn)
            raise

    def has_room(self, host: str) -> bool:
        """Tell whether another login of an address may wait; say it if not."""
        of_address = self._waiting.waiting_for(host)
        if len(self._waiting) < self._most and of_address < self._most_of_address:
            return True
        if not self._refused:
            _log.warning(
                "%d logins wait, those of %s are turned away until there are fewer",
                len(self._waiting),
                host,
            )
        self._refused += 1
        return False

    def _pass_on(self) -> None:
        if self._waiting.pass_on():
            return
        self._running -= 1
        if self._refused:
            _log.warning("%d logins were turned away", self._refused)
            self._refused = 0
