"""Following a metered device: its readings, and whether it is there, in the right order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from structiot._kit.flow.tasks import service_group
from structiot.model import Availability, DeviceEvent, Reading

__all__ = ["Metered", "follow"]


class Metered(Protocol):
    """A device that gives readings."""

    def readings(self) -> AbstractAsyncContextManager[AsyncIterator[Reading]]:
        """Iterate over them as they come."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[DeviceEvent]]:
        """Iterate over its availability, among others."""
        ...


async def follow(
    device: Metered,
    on_reading: Callable[[Reading], None],
    on_availability: Callable[[Availability], None],
) -> None:
    """Tell every reading, and when the device goes away and comes back."""
    away: Availability | None = None

    async def note_absence(events: AsyncIterator[DeviceEvent]) -> None:
        nonlocal away
        async for event in events:
            # That it is back is told by its next reading, in the right order.
            if isinstance(event, Availability) and not event.is_available:
                away = event
                on_availability(event)

    async with (
        device.readings() as readings,
        device.events() as events,
        service_group() as tasks,
    ):
        tasks.start_soon(note_absence, events, name="structiot.cli.following")
        async for reading in readings:
            if away is not None:
                away = None
                on_availability(Availability(is_available=True, at_utc=reading.at_utc))
            on_reading(reading)
