"""A thousand devices behind one connection."""

from __future__ import annotations

import anyio
import pytest

from structiot.connector import Command, Waiting
from tests.link.connector.gateways import gateway, handlers, lamp, until, until_state

pytestmark = pytest.mark.virtual_time

COUNT = 1000


async def test_a_thousand_devices_are_synchronised_in_one_connection(watched_loop):
    async with watched_loop(0.05), gateway(COUNT) as (platform, connector):
        assert handlers(platform).count("put") == COUNT
        assert len(platform.log) == 1
        assert sum(one.is_online for one in platform.devices) == COUNT
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake"]
        assert await connector.event(lamp(COUNT), "state", "1")


async def test_commands_for_all_of_them_at_once():
    async with gateway(200) as (platform, connector), anyio.create_task_group() as tg:
        answers: list[str | None] = []

        async def handle(command: Command) -> None:
            await command.respond(command.data)

        async def ask(number: int) -> None:
            told = await platform.send_command(
                f"lamp-{number}", "on", {"data": str(number)}
            )
            assert told.device_uri == f"lamp-{number}"
            answers.append(told.data)

        tg.start_soon(connector.serve, handle)
        for number in range(1, 201):
            tg.start_soon(ask, number)
        await until(lambda: len(answers) == 200)
        assert connector.commands_dropped == 0
        tg.cancel_scope.cancel()
