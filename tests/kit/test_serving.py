"""Clients that dial in: one task each, limits, deadlines, their faults, the end."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream

from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import LOST
from structiot._kit.net.serving import ClientStream, Endpoint
from structiot._kit.net.tls import client_context, start_tls
from structiot._kit.websocket import accept_websocket, connect_websocket
from structiot.errors import AuthRefused, ConnectFailed
from tests.kit.dial_in import HERE, echo, hall, says

pytestmark = pytest.mark.virtual_time


async def is_closed(stream: ByteStream) -> bool:
    """Wait for the end, and see that nothing came before it."""
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await stream.receive()
    return True


# ------------------------------------------------------------------ being served


async def test_each_client_is_served_for_itself():
    async with hall(echo) as place:
        first, second = await place.dial(), await place.dial()
        assert await says(second, b"two")
        assert await says(first, b"one")
        assert place.server.clients == 2
        await first.aclose()
        await anyio.wait_all_tasks_blocked()
        assert place.server.clients == 1
        assert await says(second, b"again")


async def test_a_client_has_an_address_and_an_endpoint():
    seen: list[tuple[str, Endpoint]] = []

    async def handler(client: ClientStream) -> None:
        seen.append((client.host, client.endpoint))
        await anyio.sleep_forever()

    there = Endpoint(host="127.0.0.1", port=4711)
    async with hall(handler, HERE, there) as place:
        assert place.server.addresses[1] == ("127.0.0.1", 4711)
        await place.dial(1)
        await place.dial_from("192.0.2.9")
    assert dict(seen) == {"127.0.0.1": there, "192.0.2.9": HERE}


async def test_an_address_that_is_taken_cannot_be_bound():
    network = MemoryNetwork()
    here = Endpoint(host="127.0.0.1", port=1)
    async with hall(echo, here, network=network):
        with pytest.raises(ConnectFailed):
            async with hall(echo, here, network=network):
                pytest.fail("the port is taken")


@pytest.mark.parametrize("fault", [ZeroDivisionError("ours"), AuthRefused("theirs")])
async def test_what_a_handler_raises_costs_that_client_and_is_said_once(
    fault: Exception, caplog: pytest.LogCaptureFixture
):
    async def handler(client: ClientStream) -> None:
        if await client.stream.receive() == b"fail":
            raise fault
        await echo(client)

    caplog.set_level(logging.INFO)
    async with hall(handler) as place:
        good, bad = await place.dial(), await place.dial_from("192.0.2.9")
        await good.send(b"x")
        await bad.send(b"fail")
        assert await is_closed(bad)
        assert await says(good, b"hello")
    [record] = caplog.records
    assert "client 192.0.2.9" in record.getMessage()
    is_ours = isinstance(fault, ZeroDivisionError)
    assert (record.levelno == logging.ERROR) is is_ours
    assert str(fault) in caplog.text


async def test_what_runs_beside_a_handler_ends_with_its_client():
    ended: list[str] = []

    async def beside(host: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(host)

    async def handler(client: ClientStream) -> None:
        client.start(partial(beside, client.host))
        await echo(client)

    async with hall(handler) as place:
        near, far = await place.dial(), await place.dial_from("192.0.2.9")
        assert await says(near, b"x")
        assert await says(far, b"x")
        await far.aclose()
        await anyio.wait_all_tasks_blocked()
        assert ended == ["192.0.2.9"]
    assert ended == ["192.0.2.9", "127.0.0.1"]


async def test_a_fault_beside_a_handler_costs_that_client_alone(
    caplog: pytest.LogCaptureFixture,
):
    async def fail() -> None:
        raise ZeroDivisionError

    async def handler(client: ClientStream) -> None:
        if await client.stream.receive() == b"fail":
            client.start(fail)
        await echo(client)

    async with hall(handler) as place:
        good, bad = await place.dial(), await place.dial()
        await good.send(b"x")
        await bad.send(b"fail")
        assert await is_closed(bad)
        assert await says(good, b"hello")
    assert [r.getMessage() for r in caplog.records] == ["client 127.0.0.1 is cut off"]


# ------------------------------------------------------------------ the first words


async def test_who_does_not_say_who_it_is_is_let_go_in_time(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    async with hall(echo, first_words_s=5) as place:
        silent, talker = await place.dial(), await place.dial()
        assert await says(talker, b"me")
        assert await is_closed(silent)
        assert anyio.current_time() == 5
        await anyio.sleep(1000)
        assert await says(talker, b"still there")
    assert "did not say who it is within 5 s" in caplog.text
    assert len(caplog.records) == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(authority: trustme.CA) -> Endpoint:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Endpoint(host="127.0.0.1", port=0, ssl_context=context)


async def test_handshakes_that_do_not_end_are_ended_and_keep_nobody_waiting(
    authority: trustme.CA, encrypted: Endpoint
):
    async with hall(echo, encrypted, first_words_s=5) as place:
        stuck = [await place.dial() for _ in range(20)]
        await stuck[0].send(b"\x16\x03\x01\x02\x00\x01")
        plain = await place.dial()
        await plain.send(b"GET / HTTP/1.1\r\n\r\n")
        context = client_context(cadata=authority.cert_pem.bytes().decode())
        good = await start_tls(
            await place.dial(),
            context,
            host="127.0.0.1",
            port=place.server.addresses[0][1],
        )
        assert await says(good, b"hello")
        assert anyio.current_time() == 0
        for stream in stuck:
            assert await is_closed(stream)
        assert anyio.current_time() == 5
        assert place.server.clients == 1


async def test_a_stream_may_be_upgraded_within_the_same_time():
    async def upgrade(stream: ByteStream) -> ByteStream:
        return (await accept_websocket(stream)).as_byte_stream()

    here = Endpoint(host="127.0.0.1", port=0, upgrade=upgrade)
    async with hall(echo, here, first_words_s=5) as place:
        silent, mistaken = await place.dial(), await place.dial()
        await mistaken.send(b"\x10\x00\r\n\r\n")
        websocket = await connect_websocket(await place.dial(), host="here")
        await websocket.send(b"hello")
        assert await websocket.receive() == b"hello"
        assert await mistaken.receive()
        assert await is_closed(mistaken)
        assert anyio.current_time() == 0
        assert await is_closed(silent)
        assert anyio.current_time() == 5


# ------------------------------------------------------------------ limits


async def test_more_clients_than_allowed_are_turned_away(
    caplog: pytest.LogCaptureFixture,
):
    async with hall(echo, clients=2) as place:
        first, second = await place.dial(), await place.dial()
        assert await says(first, b"x")
        assert await says(second, b"x")
        assert await is_closed(await place.dial())
        await first.aclose()
        await anyio.wait_all_tasks_blocked()
        assert await says(await place.dial(), b"x")
    assert "2 clients connected already, 127.0.0.1 is turned away" in caplog.text


@pytest.mark.parametrize("is_of_one_address", [False, True])
async def test_who_comes_just_after_others_have_left_is_let_in(is_of_one_address: bool):
    limit: dict[str, Any] = {"per_address" if is_of_one_address else "clients": 20}
    async with hall(echo, **limit) as place:
        for _ in range(20):
            guests = [await place.dial() for _ in range(20)]
            for guest in guests:
                assert await says(guest, b"x")
            for guest in guests:
                await guest.aclose()


async def test_those_who_wait_for_a_place_are_few_and_wait_a_moment():
    async with hall(echo, clients=1) as place:
        first = await place.dial()
        assert await says(first, b"x")
        crowd = [await place.dial() for _ in range(100)]
        assert [await is_closed(one) for one in crowd] == [True] * 100
        assert anyio.current_time() == pytest.approx(0.1)
        late = [await place.dial() for _ in range(2)]
        await anyio.sleep(0.05)
        await first.aclose()
        served = []
        for one in late:
            with suppress(*LOST):
                served.append(await says(one, b"x"))
        assert served == [True]


async def test_who_waits_for_a_place_when_the_server_is_cancelled_is_closed():
    with anyio.CancelScope() as scope:
        async with hall(echo, clients=1) as place:
            first = await place.dial()
            assert await says(first, b"x")
            late = await place.dial()
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await anyio.sleep_forever()
    with anyio.fail_after(1):
        assert await is_closed(late)


async def test_a_storm_of_those_turned_away_is_said_once_and_counted(
    caplog: pytest.LogCaptureFixture,
):
    async with hall(echo, clients=1) as place:
        client = await place.dial()
        assert await says(client, b"x")
        for _ in range(500):
            assert await is_closed(await place.dial())
        first = "1 client connected already, 127.0.0.1 is turned away"
        assert caplog.messages == [first]
        await anyio.sleep(61)
        assert caplog.messages[1:] == ["connections were turned away: 499 more"]
        await anyio.sleep(3600)
        assert len(caplog.messages) == 2
        for _ in range(3):
            assert await is_closed(await place.dial())
    assert caplog.messages[2:] == [first, "connections were turned away: 2 more"]


async def test_one_address_cannot_have_all_places():
    async with hall(echo, per_address=2) as place:
        greedy = [await place.dial_from("192.0.2.9") for _ in range(3)]
        assert await is_closed(greedy[2])
        assert await says(await place.dial_from("192.0.2.10"), b"x")
        await greedy[0].aclose()
        await anyio.wait_all_tasks_blocked()
        assert await says(await place.dial_from("192.0.2.9"), b"x")
        assert await says(greedy[1], b"x")


async def test_of_those_that_nobody_knows_the_oldest_yields_to_a_newcomer():
    async with hall(echo, unidentified=3) as place:
        known = await place.dial()
        assert await says(known, b"me")
        unknown = [await place.dial_from("192.0.2.9") for _ in range(5)]
        assert await is_closed(unknown[0])
        assert await is_closed(unknown[1])
        assert anyio.current_time() < 5
        for stream in (known, *unknown[2:]):
            assert await says(stream, b"x")


async def test_a_full_server_has_room_as_long_as_there_is_somebody_unknown():
    async with hall(echo, clients=2, unidentified=2) as place:
        known, unknown = await place.dial(), await place.dial()
        assert await says(known, b"me")
        newcomer = await place.dial()
        assert await is_closed(unknown)
        assert await says(newcomer, b"me")
        assert await is_closed(await place.dial())
        assert await says(known, b"x")
