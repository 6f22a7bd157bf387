"""The connection's events, for whoever wants them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot.mqtt.events import ConnectionEvent

__all__ = ["ConnectionEvents"]


class ConnectionEvents:
    """Hands events to all listeners; a new one gets the present state first.

    Attributes:
        latest: The present state; None before anything happened.
    """

    def __init__(self, name: str) -> None:
        self.latest: ConnectionEvent | None = None
        self._name = name
        self._boxes: list[Mailbox[ConnectionEvent]] = []
        self._is_over = False
        self._changed = anyio.Event()

    def tell(self, event: ConnectionEvent) -> None:
        """Something has happened."""
        self.latest = event
        for box in self._boxes:
            box.put(event)
        self._changed.set()
        self._changed = anyio.Event()

    async def next(self) -> None:
        """Wait until anything happens."""
        await self._changed.wait()

    def end(self) -> None:
        """Nothing will happen any more."""
        self._is_over = True
        for box in self._boxes:
            box.close()
        self._changed.set()

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[Mailbox[ConnectionEvent]]:
        """Iterate over events for the length of the block."""
        with Mailbox[ConnectionEvent](name=self._name) as box:
            if self.latest is not None:
                box.put(self.latest)
            if self._is_over:
                box.close()
            self._boxes.append(box)
            try:
                yield box
            finally:
                self._boxes.remove(box)
