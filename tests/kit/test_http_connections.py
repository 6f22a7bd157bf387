"""The door to HTTP: when connections are made, kept and closed."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.net.memory import MemoryNetwork, MemoryStream
from structiot._kit.net.network import REAL_NETWORK
from structiot.errors import ProtocolViolation
from structiot.testing import cancel_sweep
from tests.kit.web_site import reply, site

URL = "http://strip"
virtual_time = pytest.mark.virtual_time


# -------------------------------------------------------------------------- connections


@virtual_time
async def test_no_connection_is_made_before_the_first_request(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network):
            await anyio.wait_all_tasks_blocked()
    assert strip.connections == 0


@virtual_time
async def test_a_connection_is_kept_for_the_next_request(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            for _ in range(3):
                await http.get("/")
        await anyio.wait_all_tasks_blocked()
        assert strip.open_connections == 0, "leaving the block closes it"
    assert strip.connections == 1
    assert b"connection: keep-alive\r\n" in strip.requests[0].lower()


@virtual_time
async def test_is_kept_alive_false_closes_the_connection_after_each_reply(
    network: MemoryNetwork,
):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network, is_kept_alive=False) as http:
            for number in range(1, 4):
                await http.get("/")
                await anyio.wait_all_tasks_blocked()
                assert (strip.connections, strip.open_connections) == (number, 0)
    assert b"connection: close\r\n" in strip.requests[0].lower()


async def then_close(stream: ByteStream) -> None:
    await stream.send(reply())
    await stream.aclose()


@virtual_time
async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    network: MemoryNetwork,
):
    async with site(then_close, network=network) as strip:
        async with open_http(URL, network=network) as http:
            for number in range(1, 4):
                assert (await http.get("/")).body == b"ok"
                await anyio.wait_all_tasks_blocked()
                assert strip.connections == number


@pytest.mark.e2e
@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Too Late\r\n\r\n"])
async def test_a_socket_that_the_server_has_closed_is_not_used_again(farewell: bytes):
    closed = anyio.Event()

    async def then_close_later(stream: ByteStream) -> None:
        await stream.send(reply())
        await anyio.sleep(0.02)
        await stream.send(farewell)
        await stream.aclose()
        closed.set()

    async with site(
        then_close_later, reply(), network=REAL_NETWORK, host="127.0.0.1", port=0
    ) as strip:
        async with open_http(f"http://127.0.0.1:{strip.address[1]}") as http:
            await http.get("/")
            await closed.wait()
            await anyio.sleep(0.02)
            assert (await http.get("/")).body == b"ok"
            assert (await http.get("/")).body == b"ok"
        assert strip.connections == 2


@virtual_time
async def test_several_tasks_get_each_its_own_reply(network: MemoryNetwork):
    got: list[bytes] = []

    async def echo_target(stream: ByteStream) -> None:
        target = strip.requests[-1].split()[1]
        await anyio.sleep(1)
        await stream.send(reply(target))

    async def ask(http: HttpClient, target: str) -> None:
        got.append((await http.get(target)).body)

    async with site(echo_target, network=network) as strip:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                for number in range(5):
                    tg.start_soon(ask, http, f"/{number}")
                    await anyio.sleep(0.1)
    assert sorted(got) == [b"/0", b"/1", b"/2", b"/3", b"/4"]


@virtual_time
async def test_at_most_ten_connections_are_open_at_a_time(network: MemoryNetwork):
    async def slowly(stream: ByteStream) -> None:
        await anyio.sleep(1)
        await stream.send(reply())

    async with site(slowly, network=network) as strip:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                for _ in range(25):
                    tg.start_soon(http.get, "/")
    assert (strip.most_connections, len(strip.requests)) == (10, 25)
    assert anyio.current_time() == 3


@virtual_time
@pytest.mark.parametrize(
    "left_over", [b"rubbish", reply(b"forged"), b"\r\n", b"HTTP/1.1 200"]
)
async def test_bytes_after_a_reply_are_not_taken_for_the_next(
    network: MemoryNetwork, left_over: bytes
):
    """A length that is too short leaves the rest of its body on the connection."""
    async with site(reply(b"one") + left_over, reply(b"two"), network=network) as strip:
        async with open_http(URL, network=network) as http:
            assert (await http.get("/")).body == b"one"
            try:
                second = await http.get("/")
            except ProtocolViolation:
                assert (await http.get("/")).body == b"two"
                assert strip.connections == 2
            else:
                assert second.body == b"two"


@virtual_time
async def test_a_reply_that_nobody_has_asked_for_is_named(network: MemoryNetwork):
    async with site(reply(b"one") + reply(b"forged"), network=network):
        async with open_http(URL, network=network) as http:
            await http.get("/")
            with pytest.raises(ProtocolViolation, match="came before the request"):
                await http.get("/")


# ------------------------------------------------------------------------- cancellation


@virtual_time
async def test_a_cancelled_request_leaves_no_open_connection(network: MemoryNetwork):
    async def slowly(stream: ByteStream) -> None:
        for begin in range(0, len(answer), 10):
            await stream.send(answer[begin : begin + 10])
            await anyio.sleep(0.1)

    answer = reply(b"x" * 30)
    async with site(slowly, network=network) as strip:
        async with open_http(URL, network=network) as http:
            # More rounds than there are places in the pool.
            for round_ in range(1, 40):
                with anyio.move_on_after(round_ * 0.05) as scope:
                    await http.get("/")
                await anyio.wait_all_tasks_blocked()
                if not scope.cancelled_caught:
                    break
                assert strip.open_connections == 0
            assert round_ > 12
            assert (await http.get("/")).status == 200


@virtual_time
async def test_a_request_cancelled_anywhere_leaves_the_client_usable():
    rounds = 0

    async def flow() -> None:
        nonlocal rounds
        rounds += 1
        with anyio.fail_after(100):
            await http.get("/?x=1")

    network = MemoryNetwork()
    async with site(then_close, network=network) as strip:
        async with open_http(URL, network=network) as http:
            assert await cancel_sweep(flow) > 4
            await anyio.wait_all_tasks_blocked()
            assert strip.open_connections == 0
            assert (await http.get("/")).body == b"ok"
    assert rounds > 4


@virtual_time
async def test_a_client_cancelled_anywhere_closes_all_its_connections(
    network: MemoryNetwork,
):
    async def flow() -> None:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                tg.start_soon(http.get, "/1")
                tg.start_soon(http.get, "/2")
            await http.get("/3")

    async with site(reply(), network=network) as strip:
        assert await cancel_sweep(flow, steps_of="all") > 10
        await anyio.wait_all_tasks_blocked()
        assert strip.open_connections == 0
    assert strip.connections > 10


@virtual_time
async def test_a_connection_may_be_closed_while_a_request_waits(network: MemoryNetwork):
    async def reset(stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        stream.reset()

    async with site(reset, reply(), network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(Exception, match="connection broken"):
                await http.get("/")
            assert (await http.get("/")).body == b"ok"
