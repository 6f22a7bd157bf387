"""A device that does as it is told, and a board that remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot.errors import StructiotError
from structiot.gateway import GatewayDevice, GatewayEvent
from structiot.gateway.announcer import Announcer
from structiot.gateway.context import GatewayContext, Places
from structiot.gateway.drivers import Source
from structiot.gateway.energy_totals import EnergyTotals
from structiot.gateway.entities.topics import Topics
from structiot.gateway.records import Records
from structiot.gateway.state_file import StateFile
from structiot.gateway.summaries import Summaries
from structiot.model import (
    Availability,
    Command,
    DeviceEvent,
    DeviceInfo,
    Entity,
    Sensor,
    State,
    StateChange,
    Switch,
)

AT = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
TOPICS = Topics(base="structiot", discovery_prefix="homeassistant")
INFO = DeviceInfo(id="SN1", system="maxsmart", name="STRIP", serial="SN1")
ENTITIES: tuple[Entity, ...] = (
    Switch(key="port_1", name="Port 1"),
    Switch(key="port_2", name="Port 2"),
    Sensor(key="port_1_power", name="Power", unit="W"),
)


class TopicSink:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.retained: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []
        self.history: list[tuple[str, str]] = []

    def retain(self, topic: str, payload: str) -> None:
        self.retained[topic] = payload
        self.history.append((topic, payload))

    def clear(self, topic: str, *, last_words: str = "") -> None:
        if last_words:
            self.history.append((topic, last_words))
        self.retained.pop(topic, None)
        self.history.append((topic, ""))

    def clear_after(self, topic: str, *, after: str) -> None:
        assert after in [seen for seen, _ in self.history]
        self.clear(topic)

    def hold(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self.retained.pop(topic, None)

    def repeat(self, topics: Iterable[str]) -> None:
        pass

    def wants(self, topic: str) -> bool:
        return topic in self.retained

    def tell(
        self, topic: str, payload: str, *, correlation: bytes | None = None
    ) -> None:
        self.told.append((topic, payload))

    def payloads(self, topic: str) -> list[str]:
        return [payload for seen, payload in self.history if seen == topic]


class ScriptedDevice:
    """A `Device` whose behaviour is set by its attributes."""

    def __init__(
        self, info: DeviceInfo = INFO, entities: Sequence[Entity] = ENTITIES
    ) -> None:
        self.info = info
        self.states: dict[str, State | None] = {}
        self.told_at: dict[str, float] = {}
        self.stale_s: float | None = 30.0
        self.availability = Availability(is_available=True, at_utc=AT)
        self.entities = tuple(entities)
        self.opened = 0
        self.opened_at: list[float] = []
        self.is_open = False
        self.open_error: BaseException | None = None
        self.open_takes_s = 0.0
        self.command_error: BaseException | None = None
        self.command_takes_s = 0.0
        self.commands: list[tuple[str, Command]] = []
        self.first: list[DeviceEvent] = [Availability(is_available=True, at_utc=AT)]
        self._boxes: list[Mailbox[DeviceEvent]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedDevice]:
        self.opened += 1
        self.opened_at.append(anyio.current_time())
        await anyio.sleep(self.open_takes_s)
        if self.open_error is not None:
            raise self.open_error
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Mailbox[DeviceEvent]]:
        with Mailbox[DeviceEvent](name="scripted events") as box:
            for event in self.first:
                box.put(event)
            self._boxes.append(box)
            try:
                yield box
            finally:
                self._boxes.remove(box)

    def tell(self, *events: DeviceEvent) -> None:
        for event in events:
            match event:
                case StateChange(key=key, state=state):
                    self.states[key] = state
                    self.told_at[key] = anyio.current_time()
                case Availability():
                    self.availability = event
        for box in self._boxes:
            for event in events:
                box.put(event)

    def stale_after_s(self, key: str) -> float | None:
        return self.stale_s

    def silent_s(self, key: str) -> float | None:
        told_at = self.told_at.get(key)
        return None if told_at is None else anyio.current_time() - told_at

    def tell_state(self, key: str, state: State | None) -> None:
        self.tell(StateChange(key=key, state=state, at_utc=AT))

    def end_events(self, error: StructiotError | None = None) -> None:
        for box in self._boxes:
            box.close(error)

    async def command(self, key: str, command: Command) -> None:
        await anyio.sleep(self.command_takes_s)
        if self.command_error is not None:
            raise self.command_error
        self.commands.append((key, command))


class AnyPlace:
    """Gives every device the place that it wants."""

    def claim(self, device: GatewayDevice, info: DeviceInfo) -> str:
        return device.slug or f"{info.system}_{info.id}".lower()

    def leave(self, device: GatewayDevice) -> None:
        pass


def context_of(
    sink: TopicSink, events: list[GatewayEvent] | None = None
) -> GatewayContext:
    records = Records(StateFile(None, SYSTEM_ENVIRONMENT))
    announcer = Announcer(
        TOPICS,
        sink,
        records,
        announces=True,
        systems=("maxsmart",),
        candidates=lambda _system: (),
    )
    announcer.is_read = True
    return GatewayContext(
        topics=TOPICS,
        sink=sink,
        summaries=Summaries(),
        version="0.1.0",
        records=records,
        announcer=announcer,
        clock=lambda: AT,
        random=Random(1),
        command_s=15.0,
        energy=EnergyTotals({}, None),
        retry=Backoff(first_s=1.0, cap_s=60.0, jitter=0.0),
        emit=(events if events is not None else []).append,
    )


def managed(
    device: ScriptedDevice,
    context: GatewayContext,
    *,
    name: str | None = "Desk",
    places: Places | None = None,
    **more: Any,
) -> GatewayDevice:
    """Put a scripted device into care; `run` is the test's to start."""
    source = Source(
        key="10.0.0.7", label="strip at 10.0.0.7", open=device.open, name=name, **more
    )
    slug = None if name is None else name.lower()
    return GatewayDevice(
        source, context, places or AnyPlace(), device.info.system, slug=slug
    )


@asynccontextmanager
async def running(*devices: GatewayDevice) -> AsyncIterator[None]:
    async with service_group() as tg:
        for device in devices:
            tg.start_soon(device.run)
        await anyio.wait_all_tasks_blocked()
        yield


async def settled() -> None:
    await anyio.sleep(0.001)
