"""Drivers in the gateway's care: what fails, what is parked, what starts anew."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    RateLimited,
)
from structiot.gateway import load_config
from structiot.gateway.drivers import ManagedDevice, with_driver
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

pytestmark = pytest.mark.virtual_time


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
        await anyio.sleep(7_200)
        assert len(driver.starts) == 1
        assert state_of(gateway) == ("parked", "wrong password")
    (line,) = of_gateway(caplog)
    assert line == "toy: wrong password; not tried again before a restart or a reload"


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
        await anyio.sleep(7_200)
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
    assert "discover must be True or False" in text


def test_a_system_that_is_not_installed_is_an_unknown_section():
    with pytest.raises(ConfigError, match="unknown key 'tasmota' in the file"):
        load_config({"tasmota": {}})


def test_a_driver_by_hand_stands_in_for_another_one_for_a_while():
    first, second = scripted(stay), scripted(stay)
    with with_driver("toy", first):
        with with_driver("toy", second):
            load_config({"toy": {}})
        load_config({"toy": {}})
    with pytest.raises(ConfigError):
        load_config({"toy": {}})
