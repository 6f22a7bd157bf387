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
        report: Told how each ended: the topic, and None or why the broker does not take
            the message.
    """

    def __init__(self, report: Callable[[str, StructiotError | None], None]) -> None:
        self._report = report
        self._receipts: deque[Receipt] = deque()
        self._changed = anyio.Event()

    async def room(self) -> None:
        """Wait until one more may be under way."""
        while len(self._receipts) >= _MAX_UNDER_WAY:
            await self._changed.wait()

    def add(self, receipt: Receipt) -> None:
        """Have a receipt read."""
        self._receipts.append(receipt)
        self._wake()

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            while not self._receipts:
                await self._changed.wait()
            receipt = self._receipts[0]
            error: StructiotError | None = None
            try:
                await receipt.wait()
            except StructiotError as exc:
                error = exc
            self._receipts.popleft()
            self._wake()
            # A client that has given up was told why already.
            if not isinstance(error, LinkLost):
                self._report(receipt.topic, error)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
