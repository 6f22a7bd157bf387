"""What every driver for the gateway does, as tests that its author runs.

    from structiot.testing import DriverConformance

    class TestTasmotaDriver(DriverConformance):
        driver = TasmotaDriver

The devices are those that the driver class simulates (`SimulatesDevices`), in memory
and under virtual time, on both backends.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import Any, ClassVar, cast

import anyio
import pytest

from structiot._kit.environment import Clock, Environment
from structiot.errors import StructiotError, TransportError, UsageError
from structiot.gateway import InvalidConfig, load_config
from structiot.gateway.drivers import (
    Driver,
    SimulatesDevices,
    SystemSection,
    load_driver,
)
from structiot.gateway.entities.commands import takes_commands
from structiot.gateway.entities.components import component_of
from structiot.gateway.entities.topics import ONLINE, Topics
from structiot.model import (
    Command,
    Device,
    Entity,
    Number,
    Select,
    State,
    Switch,
)
from structiot.testing.drivers.bench import open_driver_bench
from structiot.testing.drivers.listening import EventLog, listening
from structiot.testing.drivers.outage import OutageNetwork
from structiot.testing.drivers.registry import (
    FakeManagedDevice,
    FakeRegistry,
    running_driver,
)
from structiot.testing.sweep import cancel_sweep

__all__ = ["DriverConformance"]

# Long enough for what comes with every poll; a driver may poll each second.
_WATCHED_S = 300.0
_BEGUN_S = 10.0
_KEY = re.compile(r"[A-Za-z0-9_]+")
_TOPICS = Topics(base="t", discovery_prefix="ha")


@pytest.mark.usefixtures("virtual_time")
class DriverConformance:
    """Tests that a driver passes; make a `Test...` class of it in a file of your own.

    Attributes:
        settle_s: Longest time until a device shows what it was told, or that it is gone
            or back: some polls of yours.
        left_out: Keys of entities whose commands are not tried.
    """

    settle_s: ClassVar[float] = 300.0
    left_out: ClassVar[frozenset[str]] = frozenset()

    @property
    def driver(self) -> type[Driver]:
        """The class under test; an attribute of your class, as in `driver = MyDriver`."""
        raise NotImplementedError

    @pytest.fixture
    def environment(self, virtual_time: Clock) -> Environment:
        """Replace the plugin's: this network can have an outage."""
        return Environment(
            network=OutageNetwork(),
            clock=virtual_time,
            random=Random(0),  # noqa: S311 - nothing secret
        )

    def simulated(
        self, environment: Environment
    ) -> AbstractAsyncContextManager[Mapping[str, Any]]:
        """Simulate devices; gives the section that leads to them. May be overridden."""
        return cast("SimulatesDevices", self.driver).simulated(environment)

    # ------------------------------------------------------------ its section

    def test_it_is_found_by_its_entry_point(self) -> None:
        """The package names the class in its pyproject.toml, by the system's name."""
        assert load_driver(self.driver.system) is self.driver

    async def test_its_section_can_be_read(self, environment: Environment) -> None:
        """What `simulated` gives is valid, and is read by the section's class."""
        async with self.simulated(environment) as section:
            assert type(self._section(section)) is self.driver.section

    async def test_a_setting_that_it_does_not_know_is_refused(
        self, environment: Environment
    ) -> None:
        """A slip of the pen is told, with its place in the file."""
        async with self.simulated(environment) as section:
            with pytest.raises(InvalidConfig, match="no_such_setting"):
                self._section({**section, "no_such_setting": 1})

    # ------------------------------------------------------------ naming devices

    async def test_it_names_its_devices(self, environment: Environment) -> None:
        """Each has a key of its own, and a label for people."""
        async with self._running(environment) as registry:
            keys = [source.key for source in registry.added]
            assert _twice(keys) == set()
            for source in registry.added:
                assert source.key
                assert source.label.strip()
                assert source.label.isprintable()

    async def test_at_each_start_it_gives_the_same_keys(
        self, environment: Environment
    ) -> None:
        """By them the gateway knows that a device is the one from before."""
        async with self.simulated(environment) as section:
            starts = []
            for _ in range(2):
                async with self._running_with(section, environment) as registry:
                    # What dials in, or is found, has come by then.
                    await anyio.sleep(_BEGUN_S)
                    starts.append(sorted(registry.devices))
            assert starts[0] == starts[1]

    # ------------------------------------------------------------ devices

    async def test_devices_say_who_they_are(self, environment: Environment) -> None:
        """An identity is the device's own, and the same whenever it is opened."""
        async with self._running(environment) as registry:
            ids = []
            for managed in registry.devices.values():
                async with managed.open() as device:
                    info = device.info
                assert info.system == self.driver.system
                assert info.id
                assert not info.is_provisional
                ids.append(info.id)
                if not managed.source.comes_by_itself:
                    async with managed.open() as device:
                        assert device.info.id == info.id
            assert _twice(ids) == set()

    async def test_entities_can_be_announced(self, environment: Environment) -> None:
        """Their keys are levels in topics, and Home Assistant knows their kinds."""
        async with self._running(environment) as registry:
            for managed in registry.devices.values():
                async with managed.open() as device:
                    entities = device.entities
                assert _twice([entity.key for entity in entities]) == set()
                for entity in entities:
                    assert _KEY.fullmatch(entity.key)
                    assert component_of(
                        entity, device="d", unique_id="u", topics=_TOPICS
                    )

    async def test_events_begin_with_what_is_known(
        self, environment: Environment
    ) -> None:
        """That it is available, and its states; for everyone who listens."""
        async with self._running(environment) as registry:
            for managed in registry.devices.values():
                async with managed.open() as device, listening(device) as first:
                    async with listening(device) as second:
                        for log in (first, second):
                            log.check(device)
                            assert log.availability == device.availability
                            assert device.availability.is_available
                            assert log.states == dict(device.states)

    async def test_what_it_tells_is_what_it_can_tell(
        self, environment: Environment
    ) -> None:
        """For some minutes: states that its entities can have."""
        async with self._running(environment) as registry:
            for managed in registry.devices.values():
                async with managed.open() as device, listening(device) as log:
                    await anyio.sleep(_WATCHED_S)
                    log.check(device)
                    assert not log.is_lost
                    assert log.states == dict(device.states)

    # ------------------------------------------------------------ commands

    async def test_commands_are_obeyed_and_seen(self, environment: Environment) -> None:
        """What a switch, a choice or a figure is told is its state soon after."""
        async with self._running(environment) as registry:
            for managed in registry.devices.values():
                async with managed.open() as device, listening(device) as log:
                    for entity in device.entities:
                        if entity.key not in self.left_out:
                            await self._command(device, entity, log)

    async def _command(self, device: Device, entity: Entity, log: EventLog) -> None:
        key = entity.key
        command = _something_else(entity, device.states.get(key))
        if command is not None:
            await device.command(key, command)
            await log.until(
                lambda: log.states.get(key) == device.states.get(key) == command,
                within_s=self.settle_s,
            )

    async def test_a_command_that_cannot_be_is_a_usage_error(
        self, environment: Environment
    ) -> None:
        """Nothing is guessed: no entity of that name, or none that takes commands."""
        async with self._running(environment) as registry:
            for managed in registry.devices.values():
                async with managed.open() as device:
                    silent = [e.key for e in device.entities if not takes_commands(e)]
                    for key in ("no_such_entity", *silent):
                        with pytest.raises(UsageError):
                            await device.command(key, True)  # noqa: FBT003 - a state

    # ------------------------------------------------------------ trouble

    async def test_what_cannot_be_reached_is_a_transport_error(
        self, environment: Environment
    ) -> None:
        """Whoever opens a device gets an error of structiot's tree, in time."""
        async with self._running(environment) as registry:
            _network_of(environment).go_down()
            for managed in registry.devices.values():
                if not managed.source.comes_by_itself:
                    with anyio.fail_after(self.settle_s):
                        with pytest.raises(TransportError):
                            async with managed.source.open():
                                pass

    async def test_a_device_that_goes_away_tells_and_comes_back(
        self, environment: Environment
    ) -> None:
        """It says so and why, or its events end; then it is back, or can be opened."""
        async with self._running(environment) as registry:
            managed = next(iter(registry.devices.values()))
            network = _network_of(environment)
            # The block of a device may end with the connection.
            with suppress(TransportError):
                async with managed.open() as device, listening(device) as log:
                    network.go_down()
                    await log.until(lambda: log.is_lost, within_s=self.settle_s)
                    told = log.availability
                    assert log.has_ended or (told and told.reason), "it says not why"
                    network.come_back()
                    await log.until(
                        lambda: log.has_ended or not log.is_lost,
                        within_s=self.settle_s,
                    )
            network.come_back()
            with anyio.fail_after(self.settle_s):
                await _opened_again(managed)

    async def test_an_outage_ends_it_by_an_error_of_the_tree_or_not_at_all(
        self, environment: Environment
    ) -> None:
        """The gateway starts it again; whatever else it raises is a fault of its own."""
        async with self.simulated(environment) as section:
            with suppress(StructiotError):
                async with self._running_with(section, environment):
                    _network_of(environment).go_down()
                    await anyio.sleep(3600)

    async def test_wherever_it_is_cancelled_nothing_is_left(
        self, environment: Environment
    ) -> None:
        """No task outlives its block, whatever it was waiting for."""
        async with self.simulated(environment) as section:

            async def flow() -> None:
                async with self._running_with(section, environment) as registry:
                    managed = next(iter(registry.devices.values()))
                    async with managed.open() as device, listening(device):
                        pass

            # What is simulated has tasks of its own, all of which run by then.
            await anyio.sleep(_BEGUN_S)
            await cancel_sweep(flow)

    # ------------------------------------------------------------ in the gateway

    async def test_a_gateway_serves_it(
        self, environment: Environment, caplog: pytest.LogCaptureFixture
    ) -> None:
        """For some minutes, without a warning: its devices are there and announced."""
        system = self.driver.system
        async with (
            self.simulated(environment) as section,
            open_driver_bench(self.driver, section, environment=environment) as bench,
        ):
            await anyio.sleep(_WATCHED_S)
            status = bench.gateway.drivers[system]
            assert (status.state, status.reason) == ("running", "")
            devices = bench.gateway.devices
            assert devices
            for slug, device in devices.items():
                assert bench.latest[f"structiot/{slug}/availability"] == ONLINE
                for key in device.states:
                    assert bench.latest[f"structiot/{slug}/{key}/state"]
            topics = [t for t in bench.latest if t.startswith("homeassistant/")]
            assert len(topics) == len(devices)
        said = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert [record.getMessage() for record in said] == []

    # ------------------------------------------------------------ how it is run

    def _section(self, section: Mapping[str, Any]) -> SystemSection:
        config = load_config({self.driver.system: dict(section)})
        return config.systems[self.driver.system]

    @asynccontextmanager
    async def _running_with(
        self, section: Mapping[str, Any], environment: Environment
    ) -> AsyncGenerator[FakeRegistry]:
        driver = self.driver(self._section(section), environment)
        async with running_driver(driver) as registry:
            await registry.until(lambda: bool(registry.devices), within_s=self.settle_s)
            yield registry

    @asynccontextmanager
    async def _running(self, environment: Environment) -> AsyncGenerator[FakeRegistry]:
        async with (
            self.simulated(environment) as section,
            self._running_with(section, environment) as registry,
        ):
            yield registry


def _network_of(environment: Environment) -> OutageNetwork:
    network = environment.network
    assert isinstance(network, OutageNetwork)
    return network


def _twice(names: list[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


async def _opened_again(managed: FakeManagedDevice) -> None:
    while True:
        with suppress(TransportError):
            async with managed.open():
                return
        await anyio.sleep(1)


def _something_else(entity: Entity, state: State | None) -> Command | None:
    """Find a command that would change a state; None where there is none."""
    match entity:
        case Switch():
            return not state
        case Select(options=options):
            return next((option for option in options if option != state), None)
        case Number(minimum=minimum, maximum=maximum):
            return maximum if state == minimum else minimum
        case _:
            return None
