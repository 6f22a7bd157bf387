"""Leaving a client: what is finished first, what is said, and how long it may take."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.mqtt import MqttClient, ReasonCode
from structiot.mqtt.wire.messages import Disconnect, Message, Puback
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


# -- a peer that lives ---------------------------------------------------------------


async def test_what_is_under_way_is_finished_first(broker):
    async with open_client(broker, max_inflight=3) as client:
        receipts = [
            await client.publish_soon("t", b"%d" % n, qos=1 + n % 2) for n in range(50)
        ]
    for receipt in receipts:
        await receipt.wait()
    connection = broker.connection
    await connection.ended.wait()
    assert len(connection.of(Message)) == 50
    assert type(connection.packets[-1]) is Disconnect


async def test_qos_0_is_written_before_the_goodbye(broker):
    async with open_client(broker) as client:
        for _ in range(100):
            await client.publish("t", bytes(5000))
    connection = broker.connection
    await connection.ended.wait()
    assert len(connection.of(Message)) == 100
    assert type(connection.packets[-1]) is Disconnect


async def test_acknowledgements_leave_before_the_goodbye(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1) as messages:
            await broker.connection.send(Message("t", b"x", qos=1, packet_id=7))
            await anext(messages)
    connection = broker.connection
    await connection.ended.wait()
    assert connection.of(Puback) == [Puback(packet_id=7)]


async def test_a_cancelled_block_says_goodbye_as_well(broker):
    with anyio.move_on_after(5):
        async with open_client(broker) as client:
            await client.publish_soon("t", b"x")
            await anyio.sleep_forever()
    connection = broker.connection
    await connection.ended.wait()
    assert [type(packet) for packet in connection.packets[1:]] == [Message, Disconnect]
    assert anyio.current_time() == 5


async def test_messages_that_cross_the_goodbye_do_no_harm(broker):
    broker.answer(Disconnect, lambda connection, packet: ())
    async with open_client(broker, wait_connected=True) as client:
        connection = broker.connection
        await connection.send(*[Message("t", bytes(1000)) for _ in range(50)])
        await client.publish("t", b"x", qos=1)
        await connection.send(Message("t", b"late"), Message("t", qos=2, packet_id=1))
    await connection.ended.wait()
    assert type(connection.packets[-1]) is Disconnect


async def test_the_will_may_be_asked_for_in_5_0(broker):
    async with open_client(broker, protocol="5.0") as client:
        await client.disconnect(ReasonCode.DISCONNECT_WITH_WILL)
    [goodbye] = broker.connection.of(Disconnect)
    assert goodbye.reason == ReasonCode.DISCONNECT_WITH_WILL


# -- a peer that does not ------------------------------------------------------------


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_silent_peer_is_waited_for_goodbye_s(broker, is_cancelled: bool):
    broker.ignore(Message)
    with anyio.CancelScope() as scope:
        async with open_client(broker, goodbye_s=2) as client:
            receipt = await client.publish_soon("t", b"x")
            if is_cancelled:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == 2
    with pytest.raises(LinkLost, match="closed"):
        await receipt.wait()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_peer_that_reads_nothing_is_waited_for_goodbye_s(
    broker, is_cancelled: bool
):
    with anyio.CancelScope() as scope:
        async with open_client(broker, goodbye_s=2) as client:
            broker.connection.stop_reading()
            await client.publish("t", bytes(1_000_000))
            if is_cancelled:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == 2
    assert not client.is_connected


async def test_a_connection_lost_while_leaving_is_not_waited_for(broker):
    broker.answer(Message, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, goodbye_s=60, **lasting()) as client:
        receipt = await client.publish_soon("t", b"x")
    assert anyio.current_time() == 0
    assert len(broker.connections) == 1
    with pytest.raises(LinkLost, match="closed"):
        await receipt.wait()


async def test_leaving_while_away_takes_no_time(broker):
    async with open_client(broker, reconnect_retries=-1) as client:
        broker.stop()
        await anyio.sleep(5)
        receipt = await client.publish_soon("t", b"x")
    assert anyio.current_time() == 5
    with pytest.raises(LinkLost, match="closed"):
        await receipt.wait()


async def test_leaving_in_the_middle_of_connecting_takes_no_time(broker):
    broker.stop()
    with anyio.move_on_after(3):
        async with open_client(broker, reconnect_retries=-1):
            pytest.fail("there is no connection")
    assert anyio.current_time() == 3


# -- disconnecting before the block ends ---------------------------------------------


async def test_after_disconnecting_iterators_end_and_publishers_are_told(broker):
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            await client.disconnect()
            assert [message async for message in messages] == []
            for qos in (0, 1, 2):
                with pytest.raises(LinkLost, match="closed"):
                    await client.publish("t", b"x", qos=qos)
            await client.disconnect()
        assert not client.is_connected
        await anyio.sleep(60)
    assert len(broker.connections) == 1
    assert len(broker.connection.of(Disconnect)) == 1


async def test_two_tasks_may_disconnect_at_once(broker):
    async with open_client(broker) as client:
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.disconnect)
            tg.start_soon(client.disconnect)
    assert len(broker.connection.of(Disconnect)) == 1


async def test_what_is_published_during_the_goodbye_does_not_follow_it(broker):
    async def publish(client: MqttClient) -> None:
        with pytest.raises(LinkLost, match="closed"):
            while True:
                await client.publish("t", b"x", qos=1)

    async with anyio.create_task_group() as tg:
        async with open_client(broker) as client:
            tg.start_soon(publish, client)
            await broker.connection.next(Message)
    connection = broker.connection
    await connection.ended.wait()
    assert type(connection.packets[-1]) is Disconnect
    assert len(connection.of(Disconnect)) == 1


async def test_reconnecting_on_request_goes_on_with_the_session(broker):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        receipt = await client.publish_soon("t", b"x")
        await broker.connection.next(Message)
        broker.oblige()
        await client.reconnect()
        assert client.is_connected
        await receipt.wait()
    assert len(broker.connections) == 2
    assert broker.connection.of(Message)[0].dup
    assert anyio.current_time() == 0


async def test_a_group_that_the_block_raises_stays_a_group(broker):
    with pytest.raises(ExceptionGroup) as caught:
        async with open_client(broker):
            raise ExceptionGroup("mine", [KeyError(), ValueError()])
    assert len(caught.value.exceptions) == 2
