"""Strips, and whoever pretends to be one: their trouble costs themselves alone."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.synchronize import Event

import anyio
import anyio.to_thread
import pytest

from structiot.errors import StructiotError
from structiot.maxsmart import MaxSmartStrip, discover_maxsmart, maxsmart_device
from structiot.sim import MaxSmartSim, sim_maxsmart
from tests.hostile.hostile_strip import HostileStrip

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = 30
BAD = 8

# What a strip may say, and in pieces of how many bytes.
REPLIES = {
    "one-byte chunks": (CHUNKED + b"1\r\nx\r\n" * 100_000, 65_536),
    "one-byte chunks, each by itself": (CHUNKED + b"1\r\nx\r\n" * 100_000, 6),
    "chunk extensions": (CHUNKED + (b"1;" + b"e" * 8000 + b"\r\nx\r\n") * 500, 65_536),
    "an endless chunk size": (CHUNKED + b"0" * 600_000, 65_536),
    "trailers": (CHUNKED + b"0\r\n" + b"a:\r\n" * 150_000, 65_536),
    "tiny headers": (HEAD + b"a:\r\n" * 150_000, 65_536),
    "headers, a byte at a time": (HEAD + b"a: b\r\n" * 50_000, 1),
    "one header, folded": (HEAD + b"a: b\r\n" + b" c\r\n" * 150_000, 65_536),
    "provisional heads": (b"HTTP/1.1 100 Continue\r\n\r\n" * 30_000, 65_536),
    "provisional heads of tiny headers": (
        (b"HTTP/1.1 100 Continue\r\n" + b"a:\r\n" * 2000 + b"\r\n") * 70,
        65_536,
    ),
    "blank lines": (b"\r\n" * 300_000, 65_536),
    "blanks before a colon": (HEAD + b"a" + b" " * 60_000 + b"b: c\r\n\r\n", 65_536),
    "nested JSON": (
        HEAD + b"Content-Length: 65536\r\n\r\n" + b'{"a":' * 13_107 + b"1",
        65_536,
    ),
    "a body, a byte at a time": (
        HEAD + b"Content-Length: 65536\r\n\r\n" + b" " * 65_536,
        1,
    ),
}


@asynccontextmanager
async def bad_strips(
    host: str, count: int, *, has_http: bool = True
) -> AsyncIterator[tuple[list[HostileStrip], list[MaxSmartStrip]]]:
    """Have some strips that are still polite, opened and polled."""
    async with AsyncExitStack() as stack:
        bad = [
            stack.enter_context(HostileStrip(host, number, has_http=has_http).running())
            for number in range(count)
        ]
        strips = [
            await stack.enter_async_context(
                maxsmart_device(
                    host, http_port=one.http_port, udp_port=one.udp_port, poll_s=0.5
                )
            )
            for one in bad
        ]
        for strip in strips:
            await stack.enter_async_context(strip.readings())
        yield bad, strips


@asynccontextmanager
async def good_strips(count: int) -> AsyncIterator[list[MaxSmartStrip]]:
    async with AsyncExitStack() as stack:
        sims: list[MaxSmartSim] = [
            await stack.enter_async_context(
                sim_maxsmart("127.0.0.1", http_port=0, udp_port=0, seed=number)
            )
            for number in range(count)
        ]
        yield [
            await stack.enter_async_context(
                maxsmart_device(
                    sim.host,
                    http_port=sim.http_port or 0,
                    udp_port=sim.udp_port,
                    reply_s=5,
                )
            )
            for sim in sims
        ]


async def switched(strips: list[MaxSmartStrip]) -> float:
    """Switch all of them at once, and give how long the slowest took."""
    begun_at = time.monotonic()
    async with anyio.create_task_group() as tg:
        for strip in strips:
            tg.start_soon(strip.turn_on, 1)
    return time.monotonic() - begun_at


@pytest.mark.parametrize(("reply", "pieces"), REPLIES.values(), ids=REPLIES.keys())
async def test_a_reply_that_costs_more_than_it_is_worth(
    watched, attacker, reply, pieces
):
    async with bad_strips(attacker, BAD) as (bad, strips):
        async with watched():
            for one in bad:
                one.bad_reply, one.bad_pieces = reply, pieces
            async with anyio.create_task_group() as tg:
                for strip in strips:
                    tg.start_soon(fails, strip)
        assert all(one.told for one in bad)


async def fails(strip: MaxSmartStrip) -> None:
    with pytest.raises(StructiotError):
        await strip.get_data()


async def test_good_strips_are_switched_while_bad_ones_answer_in_chunks(
    watched, attacker
):
    reply, pieces = REPLIES["one-byte chunks"]
    async with good_strips(GOOD) as good, bad_strips(attacker, BAD) as (bad, strips):
        usual_s = await switched(good)
        for one in bad:
            one.bad_reply, one.bad_pieces = reply, pieces
        slowest_s = 0.0
        async with watched(), anyio.create_task_group() as tg:
            for strip in strips:
                tg.start_soon(ask_again_and_again, strip)
            for _ in range(5):
                slowest_s = max(slowest_s, await switched(good))
            tg.cancel_scope.cancel()
    assert slowest_s < usual_s + 0.5


async def ask_again_and_again(strip: MaxSmartStrip) -> None:
    while True:
        with contextlib.suppress(StructiotError):
            await strip.get_data()


async def test_a_v3_question_answered_by_nonsense_without_end(watched, attacker):
    async with bad_strips(attacker, 1, has_http=False) as ((bad,), (strip,)):
        assert strip.is_available
        async with watched(grows_mb=8, keeps_mb=4):
            bad.floods = True
            for _ in range(5):
                await fails(strip)
        assert bad.told > 64


@pytest.mark.parametrize("kind", ["nonsense", "large", "strips", "another port"])
async def test_a_flood_of_answers_to_a_search(watched, attacker, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((attacker, 0))
        search = discover_maxsmart(
            broadcast=[attacker],
            udp_port=udp.getsockname()[1],
            # Of its own address, so that the answers reach it.
            local_host=None,
        )
        # A thread that floods would share the interpreter's lock, and to wait for that
        # takes processor time, 70 ms in a step of our own.
        spawn = multiprocessing.get_context("spawn")
        is_ready = spawn.Event()
        attack = spawn.Process(target=flood, args=(udp, attacker, kind, is_ready))
        attack.start()
        await anyio.to_thread.run_sync(is_ready.wait)
        async with watched(grows_mb=16, keeps_mb=8):
            found = await search
        await anyio.to_thread.run_sync(attack.join)
        assert attack.exitcode == 0
    # What is not from where it was asked is not even read.
    assert (search.malformed > 0) == (kind in {"nonsense", "large"})
    assert search.malformed <= 64
    assert (len(found) > 0) == (kind == "strips")
    assert len(found) <= 4096


def flood(udp: socket.socket, attacker: str, kind: str, is_ready: Event) -> None:
    """Answer whoever asks first, for two seconds."""
    with udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((attacker, 0))
        udp.settimeout(10)
        is_ready.set()
        _, peer = udp.recvfrom(4096)
        sender = other if kind == "another port" else udp
        until, number = time.monotonic() + 2.0, 0
        while time.monotonic() < until:
            number += 1
            with contextlib.suppress(ConnectionError):
                sender.sendto(datagram_of(kind, number), peer)


def datagram_of(kind: str, number: int) -> bytes:
    data: dict[str, object] = {"sn": f"SWP6{number:012}", "name": "n" * 500}
    if kind == "nonsense":
        return b"{" * 1000
    if kind == "large":
        data["x"] = "x" * 60_000
    return json.dumps({"response": 0, "data": data}).encode()


# What a client may say to a server of ours, such as a simulated strip.
REQUESTS = {
    "one-byte chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 200_000,
        65_536,
    ),
    "chunk extensions": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"1;" + b"e" * 8000 + b"\r\nx\r\n") * 500,
        65_536,
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"a:\r\n" * 150_000,
        65_536,
    ),
    "tiny headers": (b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 150_000, 65_536),
    "headers, a byte at a time": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, 1),
    "a request line without end": (b"GET /" + b"x" * 600_000, 65_536),
    "blank lines": (b"\r\n" * 300_000, 65_536),
    "requests ahead": (b"GET /?cmd=511 HTTP/1.1\r\nHost: x\r\n\r\n" * 5000, 65_536),
}


@pytest.mark.parametrize(("request_", "pieces"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_that_costs_more_than_it_is_worth(
    watched, attacker, request_, pieces
):
    def attack(address: tuple[str, int]) -> None:
        for _ in range(3):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(address, 10, (attacker, 0)) as sock,
            ):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for begin in range(0, len(request_), pieces):
                    sock.sendall(request_[begin : begin + pieces])

    async with (
        sim_maxsmart("127.0.0.1", http_port=0, udp_port=0) as sim,
        maxsmart_device(
            sim.host, http_port=sim.http_port or 0, udp_port=sim.udp_port
        ) as strip,
    ):
        async with watched(), anyio.create_task_group() as tg:
            for _ in range(4):
                address = (sim.host, sim.http_port or 0)
                tg.start_soon(anyio.to_thread.run_sync, attack, address)
        assert await strip.check_state(1) is not None
