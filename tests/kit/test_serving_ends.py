"""Clients that are served: the slow ones, and the end of all."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.net.network import LOST
from structiot._kit.net.serving import ClientStream
from structiot.testing import cancel_sweep
from tests.kit.dial_in import echo, hall, says

pytestmark = pytest.mark.virtual_time


async def is_closed(stream: ByteStream) -> bool:
    """Wait for the end, and see that nothing came before it."""
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await stream.receive()
    return True


# ------------------------------------------------------------------ slow clients


async def test_what_a_slow_client_does_not_take_at_once_waits_for_it():
    drained: list[float] = []

    async def handler(client: ClientStream) -> None:
        client.on_drained = lambda: drained.append(anyio.current_time())
        client.out += bytes(1_000_000)
        client.flush()
        client.identified()
        await anyio.sleep_forever()

    async with hall(handler, stall_s=30) as place:
        slow, received = await place.dial(), 0
        while received < 1_000_000:
            await anyio.sleep(20)
            received += len(await slow.receive(100_000))
        await anyio.wait_all_tasks_blocked()
        assert len(drained) == 1
        assert place.server.clients == 1


async def test_any_number_may_wait_until_something_is_written():
    waited = []

    async def handler(client: ClientStream) -> None:
        async def wait() -> None:
            while not client.is_drained:
                await client.progress()
            waited.append(anyio.current_time())

        client.identified()
        client.out += bytes(200_000)
        client.flush()
        async with anyio.create_task_group() as tg:
            for _ in range(3):
                tg.start_soon(wait)
            await anyio.sleep_forever()

    async with hall(handler, stall_s=30) as place:
        slow, received = await place.dial(), 0
        while received < 200_000:
            await anyio.sleep(1)
            received += len(await slow.receive(100_000))
            # The last is with the system's network when it has taken it, not before.
            assert not waited or received >= 100_000
        await anyio.wait_all_tasks_blocked()
        assert len(waited) == 3


async def test_a_client_that_takes_nothing_is_ended(caplog: pytest.LogCaptureFixture):
    async def handler(client: ClientStream) -> None:
        client.identified()
        client.out += bytes(1_000_000)
        client.flush()
        await anyio.sleep_forever()

    async with hall(handler, stall_s=30) as place:
        await place.dial()
        await anyio.sleep(29)
        assert place.server.clients == 1
        await anyio.sleep(2)
        assert place.server.clients == 0
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning == "client 127.0.0.1 is cut off: it has taken nothing for 30 s"


async def test_a_client_for_which_too_much_waits_is_ended(
    caplog: pytest.LogCaptureFixture,
):
    async def handler(client: ClientStream) -> None:
        client.identified()
        for _ in range(20):
            client.out += bytes(100_000)
            client.flush()
            await anyio.sleep(1)

    async with hall(handler, waiting_bytes=1_000_000) as place:
        await place.dial()
        await anyio.sleep(9)
        assert place.server.clients == 1
        await anyio.sleep(6)
        assert place.server.clients == 0
    assert "bytes wait for it" in caplog.text


async def test_a_goodbye_waits_for_what_is_still_kept_back():
    clients: list[ClientStream] = []

    async def handler(client: ClientStream) -> None:
        client.out += b"one"
        client.kept += b"two"
        clients.append(client)
        await anyio.sleep_forever()

    async with hall(handler) as place:
        stream = await place.dial()
        await anyio.wait_all_tasks_blocked()
        [client] = clients
        client.end()
        assert await stream.receive() == b"one"
        await anyio.wait_all_tasks_blocked()
        client.out += client.kept
        client.kept.clear()
        client.flush()
        assert await stream.receive() == b"two"
        assert await is_closed(stream)


# ------------------------------------------------------------------ the end


async def test_last_words_are_heard_by_a_client_that_goes_on_talking():
    clients: list[ClientStream] = []

    async def handler(client: ClientStream) -> None:
        clients.append(client)
        await anyio.sleep_forever()

    async with hall(handler) as place:
        stream = await place.dial()
        await stream.send(b"bla" * 10_000)
        await anyio.wait_all_tasks_blocked()
        began_at = anyio.current_time()
        clients[0].out += b"goodbye"
        clients[0].end()
        assert await stream.receive() == b"goodbye"
        assert await is_closed(stream)
        assert anyio.current_time() == began_at
        await stream.aclose()


async def test_leaving_the_block_says_goodbye_to_all_and_waits_for_nobody_long():
    clients: list[ClientStream] = []

    async def handler(client: ClientStream) -> None:
        clients.append(client)
        await anyio.sleep_forever()

    def goodbyes() -> Generator[None]:
        for client in clients:
            client.out += b"goodbye"
            client.end()
            yield

    async with hall(handler, goodbyes=goodbyes) as place:
        streams = [await place.dial() for _ in range(10)]
        await anyio.wait_all_tasks_blocked()
        left_at = anyio.current_time()
    assert anyio.current_time() <= left_at + 1.5
    for stream in streams:
        assert await stream.receive() == b"goodbye"


async def test_who_comes_while_the_server_says_goodbye_is_turned_away():
    served: list[ClientStream] = []

    async def handler(client: ClientStream) -> None:
        served.append(client)
        await anyio.sleep_forever()

    async def come_late() -> None:
        await anyio.sleep(1)
        late.append(await place.dial())

    late: list[ByteStream] = []
    async with anyio.create_task_group() as tg:
        async with hall(handler) as place:
            await place.dial()
            await anyio.sleep(0.5)
            tg.start_soon(come_late)
    assert await is_closed(late[0])
    assert len(served) == 1


async def test_a_server_cancelled_anywhere_leaves_nothing():
    async def flow() -> None:
        async with hall(echo) as place:
            # The server may be cancelled first.
            with contextlib.suppress(*LOST):
                assert await says(await place.dial(), b"hello")

    await cancel_sweep(flow)
