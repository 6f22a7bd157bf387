"""What an earlier run left: what stays as offline, what goes, and who decides."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed
from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import ScriptedDriver, scripted, stay

pytestmark = pytest.mark.virtual_time

URI = "mqtt://127.0.0.1/"
CONFIG = "homeassistant/device/structiot_old/config"
AVAILABILITY = "structiot/old/availability"
STATE = "structiot/old/relay/state"


@asynccontextmanager
async def a_broker_with_leftovers(
    system: str,
) -> AsyncIterator[tuple[Environment, MqttClient]]:
    """Publish what a gateway that was killed leaves of one device."""
    environment = Environment(network=MemoryNetwork())
    announcement = {
        "origin": {"name": "structiot"},
        "device": {"identifiers": [f"structiot_{system}_P1"]},
        "availability": [
            {"topic": "structiot/gateway/availability"},
            {"topic": "structiot/old/availability"},
        ],
        "components": {"relay": {"platform": "switch", "name": "Relay"}},
    }
    left = {CONFIG: json.dumps(announcement), AVAILABILITY: "online", STATE: "ON"}
    async with (
        open_broker("mqtt://127.0.0.1:1883", environment=environment),
        open_mqttclient(URI, environment=environment) as client,
    ):
        for topic, payload in left.items():
            await client.publish(topic, payload, qos=1, retain=True, codec="utf8")
        yield environment, client


async def retained(client: MqttClient) -> dict[str, str]:
    """Give what stands on the broker of the old device."""
    found = {}
    for topic_filter in ("structiot/old/#", CONFIG):
        async with client.subscription(topic_filter, qos=1) as messages:
            with anyio.move_on_after(1):
                async for message in messages:
                    found[message.topic] = message.payload.decode()
    return found


@asynccontextmanager
async def serving(
    environment: Environment, driver: type[ScriptedDriver]
) -> AsyncIterator[None]:
    with with_driver("toy", driver):
        config = load_config({"mqtt": {"uri": URI}, "toy": {}})
        async with open_gateway(config, environment=environment):
            await anyio.sleep(10)
            yield


async def test_what_may_still_turn_up_stays_as_offline():
    async with (
        a_broker_with_leftovers("toy") as (environment, client),
        serving(environment, scripted(stay)),
    ):
        found = await retained(client)
        assert set(found) == {CONFIG, AVAILABILITY, STATE}
        assert found[AVAILABILITY] == "offline"


async def test_what_cannot_turn_up_any_more_goes():
    driver = scripted(stay)
    driver.finds_more = False
    async with (
        a_broker_with_leftovers("toy") as (environment, client),
        serving(environment, driver),
    ):
        assert await retained(client) == {}


async def test_what_is_left_of_a_system_that_is_not_served_any_more_goes():
    async with (
        a_broker_with_leftovers("other") as (environment, client),
        serving(environment, scripted(stay)),
    ):
        assert await retained(client) == {}


async def test_nothing_goes_while_the_driver_has_not_started_and_then_it_does():
    is_taken = True

    async def listen(driver: ScriptedDriver) -> None:
        if is_taken:
            raise ConnectFailed("the port is taken")
        await stay(driver)

    driver = scripted(listen)
    driver.finds_more = False
    async with (
        a_broker_with_leftovers("toy") as (environment, client),
        serving(environment, driver),
    ):
        assert (await retained(client))[AVAILABILITY] == "offline"
        is_taken = False
        await anyio.sleep(120)
        assert await retained(client) == {}


async def test_the_topic_of_a_driver_that_is_gone_goes_too():
    topic = "structiot/gateway/drivers/other"
    async with a_broker_with_leftovers("toy") as (environment, client):
        await client.publish(topic, "{}", qos=1, retain=True, codec="utf8")
        async with (
            serving(environment, scripted(stay)),
            client.subscription("structiot/gateway/drivers/+", qos=1) as messages,
        ):
            seen = set()
            with anyio.move_on_after(1):
                async for message in messages:
                    seen.add(message.topic)
            assert seen == {"structiot/gateway/drivers/toy"}
