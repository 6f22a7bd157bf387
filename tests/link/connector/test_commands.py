"""Commands of the platform: kept, taken apart, and answered in any case."""

from __future__ import annotations

import anyio
import pytest

from structiot import UsageError
from structiot.connector import Waiting, open_connector
from structiot.sim import sim_sepl_platform
from tests.link.connector.gateways import (
    Asking,
    gateway,
    lamp,
    lamps,
    new_environment,
    pool,
    taken,
    until,
    until_state,
)

pytestmark = pytest.mark.virtual_time


async def test_a_command_is_taken_apart_and_what_else_it_says_goes_back():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:

        async def answer() -> None:
            command = await taken(connector)
            assert command.device_id == "lamp-1"
            assert command.device is connector.devices["lamp-1"]
            assert command.service == "dim"
            assert command.protocol_parts == {"data": '{"level": 3}', "metadata": "m"}
            assert command.data == '{"level": 3}'
            assert command.metadata == "m"
            assert command.received_at == anyio.current_time()
            assert not command.is_answered
            assert await command.respond({"status": 0}, metadata="fine") is True
            assert command.is_answered

        tg.start_soon(answer)
        members = {"service_id": "iot#7", "service": {"in": [1.5, None, 10**20]}}
        told = await platform.send_command(
            "lamp-1", "dim", {"data": '{"level": 3}', "metadata": "m"}, members=members
        )
        assert told.data == '{"status":0}'
        assert told.metadata == "fine"
        assert told.payload["service"] == members["service"]
        assert told.payload["service_id"] == "iot#7"
        parts = [
            {"name": "metadata", "value": "fine"},
            {"name": "data", "value": '{"status":0}'},
        ]
        assert told.payload["protocol_parts"] == parts


async def test_a_service_without_input_has_no_parts():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        asking.ask()
        command = await taken(connector)
        assert command.protocol_parts == {}
        assert command.data is None
        assert command.metadata is None
        assert await command.respond(None)
        await until(lambda: asking.answers)
        assert asking.answers == [("on", "", "")]


async def test_a_command_is_answered_once():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        Asking(platform, tg).ask(data="1")
        command = await taken(connector)
        with pytest.raises(UsageError, match="cannot be written as JSON"):
            await command.respond(b"bytes")
        assert await command.respond("1")
        with pytest.raises(UsageError, match="answered already"):
            await command.respond("2")
        with pytest.raises(UsageError, match="answered already"):
            await command.fail("no")
        async with command:
            pass
        assert [one.data for one in platform.responses] == ["1"]


async def test_a_command_that_fails_or_is_forgotten_is_answered_by_its_block():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        asking.ask(service="fails")
        with pytest.raises(ZeroDivisionError):
            async with await taken(connector):
                raise ZeroDivisionError("no such\nlevel")
        asking.ask(service="forgets")
        async with await taken(connector):
            pass
        asking.ask(service="is cancelled")
        with anyio.CancelScope() as scope:
            async with await taken(connector):
                scope.cancel()
                await anyio.sleep_forever()
        asking.ask(service="says so")
        async with await taken(connector) as command:
            assert await command.fail("stuck")
        await until(lambda: len(asking.answers) == 4)
        assert asking.answers == [
            ("fails", "", "error: no such level"),
            ("forgets", "", "error: no answer was given"),
            ("is cancelled", "", "error: it was cancelled"),
            ("says so", "", "error: stuck"),
        ]


async def test_commands_that_come_before_the_handshake_is_answered_are_kept():
    async with gateway() as (platform, connector):
        platform.faults.frame_next("command_before", on="handshake")
        await platform.drop()
        await until_state(connector, Waiting)
        command = await taken(connector)
        assert command.device_id == "nobody's"
        assert command.device is None
        await connector.wait_ready()
        assert await command.respond("200")
        assert platform.responses[-1].task_id == "out-of-the-blue"


async def test_commands_that_come_before_anybody_iterates_are_kept():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        for number in range(3):
            asking.ask(data=str(number))
            await anyio.sleep(1)
        found = [(await taken(connector)) for _ in range(3)]
        assert [one.data for one in found] == ["0", "1", "2"]
        for one in found:
            await one.respond(one.data)


