"""Devices that dial in, that hang on a shared connection, and what happens to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    AuthRefused,
    ConnectFailed,
    LinkLost,
)
from structiot.gateway import DriverUpdate, load_config, open_gateway
from structiot.gateway.drivers import ManagedDevice, with_driver
from structiot.model import DeviceInfo, Event, Occurrence
from structiot.mqtt import open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    of_gateway,
    plug,
    scripted,
    serving,
    source_of,
    state_of,
    stay,
)
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.virtual_time


async def test_none_of_very_many_devices_is_lost_at_the_start():
    plugs = [plug(f"P{number}") for number in range(100)]

    async def many(driver: ScriptedDriver) -> None:
        for one in plugs:
            driver.registry.add(source_of(one))
        await stay(driver)

    async with serving(scripted(many)) as gateway:
        await anyio.sleep(10)
        assert len(gateway.devices) == len(plugs)
        assert all(one.is_open for one in plugs)


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
        await anyio.sleep(7_200)
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
        await anyio.sleep(7_200)
        assert len(hub.opened_at) == 1
        assert [device.opened for device in devices] == [0] * 5
        assert state_of(gateway) == ("parked", "hub at 10.0.0.9: wrong password")


@pytest.mark.parametrize("error", [None, ConnectFailed("nobody is there")])
async def test_a_clean_end_leaves_no_driver_as_failing(error):
    hub = Hub()
    hub.error = error
    async with AsyncExitStack() as after:
        async with serving(children_of(hub, [plug()])) as gateway:
            await anyio.sleep(10)
            assert state_of(gateway)[0] == ("running" if error is None else "failing")
            events = await after.enter_async_context(gateway.events())
            assert [e async for e in _waiting(events)]
        told = [e async for e in _waiting(events) if isinstance(e, DriverUpdate)]
    assert [(one.state, one.reason) for one in told] == [("ended", "")]
    assert state_of(gateway) == ("ended", "")


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
