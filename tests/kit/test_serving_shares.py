"""No address has all places, and none has all the time that handshakes take."""

from __future__ import annotations

import ssl
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from structiot._kit.net.handshakes import Handshakes
from structiot._kit.net.memory import memory_pipe
from structiot._kit.net.network import network_of
from tests.kit.dial_in import echo, hall, says
from tests.kit.test_serving import is_closed

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("?", "?"),
    ],
)
def test_a_house_of_ipv6_counts_as_one(host: str, network: str):
    assert network_of(host) == network


async def test_the_last_places_are_for_addresses_that_have_few():
    async with hall(echo, clients=20, spare=4) as place:
        greedy = [await place.dial_from("2001:db8::9") for _ in range(16)]
        assert await is_closed(await place.dial_from("2001:db8::a"))
        modest = [await place.dial_from("192.0.2.10") for _ in range(4)]
        for stream in (*greedy, *modest):
            assert await says(stream, b"x")


async def test_of_those_that_nobody_knows_the_address_that_has_most_yields():
    async with hall(echo, clients=10, unidentified=10) as place:
        slow = await place.dial_from("192.0.2.10")
        silent = [await place.dial_from("192.0.2.9") for _ in range(30)]
        assert await says(slow, b"at last")
        assert [await is_closed(one) for one in silent[:21]] == [True] * 21
        assert await says(silent[-1], b"x")


async def test_between_two_handshakes_everybody_else_has_a_turn():
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    events: list[str] = []
    server.sni_callback = lambda *_: events.append("hello")
    handshakes = Handshakes()
    done = 0

    async def accept(stream: ByteStream, network: str) -> None:
        nonlocal done
        async with await handshakes.wrap(stream, server, network) as tls:
            await tls.send(b"welcome")
            done += 1

    async def connect(stream: ByteStream) -> None:
        tls = await TLSStream.wrap(stream, hostname="127.0.0.1", ssl_context=client)
        assert await tls.receive() == b"welcome"

    async def others() -> None:
        while done < 20:
            events.append("others")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tg:
        for number in range(20):
            near, far = memory_pipe()
            tg.start_soon(accept, far, str(number % 3))
            tg.start_soon(connect, near)
        tg.start_soon(others)
    assert events.count("hello") == 20
    assert ("hello", "hello") not in pairwise(events)


async def test_addresses_take_turns_at_handshakes_and_who_goes_passes_the_turn_on():
    handshakes = Handshakes()
    order: list[str] = []

    async def step(network: str) -> None:
        await handshakes.begin(network)
        order.append(network)
        await anyio.lowlevel.checkpoint()
        handshakes.end()

    await handshakes.begin("first")
    async with anyio.create_task_group() as tg:
        for _ in range(10):
            tg.start_soon(step, "many")
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as gone:
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(step, "gone")
                await anyio.wait_all_tasks_blocked()
                gone.cancel()
        tg.start_soon(step, "one")
        await anyio.wait_all_tasks_blocked()
        handshakes.end()
    assert order.index("one") == 1
    assert sorted(order) == ["many"] * 10 + ["one"]
