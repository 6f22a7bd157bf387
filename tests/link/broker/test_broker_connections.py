"""Connections of a broker: rows B1, B5, B8, B24, B25, B26 and B28, with bytes and time."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError, ConnectFailed
from structiot.mqtt.broker import (
    Passwords,
    Permission,
    Permissions,
    hash_password,
    open_broker,
)
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Puback,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.testing import cancel_sweep
from tests.link.broker.raw import HOST, RawClient, broker_place, goodbye_of

pytestmark = pytest.mark.virtual_time
versions = pytest.mark.parametrize("version", [4, 5])


# -- B1: time for the first packet


async def test_b1_a_client_that_says_nothing_is_let_go_in_time():
    async with broker_place(connect_s=10) as place:
        client = await place.raw()
        assert await client.closed() == []
        assert anyio.current_time() == 10


async def test_b1_a_byte_a_second_is_not_enough():
    connect = encode(Connect(client_id="a name of some length"), 4)
    async with broker_place(connect_s=10) as place:
        client = await place.raw()
        with pytest.raises(anyio.BrokenResourceError):
            for byte in connect:
                await client.stream.send(bytes((byte,)))
                await anyio.sleep(1)
        assert anyio.current_time() == 10


async def test_b1_once_connected_there_is_all_the_time():
    async with broker_place(connect_s=10) as place:
        client = await place.client()
        await anyio.sleep(1000)
        assert await client.is_alive()


async def test_b1_a_port_probe_and_an_http_request_are_closed_at_once():
    async with broker_place() as place:
        await (await place.stream()).aclose()
        client = await place.raw()
        await client.stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.closed() == []
        assert anyio.current_time() == 0


# -- B5: takeover


@versions
async def test_b5_the_old_connection_is_told_and_closed(version: int):
    async with broker_place() as place:
        old = await place.client("same", version)
        new = await place.client("same", version)
        if version == 5:
            goodbye = await goodbye_of(old)
            assert goodbye.reason == ReasonCode.SESSION_TAKEN_OVER
        else:
            assert await old.closed() == []
        assert await new.is_alive()
        assert place.server.clients == ["same"]


# -- B8: keep-alive


@versions
async def test_b8_a_silent_client_is_cut_off_at_the_moment_it_is_due(version: int):
    async with broker_place() as place:
        listener = await place.subscriber("will", client_id="listener")
        client = await place.client(
            "silent", version, keep_alive_s=10, will=Will(topic="will", payload=b"w")
        )
        assert await listener.payloads(1) == [b"w"]
        assert anyio.current_time() == 15
        reasons = [p.reason for p in await client.closed() if isinstance(p, Disconnect)]
        assert reasons == ([ReasonCode.KEEP_ALIVE_TIMEOUT] if version == 5 else [])


@versions
async def test_b8_pings_keep_it_alive(version: int):
    async with broker_place() as place:
        client = await place.client("c", version, keep_alive_s=10)
        for _ in range(10):
            await anyio.sleep(14.9)
            assert await client.is_alive()


# -- B24, B25: order


@versions
async def test_b25_connect_and_more_in_one_write(version: int):
    async with broker_place() as place:
        client = await place.raw(version)
        request = SubscriptionRequest(topic_filter="a")
        await client.send(
            Connect(client_id="hasty", version=version),
            Subscribe(packet_id=1, subscriptions=(request,)),
            Message("a", b"x", qos=1, packet_id=2),
        )
        kinds = [type(await client.next()) for _ in range(4)]
        assert kinds[:2] == [Connack, Suback]
        assert set(kinds[2:]) == {Message, Puback}


async def test_b25_nothing_is_processed_while_a_password_is_checked():
    passwords = Passwords({"alice": hash_password("wonderland")})
    async with broker_place(passwords=passwords) as place:
        listener = await place.client("l", username="alice", password=b"wonderland")
        await listener.subscribe("a")
        client = await place.raw()
        await client.send(
            Connect(client_id="x", username="alice", password=b"guess"),
            Message("a", b"smuggled"),
        )
        refusal = await client.expect(Connack)
        assert refusal.reason == ConnectReturnCode.BAD_USER_NAME_OR_PASSWORD
        assert await client.closed() == []
        assert await listener.is_alive()


async def test_b24_a_goodbye_reaches_a_client_that_goes_on_sending():
    async with broker_place(packet_bytes=1000) as place:
        client = await place.client("c", 5)
        await client.stream.send(b"\x30\xff\xff\xff\x7f")
        async with anyio.create_task_group() as tg:
            tg.start_soon(flood, client)
            goodbye = await goodbye_of(client)
            tg.cancel_scope.cancel()
        assert goodbye.reason == ReasonCode.PACKET_TOO_LARGE


async def flood(client: RawClient) -> None:
    with pytest.raises(anyio.BrokenResourceError):
        while True:
            await client.stream.send(bytes(10_000))


async def test_b24_a_client_that_does_not_hang_up_is_hung_up_on():
    async with broker_place() as place:
        client = await place.client("c", 5)
        await client.stream.send(b"\xff\xff")
        await goodbye_of(client)
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await client.stream.send(b"\xc0\0")
                await anyio.sleep(0.1)
        assert 0.9 <= anyio.current_time() <= 1.2
        assert place.server.clients == []


# -- B26: who is let in


async def test_b26_anonymous_clients_are_let_in_on_this_machine_only():
    async with broker_place(host="192.0.2.7", listen="mqtt://127.0.0.1:1883") as place:
        client = await place.raw()
        connack = await client.connect()
        assert connack.reason == ConnectReturnCode.NOT_AUTHORIZED
        connack = await (await place.raw()).connect(username="alice", password=b"x")
        assert connack.reason == ConnectReturnCode.NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({"username": "alice", "password": b"wonderland"}, 0),
        ({"username": "alice", "password": b"guess"}, 4),
        ({"username": "alice"}, 4),
        ({"username": "carol", "password": b"wonderland"}, 4),
        ({}, 5),
    ],
)
async def test_b26_a_password_file_decides(account: dict[str, Any], code: int):
    passwords = Passwords({"alice": hash_password("wonderland")})
    async with broker_place(passwords=passwords) as place:
        connack = await (await place.raw()).connect(**account)
        assert connack.reason == code


async def test_b26_anonymous_clients_may_be_allowed_beside_passwords():
    passwords = Passwords({"alice": hash_password("wonderland")})
    async with broker_place(passwords=passwords, allows_anonymous=True) as place:
        assert await (await place.client()).is_alive()


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("mqtt://0.0.0.0:1883", "passwords"),
        ("mqtt://example.org:1883", "passwords"),
        ("mqtts://127.0.0.1:8883", "certificate"),
        ("unix:///tmp/socket", "TCP"),
    ],
)
async def test_b26_an_address_that_would_be_open_to_all_is_refused(uri: str, hint: str):
    with pytest.raises(ConfigError, match=hint):
        async with open_broker(uri):
            pass


# -- B28: nobody else notices


async def test_b28_more_connections_than_allowed_are_turned_away():
    async with broker_place(connections=2) as place:
        first, _ = await place.client("a"), await place.client("b")
        third = await place.raw()
        with contextlib.suppress(anyio.BrokenResourceError):
            await third.send(Connect(client_id="c"))
        assert await third.closed() == []
        # The others may just have been leaving.
        assert anyio.current_time() == pytest.approx(0.1)
        await first.stream.aclose()
        await anyio.wait_all_tasks_blocked()
        assert await (await place.client("c")).is_alive()


class Trap(Permissions):
    """Permissions with a fault in them."""

    def may_publish(self, user: str | None, client_id: str, topic: str) -> bool:
        if topic == "trap":
            raise ZeroDivisionError
        return True


async def test_b28_a_fault_of_our_own_costs_the_client_that_met_it(
    caplog: pytest.LogCaptureFixture,
):
    async with broker_place() as place:
        place.server.core.permissions = Trap([Permission(subscribe=["#"])])
        neighbour = await place.subscriber("#", client_id="neighbour")
        unlucky = await place.client("unlucky", 5)
        await unlucky.send(Message("trap"))
        assert await unlucky.closed() == []
        assert await neighbour.is_alive()
        assert place.server.clients == ["neighbour"]
    assert "ZeroDivisionError" in caplog.text


async def test_b28_a_reader_that_takes_nothing_is_cut_off_and_others_go_on():
    async with broker_place(write_bytes=100_000, stall_s=30) as place:
        await place.subscriber("#", client_id="stuck")
        healthy = await place.subscriber("#", client_id="healthy")
        publisher = await place.client("publisher")
        for _ in range(50):
            await publisher.send(Message("a", bytes(10_000)))
            assert len((await healthy.payloads(1))[0]) == 10_000
        assert anyio.current_time() <= 1  # the patience that others had with it
        assert place.server.clients == ["stuck", "healthy", "publisher"]
        await anyio.sleep(31)
        assert place.server.clients == ["healthy", "publisher"]
        assert await healthy.is_alive()


async def test_b28_a_reader_that_takes_something_in_time_is_not_cut_off():
    async with broker_place(stall_s=30) as place:
        slow = await place.subscriber("#", client_id="slow")
        publisher = await place.client("publisher")
        for _ in range(60):
            await publisher.send(Message("a", bytes(10_000)))
        for _ in range(3):
            await anyio.sleep(29)
            await slow.stream.receive(70_000)
        await anyio.sleep(29)
        assert place.server.clients == ["slow", "publisher"]
        await anyio.sleep(2)
        assert place.server.clients == ["publisher"]


async def test_b28_a_reader_slower_than_the_publisher_loses_nothing_if_it_is_not_much():
    async with broker_place(write_bytes=100_000) as place:
        reader = await place.subscriber("#")
        publisher = await place.client("publisher")
        got: list[bytes] = []

        async def read_slowly() -> None:
            for _ in range(100):
                got.extend(await reader.payloads(1))
                await anyio.sleep(0.001)

        async with anyio.create_task_group() as tg:
            tg.start_soon(read_slowly)
            for number in range(100):
                await publisher.send(Message("a", b"%04d" % number + bytes(9_996)))
        assert [int(payload[:4]) for payload in got] == list(range(100))
        assert place.server.core.lost == 0


# -- the end


@versions
async def test_b29_an_acknowledgement_and_a_message_leave_in_one_piece(version: int):
    """As two small writes each round would cost 40 ms where the peer acknowledges late."""
    async with broker_place() as place:
        client = await place.client(version=version)
        await client.subscribe("a", qos=1)
        await client.send(Message("a", b"x", qos=1, packet_id=7))
        data = await client.stream.receive()
        packets = Decoder(role="client", version=version).feed(data)
        assert {type(packet) for packet in packets} == {Message, Puback}


@versions
async def test_leaving_the_block_tells_the_clients_and_closes(version: int):
    async with broker_place() as place:
        client = await place.client("c", version)
        place.aclose = anyio.lowlevel.checkpoint  # type: ignore[method-assign]
    reasons = [p.reason for p in await client.closed() if isinstance(p, Disconnect)]
    assert reasons == ([ReasonCode.SERVER_SHUTTING_DOWN] if version == 5 else [])
    await client.stream.aclose()
    assert anyio.current_time() < 2


async def test_leaving_the_block_does_not_wait_for_a_client_that_does_not_hang_up():
    async with broker_place() as place:
        await place.client("c", 5)
        left_at = anyio.current_time()
    assert anyio.current_time() - left_at <= 1.5


async def test_an_address_in_use_is_connect_failed():
    async with broker_place() as place:
        with pytest.raises(ConnectFailed):
            async with open_broker(
                f"mqtt://{HOST}:1883", environment=Environment(network=place.network)
            ):
                pass


async def test_a_broker_cancelled_anywhere_leaves_nothing():
    async def flow() -> None:
        async with broker_place() as place:
            client = await place.client("c", 5)
            await client.subscribe("a", qos=1)
            await client.send(Message("a", qos=1, packet_id=3), Pingreq())
            for _ in range(3):
                await client.next()

    await cancel_sweep(flow)
