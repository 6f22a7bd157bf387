"""Drivers that are wrong, each in one way, and the test that shows it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import anyio

from structiot import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import TransportError
from structiot.gateway.drivers import DeviceRegistry, Source, SystemSection
from structiot.model import Command, DeviceEvent, Entity, StateChange, Switch
from tests.testing.toy import Plug, PlugSection, ToyDriver, ToySection

FAULTY: dict[str, type[ToyDriver]] = {}


def shown_by(test: str, device: type[Plug] = Plug) -> Any:
    def enter(driver: type[ToyDriver]) -> type[ToyDriver]:
        assert test not in FAULTY
        driver.device = device
        FAULTY[test] = driver
        return driver

    return enter


def faulty_device(test: str) -> Any:
    def enter(device: type[Plug]) -> type[Plug]:
        shown_by(test, device)(type(device.__name__, (ToyDriver,), {}))
        return device

    return enter


# ------------------------------------------------------------ drivers


@shown_by("test_a_setting_that_it_does_not_know_is_refused")
class TakesAnything(ToyDriver):
    class Section(ToySection, extra="ignore"):
        """Keys are ignored."""

    section: ClassVar[type[SystemSection]] = Section


@shown_by("test_its_section_can_be_read")
class SimulatesNonsense(ToyDriver):
    @classmethod
    @asynccontextmanager
    async def simulated(
        cls, environment: Environment, *, count: int | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        yield {"plugs": "two"}


@shown_by("test_it_names_its_devices")
class NamesTwice(ToyDriver):
    async def run(self, registry: DeviceRegistry) -> None:
        await super().run(registry)
        await super().run(registry)


@shown_by("test_at_each_start_it_gives_the_same_keys")
class CountsOn(ToyDriver):
    numbers = itertools.count()

    def source(self, plug: PlugSection, number: int) -> Source:
        return super().source(plug, next(self.numbers))

    def key(self, plug: PlugSection, number: int) -> str:
        return str(number)


@shown_by("test_an_outage_ends_it_by_an_error_of_the_tree_or_not_at_all")
class FailsOddly(ToyDriver):
    async def run(self, registry: DeviceRegistry) -> None:
        await super().run(registry)
        while True:
            await anyio.sleep(60)
            plug = self.settings.plugs[0]
            try:
                await Plug(plug.host, plug.port, self.environment).identify()
            except TransportError as exc:
                raise ZeroDivisionError from exc


@shown_by("test_wherever_it_is_cancelled_nothing_is_left")
class SaysGoodbyeForEver(ToyDriver):
    @asynccontextmanager
    async def open(self, plug: PlugSection) -> AsyncIterator[Plug]:
        async with super().open(plug) as device:
            try:
                yield device
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(60)


@shown_by("test_a_gateway_serves_it")
class HasNotStarted(ToyDriver):
    async def run(self, registry: DeviceRegistry) -> None:
        await anyio.sleep_forever()


# ------------------------------------------------------------ devices


@faulty_device("test_devices_say_who_they_are")
class OfAnotherSystem(Plug):
    system = "tasmota"


@faulty_device("test_entities_can_be_announced")
class WithASlash(Plug):
    entities: tuple[Entity, ...] = (Switch(key="relay/1"),)


@faulty_device("test_events_begin_with_what_is_known")
class TellsNothingAtFirst(Plug):
    @asynccontextmanager
    async def events(self) -> AsyncIterator[Mailbox[DeviceEvent]]:
        with self.listeners.listening(Mailbox[DeviceEvent]()) as box:
            yield box


@faulty_device("test_what_it_tells_is_what_it_can_tell")
class TellsNonsense(Plug):
    async def poll(self) -> None:
        await super().poll()
        at_utc = self.environment.now_utc()
        self.tell(StateChange(key="relay", state="perhaps", at_utc=at_utc))


@faulty_device("test_commands_are_obeyed_and_seen")
class DoesNothing(Plug):
    async def command(self, key: str, command: Command) -> None:
        await anyio.lowlevel.checkpoint()


@faulty_device("test_a_command_that_cannot_be_is_a_usage_error")
class DoesAnything(Plug):
    async def command(self, key: str, command: Command) -> None:
        await super().command("relay", command)


@faulty_device("test_what_cannot_be_reached_is_a_transport_error")
class HasErrorsOfItsOwn(Plug):
    async def ask(self, line: str) -> str:
        try:
            return await super().ask(line)
        except TransportError as exc:
            raise RuntimeError("plug not found") from exc


@faulty_device("test_a_device_that_goes_away_tells_and_comes_back")
class GivesUp(Plug):
    def tell_availability(self, reason: str) -> None:
        if reason:
            super().tell_availability(reason)
