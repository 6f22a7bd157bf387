"""What comes to a socket is handed to a function: in order, all of it, without a task."""

from __future__ import annotations

import asyncio
import socket

import anyio
import pytest
from anyio.lowlevel import checkpoint

from structiot._kit.net.sockets import QUIET_BYTES
from tests.kit.test_readiness import TURNS, Completing, pair

pytestmark = pytest.mark.e2e


class Taker:
    """Takes what comes until it has so much; sends another part for each."""

    def __init__(
        self, until: int, near: socket.socket | None = None, *parts: bytes
    ) -> None:
        self.got = b""
        self.until = until
        self.near = near
        if near is not None:
            near.setblocking(False)
        self.parts = list(parts)

    def __call__(self, data: bytes) -> bool:
        self.got += data
        if self.near is not None and self.parts:
            self.near.send(self.parts.pop(0))
        return len(self.got) < self.until


async def test_it_gets_what_comes_in_order_until_it_has_enough():
    async with pair() as (near, stream):
        near.send(b"a")
        first, second = Taker(3, near, b"b", b"c", b"d"), Taker(1)
        await stream.hand_to(first)
        await stream.hand_to(second)
        assert (first.got, second.got) == (b"abc", b"d")
        near.send(b"e")
        assert await stream.receive() == b"e"


async def test_much_is_handed_over_as_little_is():
    parts = [bytes([n]) * QUIET_BYTES for n in range(3)]
    async with pair() as (near, stream):
        near.send(parts[0])
        taker = Taker(3 * QUIET_BYTES, near, *parts[1:])
        await stream.hand_to(taker)
        near.send(parts[0] + parts[1])
        await stream.hand_to(taker)
        assert taker.got == b"".join([*parts, parts[0], parts[1]])


@pytest.mark.parametrize("turns", TURNS)
async def test_a_wait_that_is_cancelled_loses_nothing(turns: int):
    async with pair() as (near, stream):
        taker = Taker(100)
        async with anyio.create_task_group() as tg:
            tg.start_soon(stream.hand_to, taker)
            await anyio.wait_all_tasks_blocked()
            near.send(b"in between")
            for _ in range(turns):
                await checkpoint()
            tg.cancel_scope.cancel()
        near.send(b", later")
        taker.until = len(b"in between, later")
        while len(taker.got) < taker.until:
            await stream.hand_to(taker)
        assert taker.got == b"in between, later"


async def test_the_end_is_the_end_of_the_stream():
    async with pair() as (near, stream):
        taker = Taker(100)
        near.send(b"the last")
        near.close()
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.hand_to(taker)
        assert taker.got == b"the last"


async def test_what_a_cancelled_receiver_left_comes_first():
    async with pair() as (near, stream):
        near.send(b"1")
        assert await stream.receive() == b"1"
        async with anyio.create_task_group() as tg:
            tg.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            near.send(b"2")
            await checkpoint()
            tg.cancel_scope.cancel()
        near.send(b"3")
        taker = Taker(1)
        await stream.hand_to(taker)
        assert taker.got in (b"2", b"23", b"3")


async def test_what_it_raises_is_raised_where_somebody_waits():
    def fail(data: bytes) -> bool:
        raise ArithmeticError(data.decode())

    async with pair() as (near, stream), anyio.create_task_group() as tg:

        async def wait(text: str) -> None:
            with pytest.raises(ArithmeticError, match=text):
                await stream.hand_to(fail)

        for text in ("first", "second"):
            tg.start_soon(wait, text)
            await anyio.wait_all_tasks_blocked()
            near.send(text.encode())
            await anyio.sleep(0.01)


async def test_whoever_waits_hears_that_it_was_closed():
    async with pair() as (_, stream), anyio.create_task_group() as tg:

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.hand_to(Taker(1))

        tg.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()


async def test_only_one_may_wait():
    async with pair() as (near, stream), anyio.create_task_group() as tg:
        taker = Taker(1)
        tg.start_soon(stream.hand_to, taker)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await stream.receive()
        with pytest.raises(anyio.BusyResourceError):
            await stream.hand_to(taker)
        near.send(b"x")


def test_no_task_wakes_up_for_it():
    tasks: list[object] = []

    async def main() -> None:
        async with pair() as (near, stream), anyio.create_task_group() as tg:
            near.setblocking(False)

            def take(_: bytes) -> bool:
                tasks.append(asyncio.current_task())
                near.send(b"more")
                return len(tasks) < 3

            tg.start_soon(stream.hand_to, take)
            await anyio.wait_all_tasks_blocked()
            near.send(b"something")

    asyncio.run(main())
    assert tasks == [None, None, None]


def test_a_loop_that_does_not_watch_sockets_will_do(monkeypatch: pytest.MonkeyPatch):
    async def look_now_and_then(_: socket.socket) -> None:
        await anyio.sleep(0.001)

    monkeypatch.setattr(anyio, "wait_readable", look_now_and_then)

    async def main() -> None:
        async with pair() as (near, stream):
            taker = Taker(2)
            near.send(b"1")
            near.send(b"2")
            await stream.hand_to(taker)
            near.close()
            with pytest.raises(anyio.EndOfStream):
                await stream.hand_to(taker)
            assert taker.got == b"12"

    anyio.run(main, backend_options={"loop_factory": Completing})
