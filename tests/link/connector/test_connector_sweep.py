"""Cancelled at each checkpoint, a connector leaves nothing behind."""

from __future__ import annotations

import anyio
import pytest

from structiot.connector import Command, Waiting, open_connector
from structiot.sim import sim_sepl_platform
from structiot.testing import cancel_sweep
from tests.link.connector.gateways import lamp, lamps, new_environment, until_state

# Hundreds of rounds, each of them a program.
pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]


async def test_opening_changing_telling_and_leaving(stride: int):
    async def flow() -> None:
        environment = new_environment()
        async with (
            sim_sepl_platform(environment=environment) as platform,
            open_connector(
                platform.config, lamps(2), wait_ready=True, environment=environment
            ) as connector,
            connector.states() as states,
        ):
            await anext(states)
            await connector.add(lamp(3))
            await connector.disconnect("lamp-2")
            await connector.event("lamp-1", "state", "1")
            await connector.delete("lamp-3")

    assert await cancel_sweep(flow, steps_of="all", stride=stride) > 50


async def test_commands_and_a_connection_that_is_lost(stride: int):
    async def flow() -> None:
        environment = new_environment()
        async with (
            sim_sepl_platform(environment=environment) as platform,
            open_connector(
                platform.config, lamps(1), wait_ready=True, environment=environment
            ) as connector,
            anyio.create_task_group() as tg,
        ):

            async def handle(command: Command) -> None:
                await command.respond(command.data)

            tg.start_soon(connector.serve, handle)
            await platform.send_command("lamp-1", "on", {"data": "1"})
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.event("lamp-1", "state", "1")
            await connector.wait_ready()
            tg.cancel_scope.cancel()

    assert await cancel_sweep(flow, steps_of="all", stride=stride) > 50


async def test_a_platform_that_is_away(stride: int):
    async def flow() -> None:
        config = {"host": "127.0.0.1", "port": 8093, "user": "u", "password": "p"}
        async with open_connector(
            config, lamps(1), environment=new_environment()
        ) as connector:
            await connector.event("lamp-1", "state", "1")
            await connector.add(lamp(2))
            await until_state(connector, Waiting)

    assert await cancel_sweep(flow, steps_of="all", stride=stride) > 5
