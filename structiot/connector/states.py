"""What a connector is doing, and who listens to that."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import StructiotError

__all__ = [
    "Authenticating",
    "Connecting",
    "ConnectorState",
    "Ended",
    "Ready",
    "States",
    "Synchronising",
    "Waiting",
]

_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """What a connector is doing; always one of the classes below."""


@dataclass(frozen=True, slots=True)
class Connecting(ConnectorState):
    """It looks for the platform."""


@dataclass(frozen=True, slots=True)
class Authenticating(ConnectorState):
    """There is a connection, and it says who it is."""


@dataclass(frozen=True, slots=True)
class Synchronising(ConnectorState):
    """It is known, and tells the platform of its devices if these are not what it knows."""


@dataclass(frozen=True, slots=True)
class Ready(ConnectorState):
    """Its devices are offered, commands come, and events are taken."""


@dataclass(frozen=True, slots=True)
class Waiting(ConnectorState):
    """There is no connection, and there will be another attempt.

    Attributes:
        reason: Why there is none.
        retry_at: When it follows, as `anyio.current_time()` tells.
    """

    reason: StructiotError
    retry_at: float


@dataclass(frozen=True, slots=True)
class Ended(ConnectorState):
    """There will be no connection any more.

    Attributes:
        reason: Why.
    """

    reason: StructiotError


class States:
    """The present state, and the boxes of those who want to know of each.

    Attributes:
        present: What the connector is doing.
    """

    def __init__(self) -> None:
        self.present: ConnectorState = Connecting()
        self._listeners: FanOut[Mailbox[ConnectorState]] = FanOut()

    def tell(self, state: ConnectorState) -> None:
        """Go over to another state; after the last one nothing is told."""
        if isinstance(self.present, Ended) or state == self.present:
            return
        self.present = state
        for box in self._listeners:
            box.put(state)
        if isinstance(state, Ended):
            self._listeners.close()

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[Mailbox[ConnectorState]]:
        """Iterate over the present state and all that follow."""
        box = Mailbox[ConnectorState](_KEPT, name="states of a connector")
        box.put(self.present)
        with self._listeners.listening(box):
            yield box