async def test_more_than_256_are_left_unanswered_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        for number in range(300):
            asking.ask(service=str(number))
            await anyio.sleep(0.001)
        await anyio.sleep(10)
        assert connector.commands_dropped == 300 - 256
        assert caplog.text.count("policy drop_newest") == 1
        async with connector.commands() as commands:
            for number in range(256):
                command = await anext(commands)
                assert command.service == str(number)
                await command.respond(number)
        await anyio.sleep(10)
        assert len(asking.answers) == 256
        tg.cancel_scope.cancel()


async def test_commands_that_wait_are_bounded_by_their_bytes():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        for _ in range(20):
            asking.ask(data="x" * 1_000_000)
        await anyio.sleep(10)
        assert connector.commands_dropped == 20 - 16
        tg.cancel_scope.cancel()


async def test_each_command_goes_to_one_of_several_who_iterate():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        seen: dict[str, list[str]] = {"a": [], "b": []}

        async def iterate(name: str) -> None:
            async with connector.commands() as commands:
                async for command in commands:
                    seen[name].append(command.service)
                    await anyio.sleep(1)
                    await command.respond(None)

        tg.start_soon(iterate, "a")
        tg.start_soon(iterate, "b")
        for number in range(10):
            asking.ask(service=str(number))
        await until(lambda: len(asking.answers) == 10)
        assert sorted(seen["a"] + seen["b"]) == [str(number) for number in range(10)]
        assert seen["a"]
        assert seen["b"]
        tg.cancel_scope.cancel()


async def test_iterating_ends_with_the_connector():
    ended = anyio.Event()

    async with anyio.create_task_group() as tg:
        async with gateway() as (_, connector):

            async def iterate() -> None:
                async with connector.commands() as commands:
                    assert [one async for one in commands] == []
                ended.set()

            tg.start_soon(iterate)
            await anyio.sleep(1)
        with anyio.fail_after(1):
            await ended.wait()


async def test_an_answer_outlives_its_connection():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        asking.ask(data="1")
        command = await taken(connector)
        await platform.drop()
        assert await command.respond("late") is True
        await until(lambda: asking.answers)
        assert asking.answers == [("on", "late", "")]
        # Its answer is lost with the connection, so that it is given once more.
        asking.ask(data="2")
        command = await taken(connector)
        platform.faults.hang_up_next(on="response")
        assert await command.respond("again") is True
        await until(lambda: len(asking.answers) == 2)


async def test_an_answer_without_a_connection_is_given_up_after_ten_seconds(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        Asking(platform, tg).ask(data="1")
        command = await taken(connector)
        await platform.unplug()
        await until_state(connector, Waiting)
        began = anyio.current_time()
        assert await command.respond("late") is False
        assert anyio.current_time() - began == 10
        assert connector.commands_unanswered == 1
        assert "command for lamp-1 has not had its answer" in caplog.text
        tg.cancel_scope.cancel()


async def test_an_answer_that_the_platform_refuses_is_said(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        Asking(platform, tg).ask(data="1")
        command = await taken(connector)
        platform.faults.refuse_next(on="response")
        assert await command.respond("1") is False
        assert connector.commands_unanswered == 1
        assert "the platform refuses with status 500" in caplog.text
        assert connector.is_ready
        tg.cancel_scope.cancel()


async def test_an_answer_after_the_end_is_not_given():
    async with anyio.create_task_group() as tg:
        async with gateway() as (platform, connector):
            Asking(platform, tg).ask(data="1")
            command = await taken(connector)
            tg.cancel_scope.cancel()
    assert await command.respond("1") is False
    assert connector.commands_unanswered == 1


async def test_commands_for_a_device_of_an_earlier_gateway_name_no_device():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        async with open_connector(
            platform.config, lamps(1), wait_ready=True, environment=environment
        ):
            (gid,) = platform.gateways
        await until(lambda: not platform.connections)
        platform.busy_s = 5
        async with (
            open_connector(
                {**platform.config, "gid": gid},
                pool([lamp(2)]),
                environment=environment,
            ) as connector,
            anyio.create_task_group() as tg,
        ):
            await until(lambda: platform.device("lamp-1").is_online)
            Asking(platform, tg).ask("lamp-1")
            command = await taken(connector)
            assert command.device is None
            # Also while it is synchronised.
            assert not connector.is_ready
            assert await command.respond("gone") is True
