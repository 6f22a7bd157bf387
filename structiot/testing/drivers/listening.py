"""What a device tells, taken down while a test does something else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from structiot._kit.flow.tasks import service_group
from structiot.errors import TransportError
from structiot.gateway.entities.states import occurrence_payload, state_payload
from structiot.model import (
    Availability,
    Device,
    DeviceEvent,
    Event,
    Occurrence,
    State,
    StateChange,
)
from structiot.testing.drivers.changes import Changes

__all__ = ["EventLog", "listening"]

# Everything that needs no time is over; nothing that waits for a clock has begun.
_AT_ONCE_S = 0.001


class EventLog:
    """What a device has told so far; made by `listening`.

    Attributes:
        told: All of it, in order.
        has_ended: Nothing more will come.
    """

    def __init__(self) -> None:
        self.told: list[DeviceEvent] = []
        self.has_ended: bool = False
        self._changes = Changes()

    @property
    def availability(self) -> Availability | None:
        """The latest; None if none was told."""
        told = [event for event in self.told if isinstance(event, Availability)]
        return told[-1] if told else None

    @property
    def states(self) -> dict[str, State | None]:
        """The latest state of each entity, by key."""
        return {e.key: e.state for e in self.told if isinstance(e, StateChange)}

    @property
    def is_lost(self) -> bool:
        """Whether the device has told that it is away, or tells nothing any more."""
        told = self.availability
        return self.has_ended or (told is not None and not told.is_available)

    async def until(self, condition: Callable[[], bool], *, within_s: float) -> None:
        """Wait until a condition holds that an event may bring about.

        Raises:
            AssertionError: It did not within that time.
        """
        await self._changes.until(
            condition, within_s=within_s, failure=lambda: f"it told {self.told}"
        )

    async def follow(self, events: AsyncIterator[DeviceEvent]) -> None:
        """Take down what comes until the end."""
        try:
            async for event in events:
                self.told.append(event)
                self._changes.tell()
        except TransportError:
            pass
        finally:
            self.has_ended = True
            self._changes.tell()

    def check(self, device: Device) -> None:
        """See that everything was such as the device can tell."""
        entities = {entity.key: entity for entity in device.entities}
        for event in self.told:
            assert event.at_utc.tzinfo is not None, f"{event} has no time zone"
            match event:
                case StateChange():
                    assert event.key in entities, f"{event} is of no entity"
                    assert state_payload(entities[event.key], event.state)
                case Occurrence():
                    entity = entities.get(event.key)
                    assert isinstance(entity, Event), f"{event} is of no event"
                    assert occurrence_payload(entity, event)


@asynccontextmanager
async def listening(device: Device) -> AsyncGenerator[EventLog]:
    """Listen to a device; the block begins when it has told what it tells at once."""
    log = EventLog()
    async with device.events() as events, service_group() as tasks:
        tasks.start_soon(log.follow, events, name="structiot.testing listener")
        await anyio.sleep(_AT_ONCE_S)
        yield log
