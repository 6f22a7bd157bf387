"""What takes long to close, or never does: it is offline, said, and waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from structiot import Environment
from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import SystemSection, with_driver
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    serving,
    source_of,
    stay,
)
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time


async def test_who_takes_long_to_close_is_offline_meanwhile():
    device = plug("desk")
    closes = anyio.Event()

    @asynccontextmanager
    async def opens() -> AsyncIterator[ScriptedDevice]:
        try:
            yield device
        finally:
            with anyio.CancelScope(shield=True):
                await closes.wait()

    async def does(driver: ScriptedDriver) -> None:
        kept = driver.registry.add(source_of(device, name="Desk", open=opens))
        driver.registry.started()
        await anyio.sleep(3)
        kept.reopen()
        await anyio.sleep_forever()

    async with serving(scripted(does)) as gateway:
        await anyio.sleep(7)
        assert gateway.publisher.wanted["structiot/desk/availability"] == "offline"
        closes.set()
        await anyio.sleep(5)
        assert gateway.devices["desk"].is_available


@pytest.mark.parametrize("who", ["device", "driver"])
async def test_who_does_not_close_is_said_and_delays_no_goodbye(who, caplog):
    device, closes = plug("desk"), anyio.Event()

    async def close(whose: str) -> None:
        if whose == who:
            with anyio.CancelScope(shield=True):
                await closes.wait()

    @asynccontextmanager
    async def opens() -> AsyncIterator[ScriptedDevice]:
        try:
            yield device
        finally:
            await close("device")

    async def does(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk", open=opens))
        try:
            await stay(driver)
        finally:
            await close("driver")

    topics = ["structiot/desk/availability", "structiot/gateway/availability"]
    shown: dict[str, bytes] = {}
    environment = Environment(network=MemoryNetwork())

    async def watch(client: MqttClient) -> None:
        async with client.subscription("structiot/#", qos=1) as messages:
            async for message in messages:
                shown[message.topic] = message.payload

    async def look() -> None:
        await anyio.sleep(2)
        assert shown[topics[0]] == b"offline"
        await anyio.sleep(5)
        assert [shown[topic] for topic in topics] == [b"offline"] * 2
        name = {"device": "Desk (plug desk)", "driver": "the driver of toy"}[who]
        assert f"{name} has not closed after 5 s: it delays" in caplog.messages
        closes.set()

    uri = "mqtt://127.0.0.1/"
    async with (
        open_broker("mqtt://127.0.0.1:1883", environment=environment),
        open_mqttclient(uri, environment=environment) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(watch, client)
        with with_driver("toy", scripted(does)):
            config = load_config({"mqtt": {"uri": uri}, "toy": {}})
            async with open_gateway(config, environment=environment):
                await anyio.sleep(2)
                assert [shown[topic] for topic in topics] == [b"online"] * 2
                tasks.start_soon(look)
        assert closes.is_set()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["other section", "removed and added"])
async def test_a_driver_that_does_not_close_is_waited_for_and_said(how, caplog):
    closes, most = anyio.Event(), [0]
    at_once: list[ScriptedDriver] = []

    class Settings(SystemSection):
        x: int = 0

    async def does(driver: ScriptedDriver) -> None:
        at_once.append(driver)
        most[0] = max(most[0], len(at_once))
        try:
            await stay(driver)
        finally:
            with anyio.CancelScope(shield=True):
                await closes.wait()
            at_once.remove(driver)

    driver = scripted(does)
    driver.section = Settings
    with with_driver("toy", driver):
        config = load_config({"toy": {"x": 1}})
        environment = Environment(network=MemoryNetwork())
        async with open_gateway(config, environment=environment) as gateway:
            await anyio.sleep(1)
            if how == "removed and added":
                await gateway.reload(load_config({}))
                await anyio.sleep(1)
            await gateway.reload(load_config({"toy": {"x": 2}}))
            await anyio.sleep(6)
            said = "its driver has not closed after 5 s, and is waited for"
            assert (gateway.drivers["toy"].state, gateway.drivers["toy"].reason) == (
                "failing",
                said,
            )
            assert f"toy: {said}" in caplog.messages
            closes.set()
            await anyio.sleep(2)
            assert gateway.drivers["toy"].state == "running"
            assert len(driver.starts) == 2
    assert most == [1]
