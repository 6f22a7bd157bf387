"""SENERGY: many devices, restarts without end, and what is larger than makes sense."""

from __future__ import annotations

import json
from collections import Counter

import anyio
import pytest

from structiot.connector import Command
from tests.link.connector.gateways import until
from tests.link.connector.senergy_house import (
    connector_of,
    lamp,
    pool,
    senergy,
    until_ready_again,
)

pytestmark = pytest.mark.virtual_time

COUNT = 1000
MEGABYTE = 1_000_000


@pytest.mark.thorough
async def test_a_thousand_devices_are_synchronised_in_one_session(watched_loop):
    devices = pool(*(lamp(f"dev{number}") for number in range(COUNT)))
    async with (
        senergy() as platform,
        watched_loop(0.05),
        connector_of(platform, devices) as connector,
    ):
        assert len(platform.online) == COUNT
        assert platform.broker.connections == 1
        platform.calls.clear()
        (client_id,) = platform.broker.clients
        platform.broker.disconnect(client_id)
        await until_ready_again(connector)
        assert len(platform.online) == COUNT
        assert {one.method for one in platform.calls} == {"GET", "POST"}
        assert len(platform.calls) == 1 + 1 + COUNT // 50


async def test_commands_for_all_of_them_at_once():
    devices = pool(*(lamp(f"dev{number}") for number in range(200)))

    async def handle(command: Command) -> None:
        await command.respond(command.data)

    answers: list[object] = []
    async with (
        senergy() as platform,
        connector_of(platform, devices) as connector,
        anyio.create_task_group() as tg,
    ):

        async def ask(number: int) -> None:
            parts = {"data": str(number)}
            told = await platform.send_command(f"dev{number}", "on", parts)
            assert told.data == str(number)
            answers.append(told.data)

        tg.start_soon(connector.serve, handle)
        for number in range(200):
            tg.start_soon(ask, number)
        await until(lambda: len(answers) == 200)
        assert connector.commands_dropped == 0
        tg.cancel_scope.cancel()


@pytest.mark.timeout(60)
async def test_each_event_comes_at_least_once_over_many_restarts():
    """Those of a device stay in order; what comes twice is counted."""
    restarts, each = 20, 50
    devices = [f"dev{number}" for number in range(4)]
    async with senergy() as platform:
        platform.rules.max_connections = 1_000
        async with connector_of(platform, pool(*map(lamp, devices))) as connector:

            async def tell(device: str) -> None:
                for number in range(restarts * each // len(devices)):
                    with anyio.move_on_after(0.05):
                        await connector.event(device, "count", number)
                    await anyio.sleep(0.3)

            async with anyio.create_task_group() as tg:
                for device in devices:
                    tg.start_soon(tell, device)
                for _ in range(restarts):
                    await anyio.sleep(2)
                    await platform.restart(1)
            await until(lambda: not connector.events_waiting)
            assert connector.events_dropped == 0
            for device in devices:
                told = [int(str(x.data)) for x in platform.events if x.device == device]
                assert list(dict.fromkeys(told)) == list(range(len(set(told))))
                assert len(set(told)) == restarts * each // len(devices)
            repeated = sum(
                Counter((x.device, x.data) for x in platform.events).values()
            )
            assert repeated - restarts * each <= connector.events_repeated


@pytest.mark.parametrize(
    "content",
    [
        b'{"correlation_id": "c", "payload": {"data": "%s"}}' % (b"x" * MEGABYTE),
        b'{"correlation_id": "c", "payload": {%s}}' % (b'"a": "",' * 100_000),
        b"[" * MEGABYTE,
        b'{"a":' * 100_000,
        b"[]," * 300_000,
        b"\xff" * MEGABYTE,
    ],
    ids=["long", "many", "deep", "deeper", "lists", "no_text"],
)
async def test_commands_that_are_very_large_hold_nothing_up(watched_loop, content):
    async with senergy() as platform, connector_of(platform) as connector:
        async with watched_loop(0.05):
            for _ in range(3):
                topic = f"command/{platform.user.id}/dev1/on"
                platform.broker.publish(topic, content[: MEGABYTE + 40_000], qos=2)
            await anyio.sleep(1)
        assert connector.is_ready
        assert await connector.event("dev1", "power", 1)


async def test_a_command_beyond_the_limit_ends_the_connection_and_no_more():
    async with senergy() as platform, connector_of(platform) as connector:
        topic = f"command/{platform.user.id}/dev1/on"
        platform.broker.publish(topic, b"x" * 1_100_000, qos=2)
        await until_ready_again(connector)
        assert platform.online == {"dev1", "dev2"}


@pytest.mark.parametrize("kind", ["devices", "hubs", "token"])
async def test_answers_that_are_very_large_hold_nothing_up(watched_loop, kind):
    lies = {
        "devices": json.dumps([{"local_id": "dev1", "attributes": [{}] * 300_000}]),
        "hubs": json.dumps([{"id": "h"}] * 60_000),
        "token": json.dumps({"access_token": "x" * 900_000}),
    }
    lie = lies[kind].encode()[:MEGABYTE]
    async with senergy() as platform:
        platform.faults.change_next(lambda _: lie, on=kind)
        async with watched_loop(0.05), connector_of(platform):
            assert platform.online == {"dev1", "dev2"}
