"""What a device does with a manager that lies, says half, or says nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot.errors import AuthRefused, ConfigError, StructiotError, UsageError
from structiot.manager import (
    ConnectionEnd,
    Info,
    ManagedDevice,
    MessageReceived,
    open_manager,
)
from structiot.manager.wire.native import NativeDevice, NativeServer
from structiot.sim import fault_proxy
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import UUID
from tests.link.manager.nodes import device_at, until

pytestmark = pytest.mark.virtual_time

HELLO = NativeServer(bytes(16)).ask_info()
WANTS_PROOF = NativeServer(bytes(16), wants_proof=True).ask_info()
WELCOME = b"W\0\2\0\x3c"
MESSAGE = NativeServer(bytes(16)).write(b"open the door", 5)

Talk = Callable[[ByteStream], Awaitable[object]]


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


def device_of(
    environment: Environment, **given: Any
) -> AbstractAsyncContextManager[ManagedDevice]:
    return device_at(environment, 8595, **given)


@asynccontextmanager
async def manager_that(
    environment: Environment, *talks: Talk
) -> AsyncGenerator[list[float]]:
    """Talk by hand, on each connection the next way, and on all others the last one."""
    begun: list[float] = []

    async def serve(stream: ByteStream) -> None:
        begun.append(anyio.current_time())
        talk = talks[min(len(begun), len(talks)) - 1]
        lost = (anyio.EndOfStream, anyio.BrokenResourceError)
        async with stream:
            with suppress(*lost):
                await talk(stream)

    async with (
        environment.network.listen_tcp("127.0.0.1", 8595) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, serve)
        yield begun
        tg.cancel_scope.cancel()


def says(*words: bytes) -> Talk:
    """Say one word after the other, each when something has come for the one before."""

    async def talk(stream: ByteStream) -> None:
        for word in words:
            await stream.send(word)
            await stream.receive()
        await anyio.sleep_forever()

    return talk


async def welcomes(stream: ByteStream) -> None:
    await says(HELLO, WELCOME)(stream)


# ------------------------------------------------------- who has proven nothing


@pytest.mark.parametrize("flags", [HELLO, WANTS_PROOF], ids=["no proof", "a proof"])
async def test_nothing_is_taken_from_a_manager_that_has_proven_nothing(
    environment, flags
):
    talk = says(flags, MESSAGE)
    async with (
        manager_that(environment, talk) as begun,
        device_of(environment, secret="open sesame") as device,
    ):
        await until(lambda: len(begun) > 2)
        assert not device.is_connected
        assert len(aiter(device)) == 0


@pytest.mark.parametrize("first", [b"\x01", b"\x01\xff", b"\0\1\1"])
async def test_a_device_with_a_secret_is_not_talked_out_of_it(environment, first):
    async with manager_that(environment, says(first, b"open the door")):
        with pytest.raises(AuthRefused, match="in which it cannot prove"):
            async with device_of(environment, secret="open sesame") as device:
                await device.wait_connected()


async def test_a_secret_goes_with_our_own_dialect(environment):
    with pytest.raises(ConfigError, match="D4 knows of none"):
        async with device_of(environment, secret="open sesame", dialect="D4"):
            pass


@pytest.mark.parametrize(
    ("given", "types", "said"),
    [
        ({}, None, "wants a proof of a secret, and none was given"),
        ({"secret": "guessed"}, None, "has not proven that it knows its secret"),
        ({"secret": "right"}, ["lamp"], "its type 'light' is not taken here"),
    ],
)
async def test_who_is_refused_for_good_is_told_and_asks_no_more(
    environment, given, types, said
):
    async with open_manager(
        types, dialect="structiot", secrets={UUID: "right"}, environment=environment
    ):
        with pytest.raises(AuthRefused, match=said):
            async with device_of(environment, **given) as device:
                with anyio.fail_after(60):
                    await device.wait_connected()


async def test_what_a_manager_says_against_a_device_is_a_warning_once(
    environment, caplog
):
    caplog.set_level(logging.INFO, "structiot.manager.client")
    talk = says(HELLO, NativeServer(bytes(16)).say_goodbye("not\n now"))
    async with manager_that(environment, talk) as begun, device_of(environment):
        await until(lambda: len(begun) > 4, within_s=10_000)
    levels = [record.levelno for record in caplog.records]
    assert levels[0] == logging.WARNING
    assert set(levels[1:]) == {logging.INFO}
    assert "not  now; tried again in" in caplog.messages[0]


# ------------------------------------------------------- who never comes to a point


@pytest.mark.parametrize(
    "word", [b"", b"H", HELLO[:-1], HELLO], ids=["nothing", "a byte", "half", "hello"]
)
async def test_who_does_not_take_the_device_is_left(environment, word):
    async with (
        manager_that(environment, says(word)) as begun,
        device_of(environment, dialect="structiot") as device,
    ):
        await until(lambda: len(begun) == 2)
        assert begun[1] - begun[0] == pytest.approx(30, abs=2)
        assert not device.is_connected


async def test_who_dribbles_its_hello_is_left_as_well(environment):
    async def dribble(stream: ByteStream) -> None:
        for at in range(1000):
            await stream.send(HELLO[at % len(HELLO) :][:1])
            await anyio.sleep(5)

    async with (
        manager_that(environment, dribble) as begun,
        device_of(environment, dialect="structiot"),
    ):
        await until(lambda: len(begun) == 2)
        assert begun[1] - begun[0] == pytest.approx(30, abs=2)


@pytest.mark.parametrize("at", range(1, len(HELLO) + len(WELCOME)))
async def test_a_manager_that_hangs_up_at_any_byte(environment, at):
    async def talk(stream: ByteStream) -> None:
        await stream.send(HELLO[:at])
        if at >= len(HELLO):
            await stream.receive()
            await stream.send(WELCOME[: at - len(HELLO)])

    async with (
        manager_that(environment, talk, welcomes) as begun,
        device_of(environment, dialect="structiot") as device,
    ):
        with anyio.fail_after(60):
            await device.wait_connected()
        assert len(begun) == 2


@asynccontextmanager
async def mute_device(environment: Environment) -> AsyncGenerator[ByteStream]:
    """A device of our own dialect that acknowledges nothing."""
    stream = await environment.network.connect_tcp("127.0.0.1", 8595)
    async with stream:
        await stream.receive()
        side = NativeDevice(bytes(16))
        side.feed(HELLO)
        await stream.send(side.tell_info(Info(uuid=UUID, type="light")))
        yield stream


# ------------------------------------------------------- messages that wait


async def test_more_messages_than_may_be_under_way_all_go(environment):
    done = {"device": 0, "manager": 0}
    async with (
        open_manager(dialect="structiot", environment=environment) as manager,
        device_of(environment) as device,
        anyio.create_task_group() as tg,
    ):
        await device.wait_connected()

        async def send(who: str, client: Any) -> None:
            await client.send("x")
            done[who] += 1

        for _ in range(200):
            tg.start_soon(send, "device", device)
            tg.start_soon(send, "manager", manager.clients[UUID])
        with anyio.move_on_after(60):
            await until(lambda: done == {"device": 200, "manager": 200})
        tg.cancel_scope.cancel()
    assert done == {"device": 200, "manager": 200}


@pytest.mark.parametrize("dialect", ["D4", "structiot"])
async def test_a_send_that_is_given_up_halfway_spoils_nothing_behind_it(
    environment, dialect
):
    async with (
        open_manager(dialect=dialect, environment=environment) as manager,
        manager.events() as events,
        fault_proxy("127.0.0.1", 8595, environment=environment) as proxy,
        device_at(environment, proxy.address[1], dialect=dialect) as device,
    ):
        with anyio.fail_after(60):
            await device.wait_connected()
            await until(lambda: manager.clients)
            proxy.stall()
            for _ in range(20):
                with anyio.move_on_after(0.1), suppress(ConnectionEnd):
                    await device.send(b"x" * 60_000)
            proxy.flow()
            await device.wait_connected()
            await device.send("after")
        await anyio.sleep(1)
        found = [events.receive_nowait() for _ in range(len(events))]
        told = {one.data for one in found if isinstance(one, MessageReceived)}
        assert told - {b"x" * 60_000} == {b"after"}


async def ends_with(
    done: list[StructiotError], call: Callable[[], Awaitable[object]]
) -> None:
    try:
        await call()
    except StructiotError as exc:
        done.append(exc)


@pytest.mark.parametrize("count", [1, 40])
async def test_who_waits_at_a_manager_that_ends_is_told(environment, count):
    done: list[StructiotError] = []
    async with anyio.create_task_group() as tg:
        async with (
            open_manager(dialect="structiot", environment=environment) as manager,
            mute_device(environment),
        ):
            await until(lambda: manager.clients)
            client = manager.clients[UUID]
            for _ in range(count):
                tg.start_soon(ends_with, done, lambda: client.send("x"))
            tg.start_soon(ends_with, done, lambda: client.request("x"))
            await anyio.sleep(1)
            assert not done
        await anyio.sleep(1)
        assert [type(error) for error in done] == [ConnectionEnd] * (count + 1)
        tg.cancel_scope.cancel()


async def test_a_request_ends_with_its_connection_a_send_does_not(environment):
    done: list[StructiotError] = []
    async with (
        open_manager(dialect="structiot", environment=environment) as manager,
        anyio.create_task_group() as tg,
    ):
        async with mute_device(environment):
            await until(lambda: manager.clients)
            client = manager.clients[UUID]
            tg.start_soon(ends_with, done, lambda: client.request("x"))
            tg.start_soon(client.send, "y")
            await anyio.sleep(1)
        await anyio.sleep(1)
        assert [type(error) for error in done] == [ConnectionEnd]
        async with device_of(environment) as device:
            with anyio.fail_after(60):
                assert await anext(aiter(device)) == b"y"
            await anyio.sleep(1)


async def test_who_waits_in_a_device_whose_block_has_ended_is_told(environment):
    done: list[StructiotError] = []
    async with manager_that(environment, welcomes), anyio.create_task_group() as tg:
        async with device_of(environment, dialect="structiot") as device:
            for _ in range(40):
                tg.start_soon(ends_with, done, lambda: device.send("x"))
            await anyio.sleep(1)
            assert not done
        await anyio.sleep(1)
        assert [type(error) for error in done] == [UsageError] * 40
        tg.cancel_scope.cancel()
