"""The connection's events, for whoever wants them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from structiot._kit.flow.fan_out import FanOut
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
        self._listeners: FanOut[Mailbox[ConnectionEvent]] = FanOut()

    def tell(self, event: ConnectionEvent) -> None:
        """Something has happened."""
        self.latest = event
        for box in self._listeners:
            box.put(event)

    def end(self) -> None:
        """Nothing will happen any more."""
        self._listeners.close()

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[Mailbox[ConnectionEvent]]:
        """Iterate over events for the length of the block."""
        box: Mailbox[ConnectionEvent] = Mailbox(name=self._name)
        if self.latest is not None:
            box.put(self.latest)
        with self._listeners.listening(box):
            yield box
