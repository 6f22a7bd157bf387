"""Messages and filters of an earlier process: read, given up, and left for the next one."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import LinkLost, UsageError
from structiot.mqtt import Messages, ReasonCode
from structiot.mqtt.link.routing import Router
from structiot.mqtt.wire.flows.inbound import Incoming
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Pubrec,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client, take

pytestmark = pytest.mark.virtual_time


async def remembered(broker: FakeBroker) -> None:
    """Have the broker know the client from an earlier process."""
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()):
        pass


def given_up(broker: FakeBroker) -> list[tuple[str, ...]]:
    return [packet.topic_filters for packet in broker.connection.of(Unsubscribe)]


# -- what nobody has subscribed to ---------------------------------------------------


@pytest.mark.parametrize(("qos", "ack"), [(1, Puback), (2, Pubrec)])
async def test_what_a_kept_session_brings_can_be_read_before_it_is_acknowledged(
    broker, qos: int, ack: type
):
    await remembered(broker)
    async with open_client(broker, **lasting()) as client:
        await broker.connection.send(
            Message("old", b"1", qos=qos, packet_id=1), Message("old", b"0")
        )
        await exchanged(client)
        # What QoS 0 brings before the block is nobody's.
        assert client.counters.unclaimed == 1
        async with client.unclaimed(codec="int") as messages:
            await broker.connection.send(
                Message("old", b"2", qos=qos, packet_id=2), Message("other", b"3")
            )
            await exchanged(client)
            assert broker.connection.of(ack) == []
            assert [(await anext(messages)).data for _ in range(2)] == [1, 2]
            await exchanged(client)
            assert [packet.packet_id for packet in broker.connection.of(ack)] == [1, 2]
            assert [(await anext(messages)).data] == [3]
        assert client.counters.unclaimed == 1


async def test_what_was_not_taken_of_it_stays_unacknowledged(broker):
    await remembered(broker)
    sent = [
        Message("old", b"%d" % number, qos=1, packet_id=number) for number in (1, 2)
    ]
    async with open_client(broker, **lasting()) as client:
        async with client.unclaimed() as messages:
            await broker.connection.send(*sent)
            assert await take(messages, 1) == [b"1"]
        await exchanged(client)
        assert broker.connection.of(Puback) == [Puback(packet_id=1)]
        broker.connection.reset()
        await broker.connected(3)
        async with client.unclaimed() as messages:
            await broker.connection.send(sent[1])
            assert await take(messages, 1) == [b"2"]


async def test_manual_acknowledgement_and_refusal_work_there_as_well(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.unclaimed(ack="manual") as messages:
            await broker.connection.send(Message("t", b"1", qos=1, packet_id=9))
            message = await anext(messages)
            await exchanged(client)
            assert broker.connection.of(Puback) == []
            messages.ack(message, ReasonCode.NOT_AUTHORIZED)
            await exchanged(client)
            (puback,) = broker.connection.of(Puback)
            assert puback.reason is ReasonCode.NOT_AUTHORIZED


async def test_what_a_subscription_claims_is_not_among_it(broker):
    async with open_client(broker) as client:
        async with (
            client.subscription("mine/#", qos=1) as mine,
            client.unclaimed() as first,
            client.unclaimed() as second,
        ):
            await broker.connection.send(
                Message("mine/a", b"1", qos=1, packet_id=1),
                Message("yours", b"2", qos=1, packet_id=2),
                Message("yours", b"3", qos=1, packet_id=3, retain=True),
                Message("yours", b"4", qos=1, packet_id=4, retain=True),
            )
            assert await take(mine, 1) == [b"1"]
            assert await take(first, 3) == [b"2", b"3", b"4"]
            await exchanged(client)
            # Both have to take it.
            assert broker.connection.of(Puback) == [Puback(packet_id=1)]
            assert await take(second, 3) == [b"2", b"3", b"4"]
            await exchanged(client)
            assert len(broker.connection.of(Puback)) == 4
            with pytest.raises(UsageError, match="only receives"):
                await first.publish(None, b"x")


async def test_its_oldest_of_qos_0_make_room_and_are_counted(broker):
    async with open_client(broker) as client:
        async with client.unclaimed(max_items=2) as messages:
            await broker.connection.send(*[Message("t", b"%d" % n) for n in range(5)])
            await exchanged(client)
            assert client.counters.dropped == 3
            assert client.counters.unread_bytes > 0
            assert await take(messages, 2) == [b"3", b"4"]


@pytest.mark.parametrize("options", [{"ack": "late"}, {"max_items": 0}])
async def test_what_cannot_be_is_refused(broker, options: dict[str, Any]):
    async with open_client(broker) as client:
        with pytest.raises(UsageError):
            async with client.unclaimed(**options):
                pytest.fail("there is no such thing")


async def test_it_ends_with_the_client(broker):
    ends: list[str] = []

    async def read(messages: Messages) -> None:
        async for _ in messages:
            pass
        ends.append("quietly")

    async with anyio.create_task_group() as tg:
        async with open_client(broker) as client:
            async with client.unclaimed() as messages:
                tg.start_soon(read, messages)
                await anyio.wait_all_tasks_blocked()
                await client.disconnect()
        with pytest.raises(LinkLost):
            async with client.unclaimed():
                pytest.fail("it is over")
    assert ends == ["quietly"]


# -- unsubscribing of anything -------------------------------------------------------


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_a_filter_of_an_earlier_process_is_unsubscribed(broker, protocol: str):
    async with open_client(broker, protocol=protocol) as client:
        await client.unsubscribe(["old/#", "$share/g/old", "old/#"])
        assert given_up(broker) == [("old/#", "$share/g/old")]


async def test_while_away_it_is_unsubscribed_at_the_next_connection(broker):
    await remembered(broker)
    broker.stop()
    async with open_client(broker, wait_connected=False, **lasting()) as client:
        await client.unsubscribe(["old"])
        await broker.start()
        connection = await broker.connected(2)
        assert (await connection.next(Unsubscribe)).topic_filters == ("old",)


async def test_the_filter_of_an_open_block_is_left_to_it(broker):
    async with open_client(broker) as client:
        async with client.subscription("a"):
            with pytest.raises(UsageError, match="the subscription 'a' is open"):
                await client.unsubscribe(["b", "a"])
            assert given_up(broker) == []
            # Its share of the filter is the queue's to give up, the rest is not.
            await client.subscribe([("a", 0)])
            await client.unsubscribe(["a"])
            assert given_up(broker) == []
        assert given_up(broker) == [("a",)]


@pytest.mark.parametrize("topics", ["old", ["a/#/b"], [5], None])
async def test_what_is_no_list_of_filters_is_refused(broker, topics: Any):
    async with open_client(broker) as client:
        with pytest.raises(UsageError):
            await client.unsubscribe(topics)
        await client.ping()
        assert given_up(broker) == []


async def test_a_refusal_is_said_in_the_log(broker, caplog):
    codes = (ReasonCode.NO_SUBSCRIPTION_EXISTED, ReasonCode.NOT_AUTHORIZED)
    broker.answer(
        Unsubscribe,
        lambda _, packet: (Unsuback(packet_id=packet.packet_id, reasons=codes),),
    )
    async with open_client(broker, protocol="5.0") as client:
        await client.unsubscribe(["none", "kept"])
    assert caplog.messages == ["the broker does not unsubscribe 'kept': not authorized"]


async def test_after_the_end_it_is_an_error(broker):
    async with open_client(broker) as client:
        await client.disconnect()
        with pytest.raises(LinkLost):
            await client.unsubscribe(["a"])


# -- subscriptions that are left standing --------------------------------------------


async def test_a_subscription_may_be_left_to_the_session(broker):
    await remembered(broker)
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a", qos=1, unsubscribe=False) as messages:
            await broker.connection.send(
                *[Message("a", b"%d" % n, qos=1, packet_id=n) for n in (1, 2, 3)]
            )
            assert await take(messages, 1) == [b"1"]
        await broker.connection.send(Message("a", b"4", qos=1, packet_id=4))
        await exchanged(client)
        assert client.counters.unclaimed == 0
    # What was taken is acknowledged, what was not and what came later is not.
    assert broker.connection.of(Puback) == [Puback(packet_id=1)]
    assert given_up(broker) == []


async def test_others_are_not_held_up_by_what_is_left(broker):
    await remembered(broker)
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("b", qos=1) as others:
            async with client.subscription("a", qos=1, unsubscribe=False):
                pass
            await broker.connection.send(
                Message("a", b"1", qos=1, packet_id=1),
                Message("b", b"2", qos=1, packet_id=2),
            )
            assert await take(others, 1) == [b"2"]
            await exchanged(client)
            assert broker.connection.of(Puback) == [Puback(packet_id=2)]
            assert client.counters.unread_bytes == 0


@pytest.mark.parametrize("qos", [1, 2])
async def test_who_subscribes_again_gets_what_was_left_on_the_next_connection(
    broker, qos: int
):
    await remembered(broker)
    left = Message("a", b"1", qos=qos, packet_id=1)
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a", qos=qos, unsubscribe=False):
            await broker.connection.send(left)
            await exchanged(client)
        async with client.subscription("a", qos=qos) as messages:
            await broker.connection.send(Message("a", b"2", qos=qos, packet_id=2))
            assert await take(messages, 1) == [b"2"]
            await client.reconnect()
            await broker.connection.send(
                Message("a", b"1", qos=qos, dup=True, packet_id=1)
            )
            assert await take(messages, 1) == [b"1"]
        assert given_up(broker) == [("a",)]


async def test_a_lost_session_gets_it_again_and_unsubscribe_ends_it(broker, caplog):
    async with open_client(broker, **lasting()) as client:
        async with client.subscription({"a": 1, "b": 0}, unsubscribe=False):
            pass
        broker.connection.reset()
        connection = await broker.connected(2)
        await connection.next(Subscribe)
        assert filters(connection) == [[("a", 1), ("b", 0)]]
        code = (ReasonCode.UNSPECIFIED_ERROR,) * 2
        broker.answer(
            Subscribe,
            lambda _, packet: (Suback(packet_id=packet.packet_id, reasons=code),),
        )
        connection.reset()
        connection = await broker.connected(3)
        await exchanged(client)
        # There is nobody else who could be told.
        assert caplog.text.count("the broker refused the subscription") == 2
        broker.oblige()
        await client.unsubscribe(["a", "b"])
        connection.reset()
        connection = await broker.connected(4)
        await exchanged(client)
        assert filters(connection) == []


async def test_what_others_here_have_of_it_is_acknowledged_by_them(broker):
    async with open_client(broker) as client:
        async with client.subscription("a", qos=1) as stays:
            async with client.subscription("a", qos=1, unsubscribe=False):
                await broker.connection.send(Message("a", b"1", qos=1, packet_id=1))
                await exchanged(client)
            assert broker.connection.of(Puback) == []
            assert await take(stays, 1) == [b"1"]
            await exchanged(client)
            assert broker.connection.of(Puback) == [Puback(packet_id=1)]
        # Whoever leaves last says what becomes of it.
        assert given_up(broker) == [("a",)]


async def test_a_subscription_that_was_never_granted_is_not_left_standing(broker):
    broker.ignore(Subscribe)
    async with open_client(broker) as client:
        with anyio.move_on_after(1):
            async with client.subscription("a", unsubscribe=False):
                pytest.fail("nobody has granted it")
        assert given_up(broker) == [("a",)]


def test_what_nobody_claims_is_acknowledged_in_portions():
    settled: list[int] = []
    router = Router(lambda receipt: settled.append(receipt.packet_id))
    incoming = Incoming()
    for number in range(1, 25_001):
        message = Message("old", b"", qos=1, packet_id=number)
        incoming.arrive(message, bytearray())
        router.dispatch([message])
    steps = []
    while router.release_some():
        assert router.is_holding
        steps.append(len(settled))
    assert steps == [10_000, 20_000]
    assert settled == list(range(1, 25_001))
    assert router.unclaimed == 25_000
    assert not router.is_holding


async def test_a_connection_that_ends_meanwhile_leaves_nothing_held(broker):
    await remembered(broker)
    async with open_client(broker, **lasting(), unclaimed_s=5) as client:
        message = Message("old", b"1", qos=1, packet_id=1)
        for number in (2, 3):
            await broker.connection.send(message)
            await exchanged(client)
            assert client.counters.unread_bytes
            broker.connection.reset()
            await broker.connected(number + 1)
        broker.keeps_sessions = False
        await broker.start()
        broker.connection.reset()
        await broker.connected(5)
        await exchanged(client)
        assert client.counters.unread_bytes == 0
