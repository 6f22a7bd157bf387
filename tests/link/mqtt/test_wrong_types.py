"""Arguments of the wrong type are refused in words, before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.mqtt import MqttClient, PublishProperties
from structiot.mqtt.wire.messages import Message, Subscribe, Unsubscribe
from tests.link.mqtt.opening import exchanged, open_client

pytestmark = pytest.mark.virtual_time

THINGS: tuple[Any, ...] = (5, 1.5, b"x", bytearray(b"x"), [1], [b"a"], object(), (1,))

Calls = dict[str, Callable[[MqttClient, Any], Awaitable[Any]]]
Blocks = dict[str, Callable[[MqttClient, Any], AbstractAsyncContextManager[Any]]]


def with_property(name: str, qos: int) -> Callable[[MqttClient, Any], Awaitable[Any]]:
    return lambda client, thing: client.publish(
        "t", b"x", qos, properties=PublishProperties(**{name: thing})
    )


CALLS: Calls = {
    "topic": lambda client, thing: client.publish(thing, b"x"),
    "topic of QoS 1": lambda client, thing: client.publish(thing, b"x", 1),
    "topic, later": lambda client, thing: client.publish_soon(thing, b"x"),
    "qos": lambda client, thing: client.publish("t", b"x", thing),
    "qos, later": lambda client, thing: client.publish_soon("t", b"x", thing),
    "properties": lambda client, thing: client.publish("t", b"x", properties=thing),
    "properties of QoS 1": lambda client, thing: client.publish(
        "t", b"x", 1, properties=thing
    ),
    "many": lambda client, thing: client.publish_many(thing),
    "one of many": lambda client, thing: client.publish_many([thing]),
    "topic of a request": lambda client, thing: client.request(thing, b"x"),
    "filters": lambda client, thing: client.subscribe(thing),
    "pair": lambda client, thing: client.subscribe([thing]),
    "filter of a pair": lambda client, thing: client.subscribe([(thing, 0)]),
    "qos of a pair": lambda client, thing: client.subscribe([("t", thing)]),
    "expiry of the session": lambda client, thing: client.disconnect(
        session_expiry_s=thing
    ),
    **{
        f"{name} of QoS {qos}": with_property(name, qos)
        for name in (
            "payload_format",
            "message_expiry_s",
            "response_topic",
            "correlation_data",
            "content_type",
            "user_properties",
        )
        for qos in (0, 1)
    },
}
# A text where a list belongs is no list of its letters.
TEXTS: Calls = {
    "many": lambda client, text: client.publish_many(text),
    "one of many": lambda client, text: client.publish_many([text]),
    "filters": lambda client, text: client.subscribe(text),
    "pair": lambda client, text: client.subscribe([text]),
    "filters to leave": lambda client, text: client.unsubscribe(text),
    "properties": lambda client, text: client.publish("t", b"x", properties=text),
    "user properties": with_property("user_properties", 1),
    "a user property": lambda client, text: client.publish(
        "t", b"x", 1, properties={"user_properties": [text]}
    ),
    "user properties in a mapping": lambda client, text: client.publish(
        "t", b"x", properties={"user_properties": text}
    ),
}
BLOCKS: Blocks = {
    "filter": lambda client, thing: client.subscription(thing),
    "qos of a subscription": lambda client, thing: client.subscription("t", qos=thing),
    "codec": lambda client, thing: client.subscription("t", codec=thing),
    "ack": lambda client, thing: client.subscription("t", ack=thing),
    "max_items": lambda client, thing: client.subscription("t", max_items=thing),
    "retain_handling": lambda client, thing: client.subscription(
        "t", retain_handling=thing
    ),
}
# These are what they should be, in one place or another.
FINE: dict[str, tuple[Any, ...]] = {
    "message_expiry_s": (5,),
    "correlation_data": (b"x", bytearray(b"x")),
    "max_items": (5,),
    "expiry of the session": (5,),
}


def wrong_for(name: str) -> list[Any]:
    fine = FINE.get(name.partition(" of QoS")[0], ())
    # By their words: bytes are not even to be compared with anything else.
    return [thing for thing in THINGS if repr(thing) not in map(repr, fine)]


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_with_a_wrong_type_is_refused(broker, name: str):
    async with open_client(broker, protocol="5.0") as client:
        for thing in wrong_for(name):
            with pytest.raises(UsageError):
                await CALLS[name](client, thing)
        await exchanged(client)
        assert broker.connection.of(Message) == []
        assert broker.connection.of(Subscribe) == []
        assert broker.connection.of(Unsubscribe) == []


@pytest.mark.parametrize("name", TEXTS)
async def test_a_text_is_no_list_of_letters(broker, name: str):
    async with open_client(broker, protocol="5.0") as client:
        await client.subscribe([("a", 0), ("b", 0), ("#", 0)])
        for text in ("a", "ab", "#", "", b"ab"):
            with pytest.raises(UsageError):
                await TEXTS[name](client, text)
        await exchanged(client)
        assert broker.connection.of(Message) == []
        assert len(broker.connection.of(Subscribe)) == 1
        assert broker.connection.of(Unsubscribe) == []


@pytest.mark.parametrize("name", BLOCKS)
async def test_a_block_with_a_wrong_type_is_refused(broker, name: str):
    async with open_client(broker, protocol="5.0") as client:
        for thing in wrong_for(name):
            with pytest.raises(UsageError):
                async with BLOCKS[name](client, thing):
                    pytest.fail(f"{thing!r} was taken")
        await exchanged(client)
        assert broker.connection.of(Subscribe) == []


async def test_no_set_or_mapping_is_a_topic(broker):
    async with open_client(broker) as client:
        for levels in ({"a", "b"}, {"a": 1}):
            topic: Any = levels
            with pytest.raises(UsageError, match="a topic is a text, or its levels"):
                await client.publish(topic, b"x")


async def test_a_limit_of_nothing_is_refused(broker):
    wrong: tuple[Any, ...] = (0, "5")
    async with open_client(broker) as client:
        for limit in wrong:
            with pytest.raises(UsageError, match=f"max_items is .* not {limit!r}"):
                async with client.subscription("t", max_items=limit):
                    pytest.fail("nothing would be heard")


async def test_properties_may_be_a_mapping(broker):
    names = {"unit": "kW"}
    properties = {"content_type": "text/plain", "user_properties": names}
    async with open_client(broker, protocol="5.0") as client:
        await client.publish("t", b"x", properties=properties)
        await client.publish("t", b"x", 1, properties=properties)
        await exchanged(client)
        with pytest.raises(UsageError, match="'contenttype'; did you mean 'content_t"):
            await client.publish("t", b"x", properties={"contenttype": "x"})
    for message in broker.connection.of(Message):
        assert message.properties == PublishProperties(
            content_type="text/plain", user_properties=(("unit", "kW"),)
        )


async def test_what_is_no_payload_says_what_makes_one(broker):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match="not dict; codec='json' takes any"):
            await client.publish("t", {"on": True})


async def test_what_is_almost_right_is_taken(broker):
    async with open_client(broker, protocol="5.0") as client:
        await client.publish(["a", "b"], bytearray(b"x"), True)
        pairs: Any = [["a/b", b"y"], ("a/b", b"z")]
        await client.publish_many(pairs)
        names: Any = [["a", "b"]]
        properties = PublishProperties(user_properties=names)
        await client.publish("t", b"x", properties=properties)
        await exchanged(client)
        topics = [message.topic for message in broker.connection.of(Message)]
        assert topics == ["a/b", "a/b", "a/b", "t"]
