"""Several subscribers at once: each gets every message, and gets it once."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.mqtt import PublishProperties, ReasonCode, SubscribeRefused
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Suback,
    Subscribe,
    Unsubscribe,
)
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

REFUSED = ReasonCode.UNSPECIFIED_ERROR


async def test_overlapping_subscriptions_get_each_message_once_each(broker):
    async with open_client(broker) as client:
        async with (
            client.subscription("a/#") as wide,
            client.subscription("a/+") as middle,
            client.subscription("a/b") as narrow,
        ):
            await broker.connection.send(
                Message("a/b", b"1"), Message("a/b/c", b"2"), Message("a/c", b"3")
            )
            await exchanged(client)
            assert await take(wide, 3) == [b"1", b"2", b"3"]
            assert await take(middle, 2) == [b"1", b"3"]
            assert await take(narrow, 1) == [b"1"]
            assert len(wide) == len(middle) == len(narrow) == 0


async def test_two_codecs_on_one_topic_give_two_objects(broker):
    async with open_client(broker) as client:
        async with (
            client.subscription("t", codec="json", qos=1) as as_json,
            client.subscription("t", codec="utf8", qos=1) as as_text,
            client.subscription("t", qos=1) as as_bytes,
        ):
            raw = Message("t", b'{"a": 1}', qos=1, packet_id=9)
            await broker.connection.send(raw)
            one, two, three = [
                await anext(messages) for messages in (as_json, as_text, as_bytes)
            ]
            assert one.data == {"a": 1}
            assert two.data == '{"a": 1}'
            assert three.data == b'{"a": 1}'
            assert one is not two is not three
            await exchanged(client)
    assert broker.connection.of(Puback) == [Puback(packet_id=9)]


async def test_a_second_subscriber_gets_what_is_retained_and_the_first_no_duplicate(
    broker,
):
    retained = {"t/old": b"old"}
    broker.answer(
        Subscribe,
        lambda _, packet: (
            *broker.usual(packet),
            *(Message(name, value, retain=True) for name, value in retained.items()),
        ),
    )
    async with open_client(broker) as client:
        async with client.subscription("t/+") as first:
            assert await take(first, 1) == [b"old"]
            # Retained while the first listens: it has seen it live.
            retained["t/new"] = b"new"
            await broker.connection.send(Message("t/new", b"new"))
            assert await take(first, 1) == [b"new"]
            async with client.subscription("t/+") as second:
                assert sorted(await take(second, 2)) == [b"new", b"old"]
                await exchanged(client)
                assert len(first) == len(second) == 0
                await broker.connection.send(Message("t/old", b"newer"))
                assert await take(first, 1) == await take(second, 1) == [b"newer"]
            # What was sent for the second one, and comes when he has left.
            late = Message("t/old", b"newer", retain=True)
            await broker.connection.send(late)
            await exchanged(client)
            assert len(first) == 0


async def test_after_a_lost_session_what_is_retained_is_news_again(broker):
    broker.answer(
        Subscribe,
        lambda _, packet: (
            *broker.usual(packet),
            Message("t", b"retained", retain=True),
        ),
    )
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t") as messages:
            assert await take(messages, 1) == [b"retained"]
            broker.connection.reset()
            assert await take(messages, 1) == [b"retained"]


async def test_retain_as_published_lets_every_message_through(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t", retain_as_published=True) as messages:
            for payload in (b"1", b"2"):
                await broker.connection.send(Message("t", payload, retain=True))
            assert await take(messages, 2) == [b"1", b"2"]


async def test_one_filter_is_subscribed_at_the_highest_qos_and_given_up_by_the_last(
    broker,
):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=0) as low:
            async with client.subscription("t", qos=2) as high:
                message = Message("t", b"x", qos=2, packet_id=1)
                await broker.connection.send(message)
                assert (await anext(low)).qos == 0
                assert (await anext(high)).qos == 2
            async with client.subscription("t", qos=1):
                pass
            assert broker.connection.of(Unsubscribe) == []
    assert filters(broker.connection) == [[("t", 0)], [("t", 2)], [("t", 2)]]
    assert len(broker.connection.of(Unsubscribe)) == 1


async def test_options_of_one_subscriber_take_nothing_from_another(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t") as all_of_it:
            async with client.subscription("t", no_local=True):
                request = broker.connection.of(Subscribe)[-1].subscriptions[0]
                assert not request.no_local
                await broker.connection.send(Message("t", b"x"))
                assert await take(all_of_it, 1) == [b"x"]


async def test_a_refused_wish_for_more_leaves_what_was_granted(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=0) as messages:
            broker.answer(
                Subscribe,
                lambda _, packet: (
                    Suback(packet_id=packet.packet_id, reasons=(REFUSED,)),
                ),
            )
            with pytest.raises(SubscribeRefused):
                async with client.subscription("t", qos=2):
                    pytest.fail("that was refused")
            await broker.connection.send(Message("t", b"x"))
            assert await take(messages, 1) == [b"x"]
            assert messages.granted_qos == 0


async def test_a_refused_wish_for_more_is_not_repeated_after_a_lost_session(broker):
    def answer(_: object, packet: Subscribe) -> list[Suback]:
        wanted = packet.subscriptions[0].qos
        reason = REFUSED if wanted else ReasonCode.GRANTED_QOS_0
        return [Suback(packet_id=packet.packet_id, reasons=(reason,))]

    broker.answer(Subscribe, answer)
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t", qos=0) as messages:
            with pytest.raises(SubscribeRefused):
                async with client.subscription("t", qos=2):
                    pytest.fail("that was refused")
            broker.connection.reset()
            second = await broker.connected(2)
            await second.next(Subscribe)
            await second.send(Message("t", b"x"))
            assert await take(messages, 1) == [b"x"]
            assert filters(second) == [[("t", 0)]]


async def test_an_option_that_3_1_1_has_not_costs_another_subscriber_nothing(broker):
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t") as messages:
            with pytest.raises(UsageError, match=r"5\.0"):
                async with client.subscription("t", retain_as_published=True):
                    pytest.fail("3.1.1 has no such option")
            assert messages.granted_qos == 0
            broker.connection.reset()
            second = await broker.connected(2)
            await second.next(Subscribe)
            await second.send(Message("t", b"x"))
            assert await take(messages, 1) == [b"x"]


async def test_shared_subscriptions_are_routed_by_their_inner_filter(broker):
    async with open_client(broker) as client:
        async with client.subscription("$share/group/t/+") as messages:
            await broker.connection.send(Message("t/1", b"x"))
            assert await take(messages, 1) == [b"x"]


async def test_subscription_identifiers_name_the_subscriber(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with (
            client.subscription("a/#") as wide,
            client.subscription("a/b") as narrow,
        ):
            ids = [
                packet.properties.subscription_id
                for packet in broker.connection.of(Subscribe)
            ]
            for number, payload in zip(ids, (b"wide", b"narrow"), strict=True):
                properties = PublishProperties(subscription_ids=(number,))
                await broker.connection.send(
                    Message("a/b", payload, properties=properties)
                )
            both = PublishProperties(subscription_ids=tuple(ids))
            await broker.connection.send(Message("a/b", b"both", properties=both))
            await exchanged(client)
            assert await take(wide, 2) == [b"wide", b"both"]
            assert await take(narrow, 2) == [b"narrow", b"both"]
