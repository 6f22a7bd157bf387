"""Sockets that stay registered with the loop: nothing lost, nothing spins, no mix-up."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import time
from collections.abc import AsyncIterator
from functools import partial

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.lowlevel import checkpoint

from structiot._kit.native_loop import clock
from structiot._kit.net.sockets import SocketStream

pytestmark = pytest.mark.e2e

PEER = ("198.51.100.7", 4711)
# So many turns of the loop after something was sent it has certainly been received.
TURNS = range(6)


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[socket.socket, SocketStream]]:
    near, far = socket.socketpair()
    with near:
        stream = SocketStream(far, PEER)
        try:
            with anyio.fail_after(10):
                yield near, stream
        finally:
            await stream.aclose()


async def quiet(near: socket.socket, stream: SocketStream) -> None:
    """Let it have waited for something short, so that it stays registered."""
    for text in (b"first", b"second"):
        async with anyio.create_task_group() as tg:
            tg.start_soon(expect, stream, text)
            await anyio.wait_all_tasks_blocked()
            near.send(text)


async def expect(stream: SocketStream, text: bytes) -> None:
    assert await stream.receive() == text


async def receive_all(stream: SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive(3)
    return data


async def cancel_after(turns: int, near: socket.socket, stream: SocketStream) -> bytes:
    """Cancel a wait so many turns after something was sent; give what it got."""
    got = b""

    async def wait() -> None:
        nonlocal got
        got = await stream.receive()

    async with anyio.create_task_group() as tg:
        tg.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        near.send(b"in between")
        for _ in range(turns):
            await checkpoint()
        tg.cancel_scope.cancel()
    return got


@pytest.mark.parametrize("turns", TURNS)
async def test_a_wait_that_is_cancelled_loses_nothing(turns: int):
    async with pair() as (near, stream):
        await quiet(near, stream)
        got = await cancel_after(turns, near, stream)
        near.send(b", later")
        left = len(b"in between, later") - len(got)
        assert got + await receive_all(stream, left) == b"in between, later"


@pytest.mark.parametrize("turns", TURNS)
async def test_what_a_cancelled_wait_got_comes_first_wherever_it_goes(turns: int):
    async with pair() as (near, stream):
        await quiet(near, stream)
        got = bytearray(await cancel_after(turns, near, stream))
        near.send(b", later")
        space = bytearray(4)
        got += space[: await stream.receive_into(memoryview(space))]
        while len(got) < len(b"in between, later"):
            got += space[: stream.receive_now(memoryview(space))]
        assert got == b"in between, later"


@pytest.mark.parametrize("filled", [False, True])
def test_a_task_of_asyncio_that_is_cancelled_loses_nothing_either(filled: bool):
    # anyio does not cancel whose wait has just ended; asyncio does.
    async def main(turns: int) -> bool:
        async with pair() as (near, stream):
            await quiet(near, stream)
            waiting = asyncio.create_task(stream.receive())
            await anyio.wait_all_tasks_blocked()
            near.send(b"in between")
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            is_cancelled = waiting.cancelled()
            got = bytearray(b"" if is_cancelled else waiting.result())
            near.send(b", later")
            space = memoryview(bytearray(4))
            while len(got) < len(b"in between, later"):
                if filled:
                    got += space[: await stream.receive_into(space)]
                else:
                    got += await stream.receive(4)
            assert got == b"in between, later"
            return is_cancelled

    assert sum([asyncio.run(main(turns)) for turns in TURNS]) > 1


async def test_an_end_that_came_for_a_cancelled_wait_is_still_the_end():
    for turns in TURNS:
        async with pair() as (near, stream):
            await quiet(near, stream)
            async with anyio.create_task_group() as tg:

                async def wait(stream: SocketStream = stream) -> None:
                    with contextlib.suppress(anyio.EndOfStream):
                        await stream.receive()

                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                near.close()
                for _ in range(turns):
                    await checkpoint()
                tg.cancel_scope.cancel()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()


async def test_a_reader_that_pauses_does_not_keep_the_loop_busy():
    async with pair() as (near, stream):
        await quiet(near, stream)
        near.send(b"nobody waits for this")
        began_s = time.thread_time()
        await anyio.sleep(0.4)
        assert time.thread_time() - began_s < 0.03
        assert await stream.receive() == b"nobody waits for this"
        near.send(b"and it is registered again")
        assert await stream.receive() == b"and it is registered again"


@pytest.mark.parametrize("turns", TURNS)
async def test_whoever_waits_hears_that_it_was_closed(turns: int):
    async with pair() as (near, stream):
        await quiet(near, stream)
        got = []

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                while True:
                    got.append(await stream.receive())

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            if turns:
                near.send(b"at the same time")
            for _ in range(turns):
                await checkpoint()
            await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        assert got in ([], [b"at the same time"])


async def test_the_number_of_a_closed_socket_can_be_another_ones():
    async with pair() as (near, stream), pair() as (other_near, other):
        await quiet(near, stream)
        number = raw_of(stream).fileno()
        await stream.aclose()
        copied = fcntl.fcntl(raw_of(other), fcntl.F_DUPFD, number)
        assert copied == number
        again = SocketStream(socket.socket(fileno=number), PEER)
        await quiet(other_near, again)
        await stream.aclose()
        other_near.send(b"mine")
        assert await again.receive() == b"mine"
        await again.aclose()


def raw_of(stream: SocketStream) -> socket.socket:
    return stream.extra(SocketAttribute.raw_socket)


@pytest.mark.parametrize("is_handed", [False, True])
async def test_what_came_with_a_reset_is_followed_by_the_end(is_handed: bool):
    got: list[bytes] = []

    def take(data: bytes) -> bool:
        got.append(data)
        return True

    async def read(stream: SocketStream) -> None:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            while not is_handed:
                got.append(await stream.receive())
            await stream.hand_to(take)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    async with SocketStream(far, PEER) as stream:
        await stream.send(b"never read")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(read, stream)
                await anyio.wait_all_tasks_blocked()
                near.send(b"last words")
                # With something unread it is a reset.
                near.close()
    assert got == [b"last words"]


async def test_only_one_may_wait():
    async with pair() as (near, stream):
        await quiet(near, stream)
        space = memoryview(bytearray(10))
        got = []

        async def wait(*, is_filling: bool) -> None:
            if is_filling:
                got.append(bytes(space[: await stream.receive_into(space)]))
            else:
                got.append(await stream.receive())

        for is_filling in (False, True):
            async with anyio.create_task_group() as tg:
                tg.start_soon(partial(wait, is_filling=is_filling))
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(anyio.BusyResourceError):
                    await stream.receive()
                with pytest.raises(anyio.BusyResourceError):
                    await stream.receive_into(space)
                near.send(b"the first")
        assert got == [b"the first", b"the first"]


class Completing(asyncio.SelectorEventLoop):
    """Does not watch sockets, as the usual one of Windows."""

    def add_reader(self, *args: object) -> None:
        raise NotImplementedError

    def remove_reader(self, *args: object) -> bool:
        raise NotImplementedError


def test_a_loop_that_does_not_watch_sockets_will_do(monkeypatch: pytest.MonkeyPatch):
    # anyio's own way has a thread that lives as long as the process.
    async def look_now_and_then(_: socket.socket) -> None:
        await anyio.sleep(0.001)

    monkeypatch.setattr(anyio, "wait_readable", look_now_and_then)

    async def main() -> None:
        async with pair() as (near, stream):
            await quiet(near, stream)
            near.close()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()

    anyio.run(main, backend_options={"loop_factory": Completing})


async def test_the_clock_is_that_of_the_loop():
    now = clock()
    before = anyio.current_time()
    await anyio.sleep(0.01)
    assert before < now() <= anyio.current_time()
