"""What the broker says to each message, read by somebody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio

from structiot.errors import LinkLost, StructiotError
from structiot.mqtt import Receipt

__all__ = ["Receipts"]

# What changes while so many are under way is published with its latest payload only.
_MAX_UNDER_WAY = 256


class Receipts:
    """The receipts of one client, in the order in which the messages left.

    Args:
        report: Told how each ended: the topic, None or why the broker does not take the
            message, and whether that shall stand there.
    """

    def __init__(
        self, report: Callable[[str, StructiotError | None, bool], None]
    ) -> None:
        self._report = report
        self._receipts: deque[tuple[Receipt, bool]] = deque()
        self._changed = anyio.Event()

    async def room(self) -> None:
        """Wait until one more may be under way."""
        while len(self._receipts) >= _MAX_UNDER_WAY:
            await self._changed.wait()

    def add(self, receipt: Receipt, *, shall_stand: bool = False) -> None:
        """Have a receipt read.

        Args:
            receipt: Of a message.
            shall_stand: It is retained, or clears what was.
        """
        self._receipts.append((receipt, shall_stand))
        self._wake()

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            while not self._receipts:
                await self._changed.wait()
            receipt, shall_stand = self._receipts[0]
            error: StructiotError | None = None
            try:
                await receipt.wait()
            except StructiotError as exc:
                error = exc
            self._receipts.popleft()
            self._wake()
            # A client that has given up was told why already.
            if not isinstance(error, LinkLost):
                self._report(receipt.topic, error, shall_stand)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
