"""Drivers in the gateway's care: what fails, what is parked, what hangs on what."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import anyio
import pytest

from structiot import Environment
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    RateLimited,
)
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import (
    DeviceRegistry,
    ManagedDevice,
    Source,
    SystemSection,
    with_driver,
)
from structiot.model import DeviceInfo, Event, Occurrence, Switch
from structiot.mqtt import open_mqttclient
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.virtual_time

Run = Callable[["ScriptedDriver"], Awaitable[None]]


class Section(SystemSection):
    """A section without settings."""


class ScriptedDriver:
    """Does what a test has it do; the test sees every start."""

    system: ClassVar[str] = "toy"
    section: ClassVar[type[SystemSection]] = Section
    does: ClassVar[Run]
    starts: ClassVar[list[float]]
    finds_more = True

    def __init__(self, section: Section, environment: Environment) -> None:
        self.environment = environment

    async def run(self, registry: DeviceRegistry) -> None:
        self.registry = registry
        type(self).starts.append(anyio.current_time())
        await type(self).does(self)


def scripted(does: Run, *, system: str = "toy") -> type[ScriptedDriver]:
    members = {"does": staticmethod(does), "starts": [], "system": system}
    return type("Scripted", (ScriptedDriver,), members)


async def stay(driver: ScriptedDriver) -> None:
    driver.registry.started()
    await anyio.sleep_forever()


def plug(id_: str = "P1", system: str = "toy", **more: Any) -> ScriptedDevice:
    info = DeviceInfo(id=id_, system=system, name="Plug", serial=id_)
    return ScriptedDevice(info, (Switch(key="relay", name="Relay"),), **more)


def source_of(device: ScriptedDevice, **more: Any) -> Source:
    options = {"key": device.info.id, "label": f"plug {device.info.id}", **more}
    return Source(open=device.open, **options)


@asynccontextmanager
async def serving(*drivers: type[ScriptedDriver]) -> AsyncIterator[Gateway]:
    """Serve scripted systems on an embedded broker, in memory."""
    async with AsyncExitStack() as stack:
        for driver in drivers:
            stack.enter_context(with_driver(driver.system, driver))
        config = load_config({driver.system: {} for driver in drivers})
        environment = Environment(network=MemoryNetwork())
        yield await stack.enter_async_context(
            open_gateway(config, environment=environment)
        )


def shown(gateway: Gateway, system: str = "toy") -> dict[str, Any]:
    payload = gateway.publisher.wanted[f"structiot/gateway/drivers/{system}"]
    found: dict[str, Any] = json.loads(payload)
    return found


def state_of(gateway: Gateway, system: str = "toy") -> tuple[str, str]:
    found = shown(gateway, system)
    return found["state"], found["reason"]


def of_gateway(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("structiot.gateway")
        and record.levelno >= logging.WARNING
    ]


# ---------------------------------------------------------------- trouble


async def fail_at_once(driver: ScriptedDriver) -> None:
    raise ConnectFailed("cannot bind TCP 127.0.0.1:8595: address already in use")


async def fail_later(driver: ScriptedDriver) -> None:
    driver.registry.started()
    await anyio.sleep(5)
    raise LinkLost("the cloud hung up")


async def fail_oddly(driver: ScriptedDriver) -> None:
    raise ZeroDivisionError("division by zero")


async def hang(driver: ScriptedDriver) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (fail_at_once, "cannot bind TCP 127.0.0.1:8595: address already in use"),
        (fail_later, "the cloud hung up"),
        (fail_oddly, "internal error: ZeroDivisionError: division by zero"),
        (hang, "its driver has not started within 60 s"),
    ],
)
async def test_a_driver_in_trouble_is_started_again_and_disturbs_no_other(
    does, reason, caplog
):
    device = plug(system="good")

    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    bad, good = scripted(does), scripted(serve_one, system="good")
    async with serving(bad, good) as gateway:
        await anyio.sleep(3600)
        assert len(bad.starts) > 10
        assert device.opened == 1
        assert gateway.devices["desk"].is_available
        assert state_of(gateway, "good") == ("running", "")
        if does is not fail_later:
            assert state_of(gateway) == ("failing", reason)
    said = [line for line in of_gateway(caplog) if reason in line]
    assert len(said) == 1 or does is fail_later
    assert any(line.startswith("toy: ") for line in said)


async def test_a_driver_comes_back_by_itself_when_the_cause_has_gone(caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    is_taken = True

    async def listen(driver: ScriptedDriver) -> None:
        if is_taken:
            await fail_at_once(driver)
        await stay(driver)

    async with serving(scripted(listen)) as gateway:
        await anyio.sleep(100)
        assert state_of(gateway)[0] == "failing"
        is_taken = False
        await anyio.sleep(61)
        assert state_of(gateway) == ("running", "")
        assert gateway.drivers["toy"].state == "running"
    assert caplog.messages.count("toy: running again") == 1


@pytest.mark.parametrize("error", [AuthRefused, ConfigError])
async def test_what_only_a_person_can_mend_is_tried_once(error, caplog):
    async def refuse(driver: ScriptedDriver) -> None:
        raise error("wrong password")

    driver = scripted(refuse)
    async with serving(driver) as gateway:
        await anyio.sleep(86_400)
        assert len(driver.starts) == 1
        assert state_of(gateway) == ("parked", "wrong password")
    (line,) = of_gateway(caplog)
    assert line == "toy: wrong password; not tried again before a restart"


async def test_a_wait_that_the_peer_asks_for_is_obeyed():
    async def limited(driver: ScriptedDriver) -> None:
        raise RateLimited("too many tokens", retry_after_s=1800)

    driver = scripted(limited)
    async with serving(driver):
        await anyio.sleep(3601)
    assert [round(at - driver.starts[0]) for at in driver.starts] == [0, 1800, 3600]


async def test_a_wrong_password_of_one_device_is_tried_once():
    device = plug()
    device.open_error = AuthRefused("wrong key")

    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    async with serving(scripted(serve_one)) as gateway:
        await anyio.sleep(86_400)
        assert device.opened == 1
        assert gateway.devices["desk"].availability.reason == "wrong key"
        assert state_of(gateway) == ("running", "")


# ---------------------------------------------------------------- starts


async def test_devices_stay_in_care_while_their_driver_fails():
    device = plug()

    async def add_and_fail(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device))
        await fail_later(driver)

    driver = scripted(add_and_fail)
    async with serving(driver) as gateway:
        await anyio.sleep(600)
        assert len(driver.starts) > 3
        assert device.opened == 1
        assert gateway.devices["toy_p1"].is_available


async def test_what_is_not_added_again_at_the_next_start_is_released():
    devices = [plug("P1"), plug("P2")]

    async def add_fewer(driver: ScriptedDriver) -> None:
        for device in devices[len(type(driver).starts) - 1 :]:
            driver.registry.add(source_of(device))
        await fail_later(driver)

    async with serving(scripted(add_fewer)) as gateway:
        await anyio.sleep(4)
        assert set(gateway.devices) == {"toy_p1", "toy_p2"}
        await anyio.sleep(4)
        assert set(gateway.devices) == {"toy_p2"}
        assert not devices[0].is_open
        wanted = gateway.publisher.wanted
        assert not [topic for topic in wanted if "toy_p1" in topic]


async def test_a_driver_that_returns_is_running_and_its_devices_stay():
    device = plug()

    async def add_and_return(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device))

    driver = scripted(add_and_return)
    async with serving(driver) as gateway:
        await anyio.sleep(3600)
        assert (len(driver.starts), device.opened) == (1, 1)
        assert state_of(gateway) == ("running", "")
        assert gateway.devices["toy_p1"].is_available


async def test_a_device_can_be_released_and_added_again():
    device, managed = plug(), list[ManagedDevice]()

    async def add(driver: ScriptedDriver) -> None:
        managed.append(driver.registry.add(source_of(device)))
        driver.registry.started()
        await anyio.sleep(10)
        managed[0].release()
        await anyio.sleep(10)
        managed.append(driver.registry.add(source_of(device)))
        await anyio.sleep_forever()

    async with serving(scripted(add)) as gateway:
        await anyio.sleep(15)
        assert (gateway.devices, device.is_open) == ({}, False)
        await anyio.sleep(15)
        assert gateway.devices["toy_p1"].is_available
        info = managed[1].info
        assert info is not None
        assert (info.id, managed[1].is_available) == ("P1", True)


# ---------------------------------------------------------------- dialling in


async def test_a_device_that_dials_in_is_absent_until_it_comes_by_itself(caplog):
    device, others = plug(), list[ManagedDevice]()

    async def wait_for_calls(driver: ScriptedDriver) -> None:
        add = driver.registry.add
        others.append(add(source_of(device, comes_by_itself=True)))
        await stay(driver)

    async with serving(scripted(wait_for_calls)) as gateway:
        await anyio.sleep(10)
        (care,) = gateway.devices.values()
        assert care.is_available
        device.end_events()
        await anyio.sleep(86_400)
        assert (care.is_available, device.opened) == (False, 1)
        assert care.availability.reason == "it has left"
        others[0].reopen()
        await anyio.sleep(1)
        assert (care.is_available, device.opened) == (True, 2)
    assert of_gateway(caplog) == []


async def test_a_device_that_dials_in_anew_takes_the_place_of_its_old_connection():
    first, second = plug(), plug()

    async def two_calls(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(first, comes_by_itself=True))
        driver.registry.started()
        await anyio.sleep(10)
        driver.registry.add(source_of(second, comes_by_itself=True))
        await anyio.sleep_forever()

    async with serving(scripted(two_calls)) as gateway:
        await anyio.sleep(20)
        assert (first.is_open, second.is_open) == (False, True)
        assert gateway.devices["toy_p1"].is_available


# ---------------------------------------------------------------- a shared parent


class Hub:
    """A connection that many devices hang on, opened as a test wishes."""

    def __init__(self) -> None:
        self.opened_at: list[float] = []
        self.error: Exception | None = None
        self.lost = anyio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Hub]:
        self.opened_at.append(anyio.current_time())
        if self.error is not None:
            raise self.error
        self.lost = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_lost, tasks.cancel_scope)
            yield self
        raise LinkLost("the hub hung up")

    async def _until_lost(self, scope: anyio.CancelScope) -> None:
        await self.lost.wait()
        scope.cancel()


def children_of(hub: Hub, devices: list[ScriptedDevice]) -> type[ScriptedDriver]:
    async def share(driver: ScriptedDriver) -> None:
        parent = driver.registry.share("hub at 10.0.0.9", hub.open)
        for device in devices:
            driver.registry.add(source_of(device, parent=parent))
        driver.registry.started()

    return scripted(share)


async def test_devices_share_a_connection_that_is_opened_once():
    hub, devices = Hub(), [plug(f"P{n}") for n in range(5)]
    async with serving(children_of(hub, devices)) as gateway:
        await anyio.sleep(3600)
        assert len(hub.opened_at) == 1
        assert sum(one.is_available for one in gateway.devices.values()) == 5
        hub.lost.set()
        await anyio.sleep(0.1)
        assert not any(one.is_available for one in gateway.devices.values())
        reasons = {one.availability.reason for one in gateway.devices.values()}
        assert reasons == {"hub at 10.0.0.9: the hub hung up"}
        assert state_of(gateway) == ("failing", "hub at 10.0.0.9: the hub hung up")
        await anyio.sleep(10)
        assert len(hub.opened_at) == 2
        assert all(one.is_available for one in gateway.devices.values())
        assert [device.opened for device in devices] == [2] * 5
        assert state_of(gateway) == ("running", "")


async def test_a_connection_that_refuses_is_asked_once_for_all_its_devices(caplog):
    hub, devices = Hub(), [plug(f"P{n}") for n in range(5)]
    hub.error = AuthRefused("wrong password")
    async with serving(children_of(hub, devices)) as gateway:
        await anyio.sleep(86_400)
        assert len(hub.opened_at) == 1
        assert [device.opened for device in devices] == [0] * 5
        assert state_of(gateway) == ("parked", "hub at 10.0.0.9: wrong password")


async def test_children_come_and_go_and_their_connection_stays():
    hub, device = Hub(), plug()

    async def come_and_go(driver: ScriptedDriver) -> None:
        parent = driver.registry.share("hub", hub.open)
        driver.registry.started()
        for _ in range(3):
            child = driver.registry.add(source_of(device, parent=parent))
            await anyio.sleep(10)
            child.release()
            await anyio.sleep(10)
        await anyio.sleep_forever()

    async with serving(scripted(come_and_go)):
        await anyio.sleep(100)
    assert (device.opened, len(hub.opened_at)) == (3, 1)


# ---------------------------------------------------------------- occurrences


async def test_three_presses_are_three_messages_and_three_events():
    info = DeviceInfo(id="B1", system="toy", name="Bell", serial="B1")
    bell = ScriptedDevice(info, (Event(key="press", event_types=("single",)),))

    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(bell, name="Bell"))
        await stay(driver)

    driver = scripted(serve_one)
    with with_driver("toy", driver):
        environment = Environment(network=MemoryNetwork())
        async with (
            open_gateway(load_config({"toy": {}}), environment=environment) as gateway,
            open_mqttclient("mqtt://127.0.0.1/", environment=environment) as client,
            client.subscription("structiot/bell/#", qos=1) as messages,
            gateway.events() as events,
        ):
            await anyio.sleep(5)
            press = Occurrence(key="press", event_type="single", at_utc=AT)
            for _ in range(3):
                bell.tell(press)
                await anyio.sleep(0.2)
            await anyio.sleep(1)
            async with client.subscription("structiot/#", qos=1) as late:
                await anyio.sleep(1)
                kept = [m async for m in _waiting(late)]
            told = [m async for m in _waiting(messages)]
            seen = [e async for e in _waiting(events)]
    told = [m for m in told if m.topic.startswith("structiot/bell/press/")]
    assert [json.loads(m.payload)["event_type"] for m in told] == ["single"] * 3
    assert not any(m.retain for m in told)
    assert [getattr(e, "event", None) for e in seen].count(press) == 3
    assert not [m for m in kept if "press" in m.topic]


async def _waiting(box: Any) -> AsyncIterator[Any]:
    """Give what waits in an iterator."""
    while True:
        with anyio.move_on_after(0.001) as patience:
            item = await anext(box)
        if patience.cancelled_caught:
            return
        yield item


# ---------------------------------------------------------------- what is installed


def test_a_driver_that_cannot_be_loaded_costs_its_own_section():
    def fail() -> Any:
        raise ImportError("No module named 'tasmota'")

    with (
        with_driver("toy", fail),  # type: ignore[arg-type]
        pytest.raises(ConfigError) as caught,
    ):
        load_config({"toy": {"any": 1}, "maxsmart": {"discover": "yes"}})
    text = str(caught.value)
    assert "is no driver class for 'toy'" in text
    assert "discover must be true or false" in text


def test_a_system_that_is_not_installed_is_an_unknown_section():
    with pytest.raises(ConfigError, match="unknown key 'tasmota' in the file"):
        load_config({"tasmota": {}})
