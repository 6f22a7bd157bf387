"""Readers who take their time: what is dropped, what is held back, who is harmed."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt.wire.messages import Connect, Message, Puback
from tests.link.mqtt.opening import exchanged, open_client, take

pytestmark = pytest.mark.virtual_time

MANY = 10_000


def numbered(count: int, *, qos: int = 0, topic: str = "t") -> list[Message]:
    return [
        Message(topic, b"%d" % n, qos=qos, packet_id=n + 1 if qos else 0)
        for n in range(count)
    ]


def numbers(first: int, end: int) -> list[bytes]:
    return [b"%d" % n for n in range(first, end)]


async def test_ten_thousand_messages_of_qos_0_drop_the_oldest_and_count(broker):
    async with open_client(broker) as client:
        async with (
            client.subscription("t", max_items=100) as sleeping,
            client.subscription("+") as awake,
        ):
            got: list[bytes] = []

            async def read() -> None:
                got.extend(await take(awake, MANY))

            async with anyio.create_task_group() as tg:
                tg.start_soon(read)
                await broker.connection.send(*numbered(MANY))
                await exchanged(client)
            assert got == numbers(0, MANY)
            assert awake.dropped == 0
            assert (len(sleeping), sleeping.dropped) == (100, MANY - 100)
            assert client.counters.dropped == MANY - 100
            assert await take(sleeping, 100) == numbers(MANY - 100, MANY)


async def test_a_burst_of_losses_is_one_warning(broker, caplog):
    async with open_client(broker) as client:
        async with client.subscription("t", max_items=10) as messages:
            for _ in range(2):
                await broker.connection.send(*numbered(100))
                await exchanged(client)
                await take(messages, 10)
                with anyio.move_on_after(1):
                    await anext(messages)
    warnings = [record.getMessage() for record in caplog.records]
    assert [text for text in warnings if "dropping" in text] == [
        "subscription t: 10 messages wait, dropping the oldest; 1 lost so far",
        "subscription t: 10 messages wait, dropping the oldest; 91 lost so far",
    ]


@pytest.mark.parametrize("qos", [1, 2])
async def test_ten_thousand_messages_of_qos_1_and_2_are_held_back_unacknowledged(
    broker, qos: int
):
    async with open_client(broker) as client:
        async with (
            client.subscription("t", qos=qos, max_items=100) as sleeping,
            client.subscription("other", qos=1) as other,
        ):
            connection = broker.connection
            await connection.send(*numbered(MANY, qos=qos))
            await exchanged(client)
            assert (len(sleeping), sleeping.dropped) == (MANY, 0)
            assert client.counters.unsettled == MANY
            sent = len(connection.packets)
            # Others go on meanwhile, in both directions.
            await connection.send(Message("other", b"x"))
            assert await take(other, 1) == [b"x"]
            await client.publish("t", b"x", qos=2)
            assert await take(sleeping, MANY) == numbers(0, MANY)
            await exchanged(client)
            ids = [
                packet.packet_id
                for packet in connection.packets[sent:]
                if type(packet).__name__ == ("Puback" if qos == 1 else "Pubrec")
            ]
            assert ids == list(range(1, MANY + 1))
            assert client.counters.unsettled == 0


async def test_the_broker_of_5_0_is_told_how_many_may_be_open(broker):
    async with open_client(broker, protocol="5.0", receive_maximum=20):
        connect = broker.connection.of(Connect)[0]
        assert connect.properties.receive_maximum == 20


async def test_qos_0_gives_way_to_what_may_not_be_dropped(broker):
    mixed = [Message("t", b"old"), *numbered(5, qos=1), Message("t", b"new")]
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, max_items=3) as messages:
            await broker.connection.send(*mixed)
            await exchanged(client)
            assert await take(messages, 6) == [*numbers(0, 5), b"new"]
            assert messages.dropped == 1


async def test_where_nothing_may_be_dropped_the_newcomer_is(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, max_items=3) as messages:
            await broker.connection.send(*numbered(200, qos=1), Message("t", b"QoS 0"))
            await exchanged(client)
            assert (len(messages), messages.dropped) == (200, 1)


async def test_acknowledged_on_receipt_even_qos_1_is_bounded(broker):
    async with open_client(broker) as client:
        async with client.subscription(
            "t", qos=1, ack="on_receive", max_items=10
        ) as messages:
            await broker.connection.send(*numbered(100, qos=1))
            await exchanged(client)
            assert len(broker.connection.of(Puback)) == 100
            assert (len(messages), messages.dropped) == (10, 90)
            assert await take(messages, 10) == numbers(90, 100)


async def test_what_waits_is_bounded_in_bytes(broker):
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            for _ in range(12):
                await broker.connection.send(Message("t", bytes(8_000_000)))
                await exchanged(client)
            # 64 MB, and what came since it was looked at.
            assert 8 <= len(messages) <= 9
            assert messages.dropped == 12 - len(messages)


async def test_a_reader_that_was_slow_gets_everything_again_once_it_is_quick(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", max_items=10) as messages:
            await broker.connection.send(*numbered(100))
            await exchanged(client)
            await take(messages, 10)
            for payload in numbers(0, 50):
                await broker.connection.send(Message("t", payload))
                assert await take(messages, 1) == [payload]
            assert messages.dropped == 90
