"""Devices that dial in: every entity is accepted, and what can be told obeys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers.manager.simulated import SHOWN, simulated_fleet
from tests.home_assistant.conftest import Home
from tests.home_assistant.core import Api

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PREFIX = "structiot_manager_"
LAMP = f"{PREFIX}00000001-0000-0000-0000-000000000001"
DOORBELL = f"{PREFIX}00000003-0000-0000-0000-000000000003"


@asynccontextmanager
async def served(home: Home, folder: Path) -> AsyncIterator[Gateway]:
    mqtt = {"uri": home.broker.uri, "base_topic": "manager_home"}
    async with simulated_fleet(Environment(), count=len(SHOWN)) as section:
        config = load_config(
            {
                "mqtt": mqtt,
                "gateway": {"id": "manager_home", "forget_on_exit": True},
                "manager": section,
            }
        )
        async with open_gateway(config, state_file=folder / "state.json") as gateway:
            yield gateway


async def all_there(api: Api, gateway: Gateway) -> dict[str, str]:
    """Wait until every entity of all devices is available."""

    async def have_come() -> bool:
        return len(gateway.devices) == len(SHOWN)

    await api.until(have_come, within_s=60, what="not all devices are there")
    count = sum(len(device.entities) for device in gateway.devices.values())
    return await api.until_available(PREFIX, count, within_s=60)


async def test_devices_that_dial_in_are_switched_pressed_and_written_to(home, tmp_path):
    async with (
        home.assistant.connected() as api,
        served(home, tmp_path) as gateway,
    ):
        ids = await all_there(api, gateway)
        light, blink = ids[f"{LAMP}_light"], ids[f"{LAMP}_toggle"]
        send, message = ids[f"{DOORBELL}_send"], ids[f"{DOORBELL}_message"]

        async def until(entity_id: str, state: str) -> None:
            async def is_so() -> bool:
                return bool((await api.states([entity_id]))[entity_id] == state)

            await api.until(is_so, what=f"{entity_id} is not {state}")

        await until(light, "off")
        await api.call(light, "turn_on")
        await until(light, "on")
        await api.call(blink, "press")
        await until(light, "off")
        # A doorbell sends back what it is sent, which is what has happened then.
        before = (await api.states([message]))[message]
        await api.call(send, "set_value", value="ding")
        await until(send, "ding")

        async def has_rung() -> bool:
            state = (await api.states([message]))[message]
            return state not in {before, "unknown"}

        await api.until(has_rung, what="the doorbell has not rung")
        room = ids[f"{PREFIX}00000002-0000-0000-0000-000000000002_temperature"]
        assert float((await api.states([room]))[room]) == pytest.approx(18.5, abs=3)
