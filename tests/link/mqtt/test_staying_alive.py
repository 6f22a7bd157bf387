"""Idle connections are kept alive, dead ones are noticed, whoever waits is told."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from structiot.errors import LinkLost
from structiot.mqtt import Disconnected
from structiot.mqtt.wire.messages import Connack, Connect, Message, Pingreq
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeConnection
from tests.link.mqtt.opening import open_client

pytestmark = pytest.mark.virtual_time


def pings(connection: FakeConnection) -> list[float]:
    return [
        time
        for time, packet in zip(connection.times, connection.packets, strict=True)
        if isinstance(packet, Pingreq)
    ]


# -- pings ---------------------------------------------------------------------------


async def test_an_idle_client_pings_in_time(broker):
    async with open_client(broker, keep_alive=10):
        await anyio.sleep(40)
    assert pings(broker.connection) == [9, 18, 27, 36]
    assert len(broker.connections) == 1


async def test_keep_alive_0_never_pings(broker):
    async with open_client(broker, keep_alive=0) as client:
        await anyio.sleep(3600)
        assert client.is_connected
        assert pings(broker.connection) == []


async def test_a_client_that_only_publishes_pings(broker):
    async with open_client(broker, keep_alive=10) as client:
        for _ in range(30):
            await client.publish("t", b"x")
            await anyio.sleep(1)
    assert pings(broker.connection) == [9, 18, 27]


async def test_a_client_that_only_receives_pings(broker):
    async with open_client(broker, keep_alive=10) as client:
        async with client.subscription("t"):
            for _ in range(30):
                await broker.connection.send(Message("t", b"x"))
                await anyio.sleep(1)
    assert pings(broker.connection) == [9, 18, 27]


async def test_the_broker_may_choose_the_keep_alive(broker):
    properties = ConnackProperties(server_keep_alive_s=4)
    broker.answer(Connect, lambda *_: (Connack(properties=properties),))
    async with open_client(broker, keep_alive=60, protocol="5.0"):
        await anyio.sleep(10)
    assert pings(broker.connection) == [3, 6, 9]


# -- dead peers ----------------------------------------------------------------------


async def test_a_peer_that_answers_no_ping_is_left_within_two_keep_alives(broker):
    broker.ignore(Pingreq)
    async with open_client(broker, keep_alive=10) as client:
        async with client.events() as events:
            await anext(events)
            lost = await anext(events)
        assert isinstance(lost, Disconnected)
        assert anyio.current_time() <= 20
        assert "did not answer a ping for 10 s" in lost.reason
        assert "mqtt://broker:1883" in lost.reason
        assert len(pings(broker.connections[0])) == 1


async def test_a_publisher_notices_a_peer_that_only_reads(broker):
    broker.ignore(Pingreq)
    async with open_client(broker, keep_alive=10) as client:
        while len(broker.connections) == 1:
            await client.publish("t", b"x")
            await anyio.sleep(0.5)
        assert anyio.current_time() <= 20.5


async def test_a_peer_that_reads_nothing_is_left_and_its_publishers_go_on(broker):
    async with open_client(broker, keep_alive=10) as client:
        first = broker.connection
        first.stop_reading()
        async with anyio.create_task_group() as tg:
            for _ in range(100):
                tg.start_soon(client.publish, "t", bytes(100_000))
            tg.start_soon(client.publish, "t", b"QoS 1", 1)
            await anyio.sleep(5)
        assert anyio.current_time() <= 21
        assert len(broker.connections) == 2
        assert broker.connection.of(Message)[-1].payload == b"QoS 1"


async def test_a_publisher_of_qos_0_waits_for_a_peer_that_reads_nothing(broker):
    async with open_client(broker, keep_alive=60, goodbye_s=0.1) as client:
        broker.connection.stop_reading()
        published = 0
        with anyio.move_on_after(30):
            while published < 1000:
                await client.publish("t", bytes(10_000))
                published += 1
        # 64 kB that the network buffers, 512 kB being written, as much that may wait.
        assert 100 < published <= 115


async def test_nothing_is_never_written(broker, monkeypatch):
    # Over a websocket it would be a frame.
    written: list[bytes] = []
    connect = broker.network.connect_tcp

    async def recorded(host: str, port: int) -> ByteStream:
        stream: ByteStream = await connect(host, port)
        send = stream.send

        async def record(item: bytes) -> None:
            written.append(item)
            await send(item)

        monkeypatch.setattr(stream, "send", record)
        return stream

    monkeypatch.setattr(broker.network, "connect_tcp", recorded)
    broker.ignore(Message)
    async with open_client(broker, max_inflight=1) as client:
        for _ in range(2):
            # There is nothing to write when the second has to wait for the first.
            await client.publish_soon("t", b"x", qos=1)
            await anyio.wait_all_tasks_blocked()
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(Message("t", b"x", qos=1, packet_id=1))
            await anext(messages)
        await client.ping()
    assert written
    assert b"" not in written


async def test_a_peer_that_pauses_loses_nothing(broker):
    async with open_client(broker, keep_alive=60) as client:
        connection = broker.connection
        connection.stop_reading()
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.publish, "t", bytes(1_000_000), 1)
            await anyio.sleep(30)
            connection.read_on()
    assert len(broker.connections) == 1
    assert len(broker.connection.of(Message)[0].payload) == 1_000_000


# -- pings on request ----------------------------------------------------------------


async def test_a_ping_waits_for_its_answer(broker):
    async with open_client(broker) as client:
        await client.ping()
        await client.ping()
    assert len(pings(broker.connection)) == 2


async def test_pings_at_once_share_an_answer(broker):
    async with open_client(broker) as client:
        async with anyio.create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(client.ping)
    assert len(pings(broker.connection)) == 1


async def test_a_ping_that_nobody_answers_raises_even_without_a_keep_alive(broker):
    broker.ignore(Pingreq)
    async with open_client(broker, keep_alive=0, connect_s=5) as client:
        with pytest.raises(LinkLost, match="did not answer a ping for 5 s"):
            await client.ping()
        assert anyio.current_time() == 5
        broker.oblige()
        await client.ping()
    assert len(broker.connections) == 2


async def test_a_ping_ends_with_the_connection_also_when_the_next_is_there_at_once(
    broker,
):
    broker.answer(Pingreq, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, keep_alive=0) as client:
        with anyio.fail_after(1):
            with pytest.raises(LinkLost, match="lost during a ping"):
                await client.ping()


async def test_a_ping_while_away_waits_for_the_connection(broker):
    async with open_client(broker, reconnect_retries=-1) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.ping)
            await anyio.sleep(5)
            await broker.start()
    assert len(pings(broker.connection)) == 1
