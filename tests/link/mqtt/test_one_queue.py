"""distmqtt's way: subscribe, deliver_message, unsubscribe on the client itself."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import LinkLost, PeerError, UsageError
from structiot.mqtt import QOS_0, QOS_1, QOS_2, MqttClient, ReasonCode
from structiot.mqtt.wire.messages import Message, Puback, Suback, Subscribe, Unsubscribe
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client

pytestmark = pytest.mark.virtual_time


async def test_messages_of_all_filters_come_in_one_queue(broker):
    async with open_client(broker) as client:
        codes = await client.subscribe([("a/#", QOS_1), ("b", QOS_2)])
        assert codes == [1, 2]
        await broker.connection.send(
            Message("a/1", b"1", qos=1, packet_id=1), Message("b", b"2")
        )
        received = [await client.deliver_message() for _ in range(2)]
        assert [message.data for message in received if message] == [b"1", b"2"]
        await exchanged(client)
        assert broker.connection.of(Puback) == [Puback(packet_id=1)]


async def test_a_refused_filter_is_a_code_and_leaves_the_others(broker):
    broker.answer(
        Subscribe,
        lambda _, packet: (
            Suback(
                packet_id=packet.packet_id,
                reasons=tuple(
                    ReasonCode(0x80 if item.topic_filter == "no" else item.qos)
                    for item in packet.subscriptions
                ),
            ),
        ),
    )
    async with open_client(broker) as client:
        assert await client.subscribe([("yes", 1), ("no", 1), ("too", 0)]) == [
            1,
            0x80,
            0,
        ]
        await broker.connection.send(Message("no"), Message("too", b"x"))
        message = await client.deliver_message()
        assert message is not None
        assert message.topic == "too"
        assert client.counters.unclaimed == 1


@pytest.mark.parametrize("topics", [[("a", 1), ("a/#/b", 1)], [("a", 1), ("b", 3)]])
async def test_what_cannot_be_subscribed_is_refused_before_anything_is_sent(
    broker, topics: list[tuple[str, int]]
):
    async with open_client(broker) as client:
        with pytest.raises(UsageError):
            await client.subscribe(topics)
        await client.ping()
        assert broker.connection.of(Subscribe) == []


async def test_a_filter_may_be_subscribed_again_with_another_qos(broker):
    async with open_client(broker) as client:
        await client.subscribe([("a", 0)])
        assert await client.subscribe([("a", 1)]) == [1]
        await broker.connection.send(Message("a", b"x"))
        await exchanged(client)
        assert await client.deliver_message() is not None
        with anyio.move_on_after(1) as scope:
            await client.deliver_message()
        assert scope.cancelled_caught
        assert filters(broker.connection) == [[("a", 0)], [("a", 1)]]


async def test_what_waits_survives_its_filter(broker):
    async with open_client(broker) as client:
        await client.subscribe([("a", 0), ("b", 0)])
        await broker.connection.send(Message("a", b"1"), Message("b", b"2"))
        await exchanged(client)
        await client.unsubscribe(["a", "b"])
        await broker.connection.send(Message("a", b"3"))
        await exchanged(client)
        received = [await client.deliver_message() for _ in range(2)]
        assert [message.data for message in received if message] == [b"1", b"2"]
        assert client.counters.unclaimed == 1
    names = [packet.topic_filters for packet in broker.connection.of(Unsubscribe)]
    assert names == [("a", "b")]


async def test_the_codec_of_the_call_goes_before_that_of_the_client(broker):
    params = {"yesno": {"name": "bool", "on": "yes", "off": "no"}}
    async with open_client(broker, codec="utf8", codec_params=params) as client:
        await client.subscribe([("t", QOS_0)])
        await broker.connection.send(*[Message("t", b"yes")] * 3)
        received = [await client.deliver_message(codec) for codec in (None, "yesno")]
        assert [message.data for message in received if message] == ["yes", True]
        with pytest.raises(PeerError, match="cannot decode the payload on t"):
            await client.deliver_message("int")


async def test_filters_are_subscribed_again_after_a_lost_session(broker):
    async with open_client(broker, **lasting()) as client:
        await client.subscribe([("a", 1), ("b", 0)])
        broker.connection.reset()
        connection = await broker.connected(2)
        await connection.next(Subscribe)
        assert filters(connection) == [[("a", 1), ("b", 0)]]
        await connection.send(Message("b", b"x"))
        assert await client.deliver_message() is not None


async def test_a_filter_refused_after_a_lost_session_leaves_the_others(broker, caplog):
    async with open_client(broker, **lasting()) as client:
        await client.subscribe([("a", 0), ("b", 0)])
        codes = (ReasonCode(0x80), ReasonCode(0))
        broker.answer(
            Subscribe,
            lambda _, packet: (Suback(packet_id=packet.packet_id, reasons=codes),),
        )
        broker.connection.reset()
        connection = await broker.connected(2)
        await connection.next(Subscribe)
        await connection.send(Message("b", b"x"))
        assert await client.deliver_message() is not None
    assert "refused the subscription 'a'" in caplog.text


async def test_dropped_messages_are_counted_once(broker):
    async with open_client(broker, subscription_items=2) as client:
        await client.subscribe([("a", 0), ("b", 0), ("c", 0)])
        await broker.connection.send(*[Message("a", b"x")] * 5)
        await exchanged(client)
        assert client.counters.dropped == 3


async def test_without_a_subscription_there_is_nothing_to_deliver(broker):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=r"needs subscribe\(\.\.\.\) first"):
            await client.deliver_message()


@pytest.mark.parametrize("has_filter", [True, False])
async def test_who_waits_gets_none_when_the_client_leaves(broker, has_filter: bool):
    got: list[object] = []

    async def deliver(client: MqttClient) -> None:
        got.append(await client.deliver_message())

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            async with open_client(broker) as client:
                await client.subscribe([("a", 0)])
                if not has_filter:
                    await client.unsubscribe(["a"])
                tg.start_soon(deliver, client)
                await anyio.wait_all_tasks_blocked()
    assert got == [None]


async def test_who_waits_is_told_when_the_link_gives_up(broker):
    async def deliver(client: MqttClient) -> None:
        with pytest.raises(LinkLost):
            await client.deliver_message()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            with pytest.raises(LinkLost):
                async with open_client(broker, reconnect_retries=0) as client:
                    await client.subscribe([("a", 0)])
                    await client.unsubscribe(["a"])
                    tg.start_soon(deliver, client)
                    await anyio.wait_all_tasks_blocked()
                    broker.stop()
                    await anyio.sleep_forever()
