"""What a manager asks of its devices, sends to them and hears of them."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError, ConnectFailed, ReplyTimeout, UsageError
from structiot.manager.errors import ConnectionEnd, InvalidInfo
from structiot.manager.events import (
    ClientConnected,
)
from structiot.manager.limits import Listener, ManagerLimits
from structiot.manager.opening import open_manager
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import (
    OTHER,
    UUID,
    client_of,
    data_of,
    dialled_in,
    info,
    known_device,
    the_client,
)

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


async def test_a_request_gets_what_comes_next_and_nobody_else_does(environment):
    async with (
        open_manager(environment=environment, heartbeat_s=5) as manager,
        known_device(environment) as device,
        manager.events() as events,
        anyio.create_task_group() as tg,
    ):
        client = await the_client(manager)
        answers = []

        async def ask(question: bytes) -> None:
            answers.append((question, await client.request(question)))

        tg.start_soon(ask, b"temperature?")
        await device.read(b"temperature?")
        tg.start_soon(ask, b"humidity?")
        await device.read(b"\x02")
        await device.send(b"beat")
        await device.send(b"21.5")
        await device.read(b"humidity?")
        await device.send(b"40 %")
        await anyio.sleep(0.1)
        await device.send(b"told by itself")
        assert isinstance(await anext(events), ClientConnected)
        assert data_of(await anext(events)) == b"told by itself"
        assert answers == [(b"temperature?", b"21.5"), (b"humidity?", b"40 %")]


async def test_messages_and_receive(environment):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as device,
    ):
        client = await the_client(manager)
        with anyio.move_on_after(1):
            await client.receive()
        async with client.messages() as messages:
            await device.send(b"one")
            assert await anext(messages) == b"one"
        assert await client.receive() == b"one"
        await device.send(b"two")
        await anyio.sleep(1)
        await device.stream.aclose()
        await anyio.sleep(1)
        assert await client.receive() == b"two"
        with pytest.raises(ConnectionEnd, match="hung up"):
            await client.receive()
        async with client.messages() as messages:
            assert [data async for data in messages] == []


async def test_an_info_is_asked_for_anew(environment):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as device,
        anyio.create_task_group() as tg,
    ):
        client = await the_client(manager)

        async def answer(told: bytes) -> None:
            await device.read(b"\x01")
            await device.send(told)

        tg.start_soon(answer, info(data='{"n": 2}'))
        assert (await client.refresh_info()).data == {"n": 2}
        assert client.data.data == {"n": 2}
        assert client.return_data() == {"uuid": UUID, "type": "light", "data": {"n": 2}}
        with pytest.raises(ReplyTimeout):
            await client.refresh_info()
        await device.read(b"\x01")
        tg.start_soon(answer, info(OTHER))
        with pytest.raises(InvalidInfo, match="says now that it is"):
            await client.refresh_info()
        await device.read_to_the_end()
        assert not manager.clients


async def test_a_heartbeat_by_hand(environment):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as device,
        anyio.create_task_group() as tg,
    ):
        client = await the_client(manager)

        async def answer() -> None:
            await device.read(b"\x02")
            await anyio.sleep(0.5)
            await device.send(b"beat")

        tg.start_soon(answer)
        assert await client.heartbeat() == pytest.approx(0.5)
        with pytest.raises(ConnectionEnd, match="did not answer a heartbeat"):
            await client.heartbeat()
        assert not client.is_connected


async def test_messages_go_to_one_to_a_type_and_to_all(environment):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as light,
        known_device(environment, info(OTHER, "door")) as door,
    ):
        await anyio.sleep(0.1)
        assert (await manager.send_all(b"all")).delivered == (UUID, OTHER)
        assert (await manager.send_type("door", b"open")).delivered == (OTHER,)
        report = await manager.send("0" * 32, b"x")
        assert not report
        assert list(report.failed) == ["00000000-0000-0000-0000-000000000000"]
        assert not await manager.send_type_string("nosuch", "x")
        assert await manager.send_all_string("!")
        await light.read(b"all!")
        await door.read(b"allopen!")
        report = await manager.send_all(b"\x01")
        assert isinstance(report.failed[UUID], UsageError)


async def test_events_of_one_type(environment):
    async with open_manager(["light", "door"], environment=environment) as manager:
        async with (
            manager.events(type="door") as events,
            known_device(environment),
            known_device(environment, info(OTHER, "door")) as door,
        ):
            await door.send(b"open")
            assert client_of(await anext(events)).uuid == OTHER
            assert data_of(await anext(events)) == b"open"
        with pytest.raises(UsageError, match="no type 'dor'"):
            async with manager.events(type="dor"):
                pass


async def test_listeners_with_their_dialects(environment):
    async with open_manager(
        listeners=[
            Listener(port=8596, dialect="D4"),
            Listener(port=8597, dialect="D1"),
        ],
        environment=environment,
    ) as manager:
        assert [port for _, port in manager.addresses] == [8595, 8596, 8597]
        async with dialled_in(environment, 8596) as device:
            await device.read(b"\x00\x01\x01")
            told = info()
            await device.send(len(told).to_bytes(2) + told)
            client = await the_client(manager)
            assert client.dialect == "D4"
            await client.send(b"cmd")
            await device.read(b"\x00\x03cmd")
            await device.send(b"\x00\x01\x03")
            await device.read_to_the_end()
    with pytest.raises(ConfigError, match="no dialect 'D9'"):
        async with open_manager(dialect="D9", environment=environment):
            pass


async def test_a_device_that_never_reads_costs_only_itself(environment):
    async with (
        open_manager(
            limits=ManagerLimits(waiting_bytes=1_000_000), environment=environment
        ) as manager,
        known_device(environment),
        known_device(environment, info(OTHER)) as good,
        anyio.create_task_group() as tg,
    ):
        await anyio.sleep(0.1)

        async def read() -> None:
            await good.read_to_the_end()

        tg.start_soon(read)
        for _ in range(200):
            report = await manager.send_all(bytes(65_536))
            assert OTHER in report.delivered
            if UUID not in manager.clients:
                break
        assert UUID not in manager.clients
        assert OTHER in manager.clients
        tg.cancel_scope.cancel()


async def test_as_many_wait_to_be_accepted_as_may(environment):
    found: list[bytes] = []

    async def dial_in() -> None:
        try:
            async with dialled_in(environment) as device:
                found.append(await device.stream.receive())
        except ConnectFailed:
            found.append(b"refused")

    async with open_manager(backlog=3, environment=environment):
        async with anyio.create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(dial_in)
    assert sorted(found) == [b"\x01"] * 3 + [b"refused"] * 2
    with pytest.raises(ConfigError, match="1 or more, not 0"):
        async with open_manager(backlog=0, environment=environment):
            pass


def test_the_limits_of_a_manager_are_those_that_are_documented():
    limits = ManagerLimits()
    assert (limits.connections, limits.unidentified) == (20_000, 2_000)
    assert limits.per_address is None
