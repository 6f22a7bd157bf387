"""Clients that have sent much take turns, and let those who have sent little go first.

The addresses take turns, and of each its clients: who has many connections has no more.

All of them may work until a portion is used up, whoever uses it. Then the gate is shut
for a moment: everybody who is ready runs once, and who comes with much has to wait
outside. Nobody else is told that there is a gate.
"""

from __future__ import annotations

import anyio.lowlevel

from structiot._kit.flow.fair_queue import FairQueue
from structiot.mqtt.broker.core.work import PORTION, Work

__all__ = ["Turns"]

SMALL_BYTES = 8192


class Turns:
    """The gate.

    Args:
        work: Counts what is done.

    Attributes:
        is_shut: Whether who has much to do has to wait now.
        ends_at: How much work is done when the portion is used up.
    """

    def __init__(self, work: Work) -> None:
        self.is_shut: bool = False
        self._work = work
        self.ends_at: int = work.done + PORTION
        self._waiting = FairQueue()
        self._is_called = False

    def has_room(self, size: int) -> bool:
        """Tell whether who has sent so many bytes may go on at once.

        While there is something left of the portion, a few kB need not queue: that would
        cost more than it is worth.
        """
        if self._work.done >= self.ends_at:
            return False
        return not self._waiting or size <= SMALL_BYTES

    async def wait(self, network: str) -> None:
        """Wait for a turn of an address."""
        if not self.is_shut and not self._waiting:
            return
        turn = self._waiting.add(network)
        while True:
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():
                    self._is_called = False
                    self._call()
                else:
                    self._waiting.remove(network, turn)
                raise
            self._is_called = False
            if not self.is_shut:
                # If this one leaves something of the portion, it is the next one's.
                self._call()
                return
            # Others were quicker; this one stays the next.
            turn = self._waiting.add_again()

    async def end(self) -> None:
        """After a turn: let everybody else run for a moment if the portion is used up."""
        if self._work.done < self.ends_at or self.is_shut:
            return
        self.is_shut = True
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self.is_shut = False
            self.ends_at = self._work.done + PORTION
            self._call()

    def _call(self) -> None:
        """Let the next one in, unless one is on its way."""
        if not self._is_called:
            self._is_called = self._waiting.pass_on()
