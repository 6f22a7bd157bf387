"""A system of one kind of plug, with its simulator and its driver: all that there is.

A plug answers one line on TCP: `who` with its serial, `?` with ON or OFF, and ON and OFF
with what it is then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, ClassVar

import anyio
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import LOST
from structiot.errors import ConnectFailed, TransportError, UsageError
from structiot.gateway.drivers import (
    DeviceName,
    DeviceRegistry,
    Host,
    Port,
    Section,
    Source,
    SystemSection,
)
from structiot.model import (
    Availability,
    Command,
    DeviceEvent,
    DeviceInfo,
    Entity,
    State,
    StateChange,
    Switch,
)

POLL_S = 10.0


class PlugSim:
    """A simulated plug."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self.is_on = False

    async def serve(self, stream: ByteStream) -> None:
        # Who asks may go away in the middle.
        async with stream:
            with suppress(*LOST):
                await self.answer(stream)

    async def answer(self, stream: ByteStream) -> None:
        line = (await stream.receive()).decode().strip()
        if line in {"ON", "OFF"}:
            self.is_on = line == "ON"
        reply = self.serial if line == "who" else "ON" if self.is_on else "OFF"
        await stream.send(reply.encode())


class Plug:
    """A `Device`."""

    entities: tuple[Entity, ...] = (Switch(key="relay", name="Relay"),)
    system = "toy"

    def __init__(self, host: str, port: int, environment: Environment) -> None:
        self.host = host
        self.port = port
        self.environment = environment
        self.listeners: FanOut[Mailbox[DeviceEvent]] = FanOut()
        self.states: dict[str, State | None] = {}
        self.heard_at = 0.0

    async def ask(self, line: str) -> str:
        network = self.environment.network
        try:
            with anyio.fail_after(2):
                async with await network.connect_tcp(self.host, self.port) as stream:
                    await stream.send(line.encode())
                    return (await stream.receive()).decode()
        except (TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream) as exc:
            raise ConnectFailed("no answer", host=self.host, port=self.port) from exc

    async def identify(self) -> None:
        serial = await self.ask("who")
        self.info = DeviceInfo(
            id=serial, system=self.system, name="Plug", serial=serial
        )
        self.availability = self.available()
        await self.poll()

    def available(self, reason: str = "") -> Availability:
        at_utc = self.environment.now_utc()
        return Availability(is_available=not reason, at_utc=at_utc, reason=reason)

    async def run(self) -> None:
        while True:
            await anyio.sleep(POLL_S)
            try:
                await self.poll()
            except TransportError as exc:
                self.tell_availability(str(exc))
            else:
                self.tell_availability("")

    def tell_availability(self, reason: str) -> None:
        if self.availability.reason != reason:
            self.availability = self.available(reason)
            self.tell(self.availability)

    async def poll(self) -> None:
        self.take(await self.ask("?"))

    def take(self, reply: str) -> None:
        is_on = reply == "ON"
        self.heard_at = anyio.current_time()
        if self.states.get("relay") is not is_on:
            self.states["relay"] = is_on
            self.tell(self.state("relay"))

    def stale_after_s(self, key: str) -> float | None:
        return 30.0

    def silent_s(self, key: str) -> float | None:
        return anyio.current_time() - self.heard_at if key in self.states else None

    def state(self, key: str) -> StateChange:
        at_utc = self.environment.now_utc()
        return StateChange(key=key, state=self.states[key], at_utc=at_utc)

    def tell(self, event: DeviceEvent) -> None:
        for box in self.listeners:
            box.put(event)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Mailbox[DeviceEvent]]:
        box = Mailbox[DeviceEvent]()
        box.put(self.availability)
        for key in self.states:
            box.put(self.state(key))
        with self.listeners.listening(box):
            yield box

    async def command(self, key: str, command: Command) -> None:
        if key != "relay":
            raise UsageError(f"there is no {key!r}")
        self.take(await self.ask("ON" if command else "OFF"))


class PlugSection(Section):
    host: Host
    port: Port
    name: DeviceName | None = None


class ToySection(SystemSection):
    plugs: list[PlugSection]


class ToyDriver:
    """The driver, as it should be; wrong ones are made of it."""

    system: ClassVar[str] = "toy"
    section: ClassVar[type[SystemSection]] = ToySection
    device: ClassVar[type[Plug]] = Plug
    finds_more = False

    def __init__(self, section: ToySection, environment: Environment) -> None:
        self.settings = section
        self.environment = environment

    async def run(self, registry: DeviceRegistry) -> None:
        for number, plug in enumerate(self.settings.plugs):
            registry.add(self.source(plug, number))
        registry.started()

    def source(self, plug: PlugSection, number: int) -> Source:
        return Source(
            key=self.key(plug, number),
            label=f"plug at {plug.host}",
            name=plug.name,
            open=lambda: self.open(plug),
        )

    def key(self, plug: PlugSection, number: int) -> str:
        return f"{plug.host}:{plug.port}"

    @asynccontextmanager
    async def open(self, plug: PlugSection) -> AsyncIterator[Plug]:
        device = self.device(plug.host, plug.port, self.environment)
        await device.identify()
        async with service_group() as tasks:
            tasks.start_soon(device.run)
            yield device

    @classmethod
    @asynccontextmanager
    async def simulated(
        cls, environment: Environment, *, count: int | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(service_group())
            plugs = []
            for number in range(count or 2):
                listener = await stack.enter_async_context(
                    environment.network.listen_tcp("127.0.0.1", 0)
                )
                tasks.start_soon(listener.serve, PlugSim(f"P{number}").serve)
                host, port = listener.address
                plugs.append({"host": host, "port": port, "name": f"Plug {number}"})
            yield {"plugs": plugs}
