"""C46, C68, C69, C75: topic aliases, and what else belongs to one connection."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import CommandRefused
from structiot.mqtt import PublishProperties
from structiot.mqtt.wire.messages import Connack, Connect, Message
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


def allow(broker: FakeBroker, *maxima: int | None) -> None:
    """Have each connection in turn, and all after the last, take so many aliases."""
    left = list(maxima)

    def answer(_: FakeConnection, packet: object) -> list[Connack]:
        assert isinstance(packet, Connect)
        maximum = left.pop(0) if len(left) > 1 else left[0]
        properties = ConnackProperties(topic_alias_maximum=maximum)
        is_known = broker.keeps_sessions and len(broker.connections) > 1
        return [Connack(session_present=is_known, properties=properties)]

    broker.answer(Connect, answer)


def topics(connection: FakeConnection) -> list[tuple[str, int | None]]:
    """What stood in the packets: topic and alias."""
    return [
        (m.topic, m.properties.topic_alias if m.properties else None)
        for m in connection.of(Message)
    ]


async def test_a_topic_is_named_once_and_then_stands_as_its_alias(broker):
    allow(broker, 2)
    async with open_client(broker, protocol="5.0") as client:
        for topic in ("long/one", "long/two", "long/one", "long/two", "long/one"):
            await client.publish(topic, b"", qos=1)
    assert topics(broker.connection) == [
        ("long/one", 1),
        ("long/two", 2),
        ("", 1),
        ("", 2),
        ("", 1),
    ]


async def test_our_aliases_can_be_turned_off(broker):
    allow(broker, 9)
    config: dict[str, Any] = {"protocol": "5.0", "outgoing_aliases": False}
    async with open_client(broker, **config) as client:
        for qos in (0, 1, 2):
            await client.publish("long/one", b"", qos=qos)
    assert topics(broker.connection) == [("long/one", None)] * 3


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_an_alias_is_left_out_where_it_makes_a_packet_too_long(broker, qos: int):
    # What was seen: CONNACK 27 0000001e 22 000a, and 17 bytes to pub/test.
    limits = ConnackProperties(topic_alias_maximum=10, maximum_packet_bytes=30)
    broker.answer(Connect, lambda *_: [Connack(properties=limits)])
    fits = 30 - len("pub/test") - 5 - (2 if qos else 0)
    async with open_client(broker, protocol="5.0") as client:
        for size in (fits, fits, fits - 3, fits, fits + 1):
            await client.publish("pub/test", bytes(size), qos=qos)
        with pytest.raises(
            CommandRefused, match=r"'other/one' is a packet of \d+ bytes"
        ):
            await client.publish("other/one", bytes(fits), qos=qos)
    # In the plain form until a shorter message has made the alias known.
    assert topics(broker.connection) == [
        ("pub/test", None),
        ("pub/test", None),
        ("pub/test", 1),
        ("", 1),
        ("", 1),
    ]


async def test_an_alias_saves_bytes_at_every_qos(broker):
    allow(broker, 1)
    topic = "a/topic/of/thirty/two/characters"
    sizes = []
    async with open_client(broker, protocol="5.0") as client:
        for qos in (0, 1, 2):
            await client.publish(topic, b"x", qos=qos)
            await client.ping()
            before = len(broker.connection.data)
            await client.publish(topic, b"x", qos=qos)
            await client.ping()
            sizes.append(len(broker.connection.data) - before)
    ping, pubrel = 2, 4
    # First byte, length, empty topic, id, properties with the alias, payload.
    assert sizes == [9 + ping, 11 + ping, 11 + pubrel + ping]


async def test_more_topics_than_aliases_are_written_out(broker):
    allow(broker, 1)
    async with open_client(broker, protocol="5.0") as client:
        for topic in ("first", "second", "second", "first"):
            await client.publish(topic, b"")
    assert topics(broker.connection) == [
        ("first", 1),
        ("second", None),
        ("second", None),
        ("", 1),
    ]


@pytest.mark.parametrize("maximum", [None, 0])
async def test_without_leave_there_are_no_aliases(broker, maximum: int | None):
    allow(broker, maximum)
    async with open_client(broker, protocol="5.0") as client:
        for _ in range(2):
            await client.publish("some/topic", b"")
    assert topics(broker.connection) == [("some/topic", None)] * 2


async def test_a_topic_that_an_alias_would_not_shorten_has_none(broker):
    allow(broker, 10)
    async with open_client(broker, protocol="5.0") as client:
        for _ in range(2):
            await client.publish("abc", b"")
    assert topics(broker.connection) == [("abc", None)] * 2


async def test_messages_with_properties_name_their_topic(broker):
    allow(broker, 10)
    properties = PublishProperties(content_type="x")
    async with open_client(broker, protocol="5.0") as client:
        await client.publish("some/topic", b"")
        await client.publish("some/topic", b"", properties=properties)
        await client.publish("some/topic", b"")
    assert topics(broker.connection) == [
        ("some/topic", 1),
        ("some/topic", None),
        ("", 1),
    ]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_goes_on_without_what_belonged_to_its_connection(
    broker, qos: int
):
    received = PublishProperties(
        topic_alias=3, subscription_ids=(1, 7), content_type="x", correlation_data=b"y"
    )
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("in") as messages:
            await broker.connection.send(Message("in", b"x", properties=received))
            message = await anext(messages)
            assert message.properties == received
            await client.publish("out", b"x", qos=qos, properties=message.properties)
    [sent] = broker.connection.of(Message)
    expected = PublishProperties(content_type="x", correlation_data=b"y")
    assert (sent.topic, sent.properties) == ("out", expected)
    assert len(broker.connections) == 1


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("keeps", [True, False])
async def test_what_is_sent_again_names_its_topic(broker, qos: int, keeps: bool):
    broker.keeps_sessions = keeps
    allow(broker, 5, 0)
    broker.ignore(Message)
    async with open_client(broker, **lasting(protocol="5.0", goodbye_s=0)) as client:
        first = broker.connection
        for _ in range(2):
            await client.publish_soon("some/topic", b"", qos=qos)
            await first.next(Message)
        broker.connection.reset()
        second = await broker.connected(2)
        if qos == 1 or keeps:
            for _ in range(2):
                await second.next(Message)
    assert topics(first) == [("some/topic", 1), ("", 1)]
    expected = [("some/topic", None)] * 2 if qos == 1 or keeps else []
    assert topics(second) == expected


async def test_aliases_begin_anew_with_every_connection(broker):
    allow(broker, 5, 1)
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        for topic in ("some/one", "some/two"):
            await client.publish(topic, b"", qos=1)
        broker.connection.reset()
        await broker.connected(2)
        for topic in ("some/two", "some/two", "some/one"):
            await client.publish(topic, b"", qos=1)
    assert topics(broker.connections[1]) == [
        ("some/two", 1),
        ("", 1),
        ("some/one", None),
    ]


@pytest.mark.parametrize("config", [{}, {"topic_alias_maximum": 3}])
async def test_the_broker_is_told_how_many_it_may_use(broker, config: dict[str, Any]):
    async with open_client(broker, protocol="5.0", **config) as client:
        async with client.subscription("#") as messages:
            alias = PublishProperties(topic_alias=2)
            for topic in ("some/topic", ""):
                await broker.connection.send(Message(topic, b"", properties=alias))
                assert (await anext(messages)).topic == "some/topic"
        said = broker.connection.of(Connect)[0].properties.topic_alias_maximum
    assert said == config.get("topic_alias_maximum", 64)
