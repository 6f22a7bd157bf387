"""Clocks that are wrong, or are set while a connector runs: it counts by none of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from structiot import Environment
from structiot._kit.environment import system_clock
from structiot.connector import Command, Connector, open_connector
from structiot.errors import CommandRefused
from structiot.sim import SenergySim
from tests.link.connector.gateways import gateway, lamps
from tests.link.connector.senergy_house import pool, senergy

pytestmark = pytest.mark.virtual_time

JUMPS = [
    timedelta(days=-20_000),
    timedelta(days=-1),
    timedelta(seconds=-31),
    timedelta(seconds=31),
    timedelta(days=1),
    timedelta(days=365_000),
]


class SetClock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


def beside(platform: SenergySim, clock: SetClock) -> Environment:
    """The same network, and a clock of one's own."""
    return Environment(network=platform.environment.network, clock=clock)


async def answer(command: Command) -> None:
    await command.respond(command.data)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_clock_that_is_set_costs_neither_tokens_nor_connection(
    jump: timedelta,
):
    clock = SetClock()
    async with (
        senergy() as platform,
        open_connector(
            platform.config,
            pool(),
            wait_ready=True,
            environment=beside(platform, clock),
        ) as connector,
    ):
        for number in range(60):
            clock.ahead = jump if number % 2 else timedelta()
            await anyio.sleep(60)
            device = connector.devices["dev1"]
            device.name = f"Name {number}"
            assert await connector.update(device)
            assert await connector.event("dev1", "power", number)
        # As without: tokens are good for 5 minutes, and for 30 to be renewed.
        assert platform.logins == 1
        assert 10 <= platform.renewals <= 15
        assert platform.broker.connections == 1
        assert all(one.status == 200 for one in platform.calls)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_commands_of_the_past_are_refused_in_words_until_the_clock_is_right(
    jump: timedelta, caplog: pytest.LogCaptureFixture
):
    clock = SetClock()
    async with (
        senergy() as platform,
        open_connector(
            platform.config,
            pool(),
            wait_ready=True,
            environment=beside(platform, clock),
        ) as connector,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(connector.serve, answer)
        clock.ahead = jump
        for _ in range(3):
            if jump > timedelta():
                with pytest.raises(CommandRefused, match="or a clock is wrong"):
                    await platform.send_command("dev1", "on", {"data": "1"})
            else:
                told = await platform.send_command("dev1", "on", {"data": "1"})
                assert told.parts["data"] == "1"
        assert caplog.text.count("or a clock is wrong") == (jump > timedelta())
        clock.ahead = timedelta()
        told = await platform.send_command("dev1", "on", {"data": "2"})
        assert told.parts["data"] == "2"
        tg.cancel_scope.cancel()


async def test_a_clock_at_the_end_of_time_costs_commands_their_age_alone():
    """What a platform says of the time may be anything as well."""

    async def taken(connector: Connector) -> Command:
        async with connector.commands() as commands:
            with anyio.fail_after(5):
                return await anext(commands)

    async with (
        senergy() as platform,
        open_connector(
            platform.config,
            pool(),
            wait_ready=True,
            environment=Environment(
                network=platform.environment.network,
                clock=lambda: datetime.max.replace(tzinfo=UTC),
            ),
        ) as connector,
    ):
        topic = f"command/{platform.user.id}/dev1/on"
        for timestamp in ("1e300", "-1e300", '"soon"', "null", "1e999", "[]"):
            content = f'{{"correlation_id":"c","timestamp":{timestamp}}}'
            platform.broker.publish(topic, content, qos=1)
            if timestamp != "-1e300":
                assert (await taken(connector)).service == "on"
        assert connector.is_ready


async def test_sepl_knows_no_clock():
    clock = SetClock()
    async with gateway() as (platform, _):
        async with open_connector(
            platform.config,
            lamps(2),
            wait_ready=True,
            environment=Environment(network=platform.environment.network, clock=clock),
        ) as connector:
            for jump in JUMPS:
                clock.ahead = jump
                await anyio.sleep(100)
                assert await connector.event("lamp-1", "state", "1")
            assert len(platform.log) == 2
