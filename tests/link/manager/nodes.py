"""Several nodes of one manager in memory, and devices that move between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass
from typing import Any

import anyio

from structiot import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.net.memory import MemoryStream
from structiot.manager.backplane.opening import open_backplane
from structiot.manager.device_client import ManagedDevice, open_manager_client
from structiot.manager.events import ManagerEvent
from structiot.manager.limits import Listener
from structiot.manager.manager import Manager
from structiot.manager.opening import open_manager
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import Came, Member, encode
from structiot.manager.wire.events import Data, Event, InfoAsked
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NativeDevice
from structiot.mqtt import MqttClient, open_broker
from structiot.sim import fault_proxy
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import UUID, Device, info

BROKER = "mqtt://127.0.0.1:1883"
# Where the first node listens for the documented dialect, and for our own.
PLAIN_PORT, OWN_PORT = 8600, 8700
PRESENCE = "structiot/manager/fleet/all/presence"
STRANGER = "node-9.0123456789abcdef"


@dataclass
class Node:
    number: int
    manager: Manager
    client: MqttClient
    way: Any

    @property
    def plain_port(self) -> int:
        return PLAIN_PORT + self.number

    @property
    def own_port(self) -> int:
        return OWN_PORT + self.number

    def lose_broker(self) -> None:
        """Have the broker think that it is dead; what it sends from now on is lost."""
        self.way.is_refusing = True
        self.way.cut()

    def find_broker(self) -> None:
        self.way.is_refusing = False


@asynccontextmanager
async def node_of(
    environment: Environment, number: int, **settings: Any
) -> AsyncGenerator[Node]:
    async with (
        fault_proxy("127.0.0.1", 1883, environment=environment) as way,
        open_backplane(
            f"mqtt://127.0.0.1:{way.address[1]}",
            node=f"node-{number}",
            config={"reconnect_max_interval": 1, "protocol": "3.1.1", **settings},
            environment=environment,
        ) as client,
        open_manager(
            port=PLAIN_PORT + number,
            listeners=[Listener("127.0.0.1", OWN_PORT + number, "structiot")],
            backplane=client,
            environment=environment,
        ) as manager,
    ):
        yield Node(number, manager, client, way)


@asynccontextmanager
async def nodes(environment: Environment, count: int) -> AsyncGenerator[list[Node]]:
    async with AsyncExitStack() as stack:
        broker = open_broker(BROKER, environment=environment)
        await stack.enter_async_context(broker)
        yield [
            await stack.enter_async_context(node_of(environment, number))
            for number in range(count)
        ]


async def until(holds: Callable[[], Any], within_s: float = 60) -> None:
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.01)


class Balancer:
    """A network whose connections go to the port that is chosen at the time."""

    def __init__(self, network: MemoryNetwork, port: int) -> None:
        self.port = port
        self._network = network
        self._streams: list[MemoryStream] = []

    async def connect_tcp(self, host: str, port: int) -> MemoryStream:
        stream = await self._network.connect_tcp(host, self.port)
        assert isinstance(stream, MemoryStream)
        self._streams.append(stream)
        return stream

    def cut(self) -> None:
        for stream in self._streams:
            stream.reset()
        self._streams.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class OwnDevice(Device):
    """A device of our own dialect that acknowledges what it is told to."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.side = NativeDevice(bytes(16))
        self._events: list[Event] = []

    async def introduce(self) -> None:
        assert await self.event() == InfoAsked()
        await self.send(self.side.tell_info(Info(uuid=UUID, type="light")))
        await self.event()

    async def event(self) -> Event:
        with anyio.fail_after(120):
            while not self._events:
                self._events += self.side.feed(await self.stream.receive())
        return self._events.pop(0)

    async def message(self) -> Data:
        found = await self.event()
        assert isinstance(found, Data)
        return found


@asynccontextmanager
async def own_device(environment: Environment, node: Node) -> AsyncGenerator[OwnDevice]:
    stream = await environment.network.connect_tcp("127.0.0.1", node.own_port)
    async with stream:
        device = OwnDevice(stream)
        await device.introduce()
        yield device


def device_at(
    environment: Environment, port: int, **given: Any
) -> AbstractAsyncContextManager[ManagedDevice]:
    arguments: dict[str, Any] = {
        "uuid": UUID,
        "type": "light",
        "environment": environment,
        **given,
    }
    return open_manager_client("127.0.0.1", port, **arguments)


async def plain_device(
    environment: Environment, node: Node, told: bytes = info()
) -> Device:
    stream = await environment.network.connect_tcp("127.0.0.1", node.plain_port)
    device = Device(stream)
    await device.read(b"\x01")
    await device.send(told)
    return device


def holder_of(node: Node, uuid: str = UUID) -> str:
    found = node.manager.fleet.get(uuid)
    return "" if found is None else found.node.partition(".")[0] or "here"


async def kinds(events: Mailbox[ManagerEvent], count: int) -> list[type]:
    with anyio.fail_after(60):
        return [type(await anext(events)) for _ in range(count)]


def elsewhere(turn: int = 7, uuid: str = UUID) -> bytes:
    """A node that nobody runs says that it has the device."""
    member = Member(
        info=Info(uuid=uuid, type="light"),
        dialect=Dialect.D0,
        address=("10.0.0.9", 1),
        turn=turn,
    )
    return encode(Came(STRANGER, (member,)))
