"""C48: a message's expiry is counted down while it waits, and not any more once sent."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt import MessageExpired, PublishProperties
from structiot.mqtt.wire.messages import Connack, Connect, Message, Puback
from structiot.mqtt.wire.properties import ConnackProperties
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

TEN_S = PublishProperties(message_expiry_s=10, content_type="x")


def expiries(messages: list[Message]) -> list[int | None]:
    return [m.properties.message_expiry_s if m.properties else None for m in messages]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_is_sent_at_once_carries_the_whole_interval(broker, qos: int):
    async with open_client(broker, protocol="5.0") as client:
        await client.publish("t", b"x", qos=qos, properties=TEN_S)
    assert expiries(broker.connection.of(Message)) == [10]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_time_spent_waiting_is_taken_off(broker, qos: int):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tg:

            async def publish() -> None:
                await client.publish("t", b"x", qos=qos, properties=TEN_S)

            tg.start_soon(publish)
            await anyio.sleep(4.5)
            await broker.start()
            connection = await broker.connected(2)
            message = await connection.next(Message)
    assert message.properties is not None
    assert 1 <= (message.properties.message_expiry_s or 0) <= 6
    assert message.properties.content_type == "x"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_has_expired_raises_in_time_and_is_never_sent(broker, qos: int):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        before = anyio.current_time()
        with pytest.raises(MessageExpired, match="'t' has expired"):
            await client.publish("t", b"old", qos=qos, properties=TEN_S)
        assert anyio.current_time() - before == pytest.approx(10, abs=0.1)
        assert client.counters.waiting == 0
        await broker.start()
        await client.publish("t", b"new", qos=1)
    assert [m.payload for m in broker.connection.of(Message)] == [b"new"]


async def test_what_nobody_waits_for_is_given_up_at_the_next_connection(broker):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        receipt = await client.publish_soon("t", b"old", properties=TEN_S)
        await anyio.sleep(11)
        await broker.start()
        await client.publish("t", b"new", qos=1)
        assert receipt.is_done
        with pytest.raises(MessageExpired):
            await receipt.wait()
    assert [m.payload for m in broker.connection.of(Message)] == [b"new"]


async def test_it_is_counted_while_the_window_is_full_as_well(broker):
    broker.ignore(Message)
    limits = ConnackProperties(receive_maximum=1)
    broker.answer(Connect, lambda *_: (Connack(properties=limits),))
    async with open_client(broker, protocol="5.0", goodbye_s=0) as client:
        await client.publish_soon("t", b"first")
        await client.publish_soon("t", b"second", properties=TEN_S)
        await anyio.sleep(7)
        connection = broker.connection
        await connection.send(
            Puback(packet_id=(await connection.next(Message)).packet_id)
        )
        message = await connection.next(Message)
        assert (message.payload, expiries([message])) == (b"second", [3])


async def test_a_message_that_waits_for_room_expires_there(broker):
    broker.ignore(Message)
    async with open_client(
        broker, protocol="5.0", outbox_items=1, max_inflight=1, goodbye_s=0
    ) as client:
        for payload in (b"under way", b"waiting"):
            await client.publish_soon("t", payload)
        before = anyio.current_time()
        with pytest.raises(MessageExpired):
            await client.publish_soon("t", b"no room", properties=TEN_S)
        assert anyio.current_time() - before == pytest.approx(10)


async def test_once_sent_it_is_sent_again_however_old_it_is(broker):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        receipt = await client.publish_soon("t", b"x", properties=TEN_S)
        await broker.connection.next(Message)
        broker.stop()
        await anyio.sleep(60)
        broker.oblige()
        await broker.start()
        await receipt.wait()
    [again] = broker.connection.of(Message)
    assert again.dup
    assert expiries([again]) == [10]
