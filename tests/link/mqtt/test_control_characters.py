"""Topics that a broker may hang up at: refused here, unless they are allowed."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import ConfigError, UsageError
from structiot.mqtt import MqttConfig
from structiot.mqtt.wire.messages import Message
from tests.link.mqtt.opening import exchanged, filters, open_client

pytestmark = pytest.mark.virtual_time

TOPICS = ["house\n", "a/\x07/b", "\x7f", "a\x85", "a\ufdd0", "\U0010ffff"]
topics = pytest.mark.parametrize("topic", TOPICS)


@topics
@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_nothing_of_it_is_sent(broker, topic: str, protocol: str):
    match = (
        r"holds U\+[0-9A-F]+, a \w+ ?\w+, at which brokers such as Mosquitto hang up"
    )
    async with open_client(broker, protocol=protocol) as client:
        for qos in (0, 1, 2):
            with pytest.raises(UsageError, match=match):
                await client.publish(topic, b"x", qos=qos)
        with pytest.raises(UsageError, match=match):
            await client.publish_soon(topic, b"x", qos=1)
        with pytest.raises(UsageError, match=match):
            async with client.subscription(f"{topic}/#"):
                raise AssertionError("it is subscribed")
        with pytest.raises(UsageError, match=match):
            await client.subscribe([(topic, 0)])
        await exchanged(client)
        assert not broker.connection.of(Message)
        assert not filters(broker.connection)
        assert len(broker.connections) == 1


@topics
async def test_who_allows_them_sends_them(broker, topic: str):
    options: dict[str, Any] = {"will": {"topic": topic}}
    options["allows_control_characters"] = True
    async with open_client(broker, **options) as client:
        async with client.subscription(topic):
            await client.publish(topic, b"x", qos=1)
            await client.publish(topic, b"x", qos=0)
    assert [one.topic for one in broker.connection.of(Message)] == [topic] * 2
    assert filters(broker.connection) == [[(topic, 0)]]


@topics
def test_a_will_of_such_a_topic_is_no_setting(topic: str):
    with pytest.raises(ConfigError, match=r"will: the topic .* holds U\+"):
        MqttConfig.of({"will": {"topic": topic}})


def test_the_switch_is_true_or_false():
    with pytest.raises(ConfigError, match="allows_control_characters is true or false"):
        MqttConfig.of({"allows_control_characters": 1})


async def test_what_a_broker_sends_is_taken_all_the_same(broker):
    async with open_client(broker) as client:
        async with client.subscription("#") as messages:
            await broker.connection.send(Message("a\x07", b"x"))
            assert (await anext(messages)).topic == "a\x07"
