"""A gateway that opens nothing by itself: for tests of what a driver does.

async with running_driver(TasmotaDriver(section, environment)) as registry:
    (plug,) = registry.devices.values()
    async with plug.open() as device:
        await device.command("relay", True)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any, TypeVar

from anyio.abc import TaskGroup

from structiot._kit.environment import SYSTEM_ENVIRONMENT
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot.gateway import GatewayEvent
from structiot.gateway.config.links import LinkSection
from structiot.gateway.drivers import Driver, ServedDevice, SharedConnection, Source
from structiot.gateway.links.foreign_topics import ForeignTopics
from structiot.gateway.retrying import Retrying
from structiot.gateway.state_file import StateFile
from structiot.model import Device, DeviceInfo
from structiot.testing.drivers.changes import Changes

__all__ = ["FakeManagedDevice", "FakeRegistry", "running_driver"]

T = TypeVar("T")


class FakeManagedDevice:
    """A `ManagedDevice` that is opened when a test does it.

    Attributes:
        source: Where it comes from; the latest, if its key was added again.
        info: Who it is; None until it was opened once.
        remembered_serial: Serial of the device that its source led to, if that is known;
            a test may set it.
        is_available: What the driver is told; a test may set it.
        reopened: How often the driver called `reopen`.
        is_released: The driver gave it up.
    """

    def __init__(self, source: Source) -> None:
        self.source: Source = source
        self.info: DeviceInfo | None = None
        self.remembered_serial: str | None = None
        self.is_available: bool = False
        self.reopened: int = 0
        self.is_released: bool = False

    def reopen(self) -> None:
        """Count it."""
        self.reopened += 1

    def release(self) -> None:
        """Note it."""
        self.is_released = True

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Device]:
        """Open it once, on its shared connection if it has one; errors come out."""
        async with AsyncExitStack() as stack:
            if self.source.parent is not None:
                await stack.enter_async_context(
                    self.source.parent.in_use(lambda _reason: None)
                )
            device = await stack.enter_async_context(self.source.open())
            self.info = device.info
            self.remembered_serial = device.info.serial or self.remembered_serial
            self.is_available = True
            try:
                yield device
            finally:
                self.is_available = False


class FakeGateway:
    """A `GatewayView` as a test wants it; made by `FakeRegistry`.

    Attributes:
        devices: What is in its care; a test may put something in.
        state: What outlasts a restart, in memory.
        links: Links in force; a test may put some there.
        foreign_topics: Topics of others, on a broker that is never there.
    """

    def __init__(self) -> None:
        self.devices: dict[str, ServedDevice] = {}
        self.state: StateFile = StateFile(None, SYSTEM_ENVIRONMENT)
        self.links: tuple[LinkSection, ...] = ()
        self.foreign_topics: ForeignTopics = ForeignTopics()
        self._listeners: FanOut[Mailbox[GatewayEvent]] = FanOut()

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[GatewayEvent]]:
        """Iterate over what `tell` is told."""
        with self._listeners.listening(Mailbox(name="events of a test")) as box:
            yield box

    def tell(self, event: GatewayEvent) -> None:
        """Have it happen."""
        for box in self._listeners:
            box.put(event)


class FakeRegistry:
    """A `DeviceRegistry` that keeps what it is told; made by `running_driver`.

    Attributes:
        added: Every source that was added, in order.
        devices: What is in its care, by the key of the source; released ones are not.
        connections: What was shared; each is kept open until the block ends.
        has_started: The driver has told so.
        gateway: A gateway that has nothing in its care, unless a test gives it something.
        trouble: What the driver has told last by `failing`.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.gateway: FakeGateway = FakeGateway()
        self.trouble: str = ""
        self.added: list[Source] = []
        self.connections: list[SharedConnection[Any]] = []
        self.has_started: bool = False
        self._tasks = tasks
        self._known: dict[str, FakeManagedDevice] = {}
        self._changes = Changes()

    @property
    def devices(self) -> dict[str, FakeManagedDevice]:
        """What is in its care, by the key of the source; released ones are not."""
        return {key: one for key, one in self._known.items() if not one.is_released}

    def add(self, source: Source) -> FakeManagedDevice:
        """Take a device, or another source for one that is known."""
        self.added.append(source)
        device = self.devices.get(source.key)
        if device is None:
            device = self._known[source.key] = FakeManagedDevice(source)
        device.source = source
        self._changes.tell()
        return device

    def started(self, *, keeps_found: bool = False) -> None:  # noqa: ARG002
        """Note it."""
        self.has_started = True
        self._changes.tell()

    def failing(self, reason: str) -> None:
        """Note it."""
        self.trouble = reason
        self._changes.tell()

    def share(
        self, label: str, open_it: Callable[[], AbstractAsyncContextManager[T]]
    ) -> SharedConnection[T]:
        """Keep a connection open until the block ends."""
        backoff = Backoff(first_s=1.0, cap_s=60.0)
        retrying = Retrying(lambda: backoff, Random(0))  # noqa: S311
        shared = SharedConnection(label, open_it, retrying, lambda _changed: None)
        self.connections.append(shared)
        self._tasks.start_soon(shared.run, name=f"structiot.testing {label}")
        return shared

    async def until(
        self, condition: Callable[[], object], *, within_s: float = 60.0
    ) -> None:
        """Wait until a condition holds that the driver brings about by what it calls.

        Raises:
            AssertionError: It did not within that time.
        """
        await self._changes.until(condition, within_s=within_s, failure=self._summary)

    def _summary(self) -> str:
        has_started = "has" if self.has_started else "has not"
        devices = ", ".join(self.devices) or "nothing"
        return f"the driver {has_started} started, and has added {devices}"


@asynccontextmanager
async def running_driver(driver: Driver) -> AsyncGenerator[FakeRegistry]:
    """Run a driver for the length of the block, which begins when it has started.

    What the driver raises comes out of the block.

    Raises:
        AssertionError: It has not told within a minute that it has started.
    """
    async with service_group() as tasks:
        registry = FakeRegistry(tasks)

        async def run() -> None:
            await driver.run(registry)
            registry.started()

        tasks.start_soon(run, name=f"structiot.testing driver {driver.system}")
        await registry.until(lambda: registry.has_started)
        yield registry
