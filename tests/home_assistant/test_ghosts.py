"""What is no more in the configuration is gone; names and rooms are those that stand in it."""

from __future__ import annotations

import signal
from typing import Any

import anyio
import pytest

from structiot.gateway import load_config, open_gateway
from structiot.mqtt import open_mqttclient
from tests._support.ports import free_port
from tests.e2e.processes import running, structiot
from tests.home_assistant.demo_house import write_config
from tests.home_assistant.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEPT, LOST = "127.0.0.23", "127.0.0.24"
DESK = {"host": KEPT, "name": "Desk"}
GONE = {"host": LOST, "name": "Lost"}


def other_serial(story: Story) -> str:
    return f"P{story.serial[1:]}"


async def until_gone(story: Story, unique_ids: str) -> None:
    async def is_gone() -> bool:
        return not await story.api.entity_ids(unique_ids)

    await story.api.until(is_gone, what=f"{unique_ids} is still there")
    assert [name for name in await devices(story) if unique_ids[:-1] in name] == []


async def devices(story: Story) -> dict[str, dict[str, Any]]:
    """Give the devices of Home Assistant, by identifier."""
    found = await story.api.ask("config/device_registry/list")
    return {one["identifiers"][0][1]: one for one in found if one["identifiers"]}


async def standing(story: Story, unique_ids: str) -> list[str]:
    """Give the topics on which the broker retains something of a device."""
    found = []
    node = unique_ids[:-1]
    async with (
        open_mqttclient(story.home.broker.uri) as client,
        client.subscription("#", qos=1) as messages,
    ):
        with anyio.move_on_after(1):
            async for message in messages:
                is_of = f"/{node}/" in message.topic or "/lost/" in message.topic
                if message.retain and is_of and message.payload:
                    found.append(message.topic)
    return [one for one in found if story.base in one or "homeassistant" in one]


async def test_a_strip_that_a_reload_takes_away_is_gone(story):
    ghost = f"structiot_maxsmart_{other_serial(story)}_"
    async with (
        story.strip(KEPT),
        story.strip(LOST, serial=other_serial(story)),
        story.gateway(DESK, GONE, slug="desk") as gateway,
    ):
        await story.api.until_available(ghost, 7)
        assert await standing(story, ghost)
        await gateway.reload(load_config(story.config(DESK)))
        await until_gone(story, ghost)
        await story.same_as_before()
        assert await standing(story, ghost) == []
        # It may come back, as a device that nobody knows.
        await gateway.reload(load_config(story.config(DESK, GONE)))
        await story.api.until_available(ghost, 7)
        await gateway.reload(load_config(story.config(DESK)))
        await until_gone(story, ghost)


@pytest.mark.parametrize("has_state_file", [True, False])
async def test_what_a_killed_gateway_left_is_cleared_by_the_next(
    story, tmp_path, has_state_file
):
    ghost = f"structiot_maxsmart_{other_serial(story)}_"
    file = tmp_path / "structiot.toml"
    own = {"id": story.base, "state_file": str(story.state_file)}
    table = story.config(DESK, GONE)
    write_config(file, {**table, "gateway": table["gateway"] | own})
    async with story.strip(KEPT), story.strip(LOST, serial=other_serial(story)):
        async with running(*structiot("run", "-c", str(file))) as program:
            ids = await story.api.until_available(ghost, 7)
            await story.customize(await story.api.until_available(story.unique_ids, 7))
            program.signal(signal.SIGKILL)
            await program.ended()
            await story.api.until_away([*ids.values(), *story.ids.values()])
        if not has_state_file:
            await anyio.Path(story.state_file).unlink(missing_ok=True)
        async with story.gateway(DESK, slug="desk"):
            await until_gone(story, ghost)
            assert await standing(story, ghost) == []


async def test_a_system_that_is_served_no_more_is_gone(story, tmp_path):
    async with story.strip(KEPT):
        async with story.gateway(DESK, slug="desk"):
            pass
        table = story.config()
        del table["maxsmart"]
        rest = load_config({**table, "manager": {"port": free_port()}})
        async with open_gateway(rest, state_file=story.state_file):
            await until_gone(story, story.unique_ids)


async def test_a_device_has_the_name_and_the_room_of_its_configuration(story):
    identifier = story.unique_ids[:-1]

    async def until_named(name: str, area: str | None) -> None:
        async def is_named() -> bool:
            areas = await story.api.ask("config/area_registry/list")
            names = {one["area_id"]: one["name"] for one in areas}
            device = (await devices(story))[identifier]
            return (device["name"], names.get(device["area_id"])) == (name, area)

        await story.api.until(is_named, what=f"it is not {name} in {area}")

    study = {"devices": {"desk": {"room": "Study"}}}
    async with story.strip(KEPT):
        config = load_config({**story.config(DESK), **study})
        async with open_gateway(config, state_file=story.state_file) as gateway:
            await story.until_settled(gateway, "desk")
            await until_named("Desk", "Study")
            # Another name of the device is shown; its owner's area stays.
            renamed = {"host": KEPT, "name": "Lamp"}
            await gateway.reload(load_config(story.config(renamed)))
            await until_named("Lamp", "Study")
            attic = {"devices": {"lamp": {"room": "Attic"}}}
            await gateway.reload(load_config({**story.config(renamed), **attic}))
            await story.until_settled(gateway, "lamp")
            await until_named("Lamp", "Study")
            assert await friendly(story) == "Lamp Port 1"


async def friendly(story: Story) -> str:
    entity = await story.api.entity(story.ids[f"{story.unique_ids}port_1"])
    return str(entity["attributes"]["friendly_name"])
