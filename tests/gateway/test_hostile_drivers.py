"""Whatever somebody else's code or text does, it costs only itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest
import sniffio

from structiot import Environment
from structiot.errors import AuthRefused, LinkLost, RateLimited
from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import ManagedDevice, with_driver
from structiot.model import DeviceInfo, Switch
from structiot.mqtt import open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    serving,
    source_of,
    state_of,
    stay,
)
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time


class CannotSayWhy(Exception):
    def __str__(self) -> str:
        raise ValueError("not even this")


ERRORS: dict[str, BaseException] = {
    "half a surrogate": LinkLost("x \ud800"),
    "control characters": LinkLost("a\nERROR forged\x1b[2J\x00"),
    "a long one": LinkLost("x" * 1_000_000),
    "cannot be printed": CannotSayWhy(),
    "a group": ExceptionGroup("two", [LinkLost("one"), ValueError("other")]),
    "the end of a generator": GeneratorExit(),
    "a group of that": BaseExceptionGroup("g", [GeneratorExit()]),
    "not a number": RateLimited("slowly", retry_after_s=float("nan")),
    "a secret": ValueError("GET https://user:hunter2@cloud/?token=abc failed"),
}


async def serve_good(driver: ScriptedDriver) -> None:
    driver.registry.add(source_of(plug(system="good"), name="Desk"))
    await stay(driver)


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
@pytest.mark.parametrize("where", ["driver", "device", "connection"])
async def test_what_is_raised_costs_who_raises_it(where, error, caplog):
    bad = plug(system="toy")
    bad.open_error = error

    class Broken:
        async def __aenter__(self) -> None:
            raise error

        async def __aexit__(self, *_: object) -> None: ...

    async def fail(driver: ScriptedDriver) -> None:
        if where == "driver":
            raise error
        if where == "device":
            driver.registry.add(source_of(bad, name="Bad"))
        else:
            driver.registry.share("hub", Broken)
        await stay(driver)

    async with serving(scripted(fail), scripted(serve_good, system="good")) as gateway:
        await anyio.sleep(300)
        assert gateway.devices["desk"].is_available
        for text in (*caplog.messages, *gateway.publisher.wanted.values()):
            assert text.isprintable()
            assert "hunter2" not in text
            assert len(text) < 2000


@pytest.mark.each_backend
@pytest.mark.parametrize("where", ["driver", "device", "command"])
async def test_a_cancellation_that_nobody_asked_for_is_an_error(where):
    if sniffio.current_async_library() != "asyncio":
        return  # trio has no such thing
    bad = plug(system="toy")

    async def be_cancelled(*_: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    class Cancelled:
        __aenter__ = be_cancelled

        async def __aexit__(self, *_: object) -> None: ...

    async def fail(driver: ScriptedDriver) -> None:
        if where == "driver":
            await be_cancelled()
        opening: Any = {"open": Cancelled} if where == "device" else {}
        source = source_of(bad, name="Bad")
        object.__setattr__(source, "open", opening.get("open", source.open))
        driver.registry.add(source)
        await stay(driver)

    if where == "command":
        bad.command = be_cancelled  # type: ignore[method-assign, assignment]
    async with serving(scripted(fail), scripted(serve_good, system="good")) as gateway:
        await anyio.sleep(60)
        assert gateway.devices["desk"].is_available
        if where == "driver":
            assert state_of(gateway)[1].startswith("internal error: CancelledError")
        if where == "command":
            care = gateway.devices["bad"]
            care.request("relay", topic="structiot/bad/relay/set", payload=b"ON")
            await anyio.sleep(1)
            assert care.is_available


async def test_a_refused_login_in_a_group_is_tried_once_too():
    async def refuse(driver: ScriptedDriver) -> None:
        raise ExceptionGroup("tasks", [AuthRefused("wrong password")])

    driver = scripted(refuse)
    async with serving(driver) as gateway:
        await anyio.sleep(3600)
        assert len(driver.starts) == 1
        assert state_of(gateway) == ("parked", "wrong password")


async def test_a_connection_that_is_never_open_is_given_up_after_a_minute():
    opened = 0

    class Hangs:
        async def __aenter__(self) -> None:
            nonlocal opened
            opened += 1
            await anyio.sleep_forever()

        async def __aexit__(self, *_: object) -> None: ...

    async def share(driver: ScriptedDriver) -> None:
        driver.registry.share("hub", Hangs)
        driver.registry.started()

    async with serving(scripted(share)) as gateway:
        await anyio.sleep(3600)
        assert 25 < opened < 40
        assert state_of(gateway) == ("failing", "hub: it was not open after 60 s")


# ---------------------------------------------------------------- devices that lie


def lying(**changes: Any) -> ScriptedDevice:
    info = {"id": "1", "system": "toy", "name": "Plug", "serial": "1", **changes}
    return ScriptedDevice(DeviceInfo(**info), (Switch(key="relay"),))


@pytest.mark.parametrize(
    "device",
    [
        lying(name="\ud800\n\x1b[2J" * 50_000),
        lying(serial="s" * 70_000),
        ScriptedDevice(lying().info, (Switch(key="k" * 70_000), Switch(key="a/b"))),
        ScriptedDevice(lying().info, [Switch(key=f"k{n}") for n in range(10_000)]),
        ScriptedDevice(lying().info, (Switch(key="relay", name="\ud800"),)),
    ],
    ids=["name", "serial", "keys", "many", "entity's name"],
)
async def test_a_device_that_describes_itself_oddly_costs_nothing_else(device):
    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device))
        await stay(driver)

    async with serving(
        scripted(serve_one), scripted(serve_good, system="good")
    ) as gateway:
        await anyio.sleep(60)
        assert gateway.devices["desk"].is_available
        assert len(gateway.publisher.wanted) < 1000
        assert all(len(topic) < 500 for topic in gateway.publisher.wanted)


async def test_a_device_of_another_system_is_not_taken():
    thief = plug("7", system="good")

    async def steal(driver: ScriptedDriver) -> None:
        await anyio.sleep(5)
        driver.registry.add(source_of(thief))
        await stay(driver)

    async def find(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(plug("7", system="good"), is_found=True))
        await stay(driver)

    async with serving(scripted(steal), scripted(find, system="good")) as gateway:
        await anyio.sleep(60)
        assert gateway.devices["good_7"].is_available
        assert set(gateway.devices) == {"good_7"}


async def test_a_device_that_is_released_as_it_opens_is_gone():
    device = plug()
    device.open_takes_s = 10

    async def serve_one(driver: ScriptedDriver) -> None:
        managed = driver.registry.add(source_of(device, name="Desk"))
        driver.registry.started()
        await anyio.sleep(10)
        managed.release()
        await anyio.sleep_forever()

    async with serving(scripted(serve_one)) as gateway:
        await anyio.sleep(60)
        assert gateway.devices == {}
        assert not [one for one in gateway.publisher.wanted if "/desk" in one]


async def test_released_devices_are_let_go_and_a_new_name_is_a_new_place():
    managed: list[ManagedDevice] = []

    async def rename(driver: ScriptedDriver) -> None:
        device = plug()
        for name in ("One", "Two"):
            managed.append(driver.registry.add(source_of(device, name=name)))
            await anyio.sleep(5)
        driver.registry.started()
        for number in range(500):
            driver.registry.add(source_of(plug(f"Q{number}"))).release()
        await anyio.sleep_forever()

    async with serving(scripted(rename)) as gateway:
        await anyio.sleep(60)
        assert set(gateway.devices) == {"two"}
        assert not [one for one in gateway.publisher.wanted if "/one" in one]


# ---------------------------------------------------------------- retained by anybody


@pytest.mark.parametrize(
    "components",
    [[[1, 2]], {"#": 1}, {"\ud800": 1}, {"k" * 70_000: 1}, {"+/+": 1}, "text", 7],
    ids=repr,
)
@pytest.mark.parametrize("device", ["dev", "gateway"])
async def test_a_retained_announcement_of_anybody_ends_nothing(device, components):
    announcement = {
        "origin": {"name": "structiot"},
        "availability": [
            {"topic": "structiot/gateway/availability"},
            {"topic": f"structiot/{device}/availability"},
        ],
        "components": components,
        "device": {"identifiers": ["structiot_evil_1"]},
    }
    environment = Environment(network=MemoryNetwork())
    topic = f"homeassistant/device/structiot_{device}/config"
    with with_driver("toy", scripted(stay)):
        config = load_config({"mqtt": {"uri": "mqtt://127.0.0.1/"}, "toy": {}})
        async with (
            open_broker("mqtt://127.0.0.1:1883", environment=environment),
            open_mqttclient("mqtt://127.0.0.1/", environment=environment) as client,
        ):
            text = json.dumps(announcement).encode()
            await client.publish(topic, text, qos=1, retain=True)
            async with (
                open_gateway(config, environment=environment) as gateway,
                client.subscription("structiot/gateway/availability", qos=1) as said,
            ):
                await anyio.sleep(30)
                assert gateway.is_connected
                assert (await anext(said)).payload == b"online"
                assert len(gateway.publisher.wanted) < 10
