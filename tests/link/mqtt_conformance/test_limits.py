"""C24, C25, C61, C65, C73, C83, C85: what this broker, or this version, does not have."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import CommandRefused, StructiotError, UsageError
from structiot.mqtt import (
    PublishProperties,
    ReasonCode,
    SubscribeRefused,
    WillProperties,
)
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Puback,
    Subscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import Answer, FakeBroker
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


def announce(broker: FakeBroker, **limits: Any) -> None:
    """Have the broker say with every CONNACK what it has not."""
    connack = Connack(properties=ConnackProperties(**limits))
    broker.answer(Connect, lambda *_: (connack,))


# -- C24, C25, C65: limits for messages ----------------------------------------------


@pytest.mark.parametrize(
    ("limits", "message", "code"),
    [
        ({"maximum_qos": 0}, {"qos": 1}, ReasonCode.QOS_NOT_SUPPORTED),
        ({"maximum_qos": 1}, {"qos": 2}, ReasonCode.QOS_NOT_SUPPORTED),
        (
            {"retain_available": False},
            {"retain": True},
            ReasonCode.RETAIN_NOT_SUPPORTED,
        ),
        (
            {"retain_available": False},
            {"retain": True, "qos": 1},
            ReasonCode.RETAIN_NOT_SUPPORTED,
        ),
        ({"maximum_packet_bytes": 50}, {}, ReasonCode.PACKET_TOO_LARGE),
        ({"maximum_packet_bytes": 50}, {"qos": 2}, ReasonCode.PACKET_TOO_LARGE),
    ],
)
async def test_what_the_broker_does_not_take_raises_and_is_not_sent(
    broker, limits: dict[str, Any], message: dict[str, Any], code: ReasonCode
):
    announce(broker, **limits)
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(CommandRefused) as caught:
            await client.publish("t", b"x" * 60, **message)
        assert caught.value.code == code
        await client.publish("t", b"fine")
        assert client.counters.in_flight == client.counters.waiting == 0
    assert [m.payload for m in broker.connection.of(Message)] == [b"fine"]
    assert broker.connection.of(Message)[0].packet_id == 0


async def test_limits_are_those_of_the_present_connection(broker):
    announce(broker, maximum_qos=0, maximum_packet_bytes=50, retain_available=False)
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.oblige()
        broker.connection.reset()
        await broker.connected(2)
        await client.publish("t", b"x" * 60, qos=2, retain=True)
    [message] = broker.connection.of(Message)
    assert (message.qos, message.retain, len(message.payload)) == (2, True, 60)


async def test_a_message_that_waited_fails_at_the_limits_it_meets(broker):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        receipt = await client.publish_soon("t", b"x" * 60)
        announce(broker, maximum_packet_bytes=50)
        await broker.start()
        with pytest.raises(CommandRefused, match="the peer takes 50"):
            await receipt.wait()


# -- C61: flow control holds nothing else back ---------------------------------------


async def test_a_full_window_holds_back_qos_1_and_2_alone(broker):
    announce(broker, receive_maximum=1)
    broker.ignore(Message)
    async with open_client(broker, protocol="5.0", goodbye_s=0) as client:
        connection = broker.connection
        for payload in (b"first", b"second", b"third"):
            await client.publish_soon("t", payload, qos=1)
        await client.publish("t", b"at once", qos=0)
        await client.ping()
        async with client.subscription("s", qos=1) as messages:
            await connection.send(Message("s", b"x", qos=1, packet_id=9))
            await anext(messages)
            await connection.next(Puback)
        assert [m.payload for m in connection.of(Message)] == [b"first", b"at once"]
        assert len(connection.of(Pingreq)) == 1
        assert len(connection.of(Subscribe)) == 1
        await connection.send(Puback(packet_id=connection.of(Message)[0].packet_id))
        await anyio.wait_all_tasks_blocked()
        assert [m.payload for m in connection.of(Message)][2:] == [b"second"]


# -- C73: subscriptions that the broker has not --------------------------------------


@pytest.mark.parametrize(
    ("limits", "topic", "code"),
    [
        (
            {"wildcard_subscription_available": False},
            "a/+",
            ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        ),
        (
            {"wildcard_subscription_available": False},
            "$share/g/a/#",
            ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        ),
        (
            {"shared_subscription_available": False},
            "$share/g/a",
            ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        ),
    ],
)
async def test_a_subscription_that_the_broker_has_not_is_refused_here(
    broker, limits: dict[str, Any], topic: str, code: ReasonCode
):
    announce(broker, **limits)
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(SubscribeRefused, match="takes no such") as caught:
            async with client.subscription(topic):
                pytest.fail("the broker has said that it cannot")
        assert (caught.value.code, caught.value.topic_filter) == (code, topic)
        assert await client.subscribe([(topic, 1), ("plain", 1)]) == [code, 1]
    asked = broker.connection.of(Subscribe)
    assert [item.topic_filter for s in asked for item in s.subscriptions] == ["plain"]


async def test_a_subscription_that_the_next_broker_has_not_ends_with_the_reason(broker):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with (
            client.subscription("a/+") as wild,
            client.subscription("a/b") as plain,
        ):
            announce(broker, wildcard_subscription_available=False)
            broker.connection.reset()
            with pytest.raises(SubscribeRefused):
                await anext(wild)
            await broker.connection.send(Message("a/b", b"x"))
            assert (await anext(plain)).payload == b"x"


async def test_without_subscription_identifiers_none_is_sent(broker):
    announce(broker, subscription_ids_available=False)
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("a/b", qos=1) as messages:
            await broker.connection.send(Message("a/b", b"x"))
            assert (await anext(messages)).payload == b"x"
    [subscribe] = broker.connection.of(Subscribe)
    assert subscribe.properties.subscription_id is None


async def test_subscription_identifiers_can_be_turned_off(broker):
    config = {"protocol": "5.0", "subscription_ids": False, **lasting()}
    async with open_client(broker, **config) as client:
        async with client.subscription("a/b", qos=1) as messages:
            async with client.subscription({"c": 0, "d": 0}):
                broker.connection.reset()
                connection = await broker.connected(2)
                (again,) = [await connection.next(Subscribe)]
                # Without them, all filters fit into one packet.
                assert len(again.subscriptions) == 3
                await connection.send(Message("a/b", b"x"))
                assert (await anext(messages)).payload == b"x"
    packets = [one for each in broker.connections for one in each.of(Subscribe)]
    assert {one.properties.subscription_id for one in packets} == {None}


async def test_no_local_does_not_go_with_a_shared_subscription(broker):
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(UsageError, match=r"[Nn]o.?local"):
            async with client.subscription("$share/g/a", no_local=True):
                pytest.fail("the standard forbids that")
    assert broker.connection.of(Subscribe) == []


# -- C83: what only MQTT 5.0 has is refused in 3.1.1, not dropped --------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_properties_of_a_message_need_5_0(broker, qos: int):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=r"5\.0"):
            await client.publish(
                "t", b"", qos=qos, properties=PublishProperties(content_type="x")
            )
        await client.publish("t", b"fine", qos=1)
    assert [m.payload for m in broker.connection.of(Message)] == [b"fine"]


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("pairs", [{"a": "1", "b": "2"}, [("a", "1"), ("b", "2")]])
@pytest.mark.parametrize("is_class", [True, False])
async def test_user_properties_of_a_message_may_be_a_mapping(
    broker, qos: int, pairs: Any, is_class: bool
):
    properties: Any = {"user_properties": pairs}
    if is_class:
        properties = PublishProperties(user_properties=pairs)
    async with open_client(broker, protocol="5.0") as client:
        await client.publish("t", b"", qos=qos, properties=properties)
        await client.ping()
    (message,) = broker.connection.of(Message)
    assert message.properties.user_properties == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("pairs", ["ab", {"a": 1}, [("a",)], 5])
async def test_what_is_no_pairs_of_texts_is_refused(broker, pairs: Any):
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(UsageError, match="user_properties"):
            await client.publish(
                "t", b"", properties=PublishProperties(user_properties=pairs)
            )


@pytest.mark.parametrize(
    "options",
    [{"no_local": True}, {"retain_as_published": True}, {"retain_handling": 2}],
)
async def test_options_of_a_subscription_need_5_0(broker, options: dict[str, Any]):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=r"5\.0"):
            async with client.subscription("t", **options):
                pytest.fail("3.1.1 has no such option")
        async with client.subscription("t"):
            pass


async def test_properties_of_a_will_need_5_0(broker):
    will = {"topic": "t", "properties": {"will_delay_s": 5}}
    with pytest.raises(UsageError, match=r"5\.0"):
        async with open_client(broker, will=will):
            pytest.fail("3.1.1 knows no delay")
    assert broker.attempts == []


async def test_a_request_needs_5_0(broker):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=r"5\.0"):
            await client.request("t", b"?")


async def test_a_message_that_waited_for_5_0_fails_when_the_broker_has_3_1_1(broker):
    def answer(_: object, packet: Packet) -> list[Answer]:
        assert isinstance(packet, Connect)
        return [Connack()] if packet.version == 4 else [b"\x20\x02\x00\x01"]

    broker.answer(Connect, answer)
    broker.stop()
    async with open_client(
        broker, wait_connected=False, **lasting(protocol="auto")
    ) as client:
        properties = PublishProperties(content_type="x")
        receipt = await client.publish_soon("t", b"", properties=properties)
        await broker.start()
        with pytest.raises(UsageError, match=r"5\.0"):
            await receipt.wait()
        await client.publish("t", b"fine", qos=1)
    assert [m.payload for m in broker.connection.of(Message)] == [b"fine"]


async def test_a_reason_of_an_acknowledgement_needs_5_0(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(Message("t", b"", qos=1, packet_id=1))
            message = await anext(messages)
            with pytest.raises(UsageError, match=r"5\.0"):
                messages.ack(message, ReasonCode.QUOTA_EXCEEDED)
            messages.ack(message)
            await broker.connection.next(Puback)


# -- C85: the session's life may be shortened, not begun, by the goodbye -------------


@pytest.mark.parametrize(
    ("config", "expiry", "said"),
    [({"session_expiry_s": 60}, 7, 7), ({"session_expiry_s": 60}, 0, 0), ({}, 9, 9)],
)
async def test_the_goodbye_may_change_how_long_the_session_is_kept(
    broker, config: dict[str, Any], expiry: int, said: int
):
    async with open_client(broker, protocol="5.0", **config) as client:
        await client.disconnect(session_expiry_s=expiry)
    [goodbye] = broker.connection.of(Disconnect)
    assert goodbye.properties.session_expiry_s == said


@pytest.mark.parametrize(
    ("config", "expiry", "problem"),
    [
        ({"protocol": "5.0", "session_expiry_s": 0}, 1, "stays so"),
        ({"protocol": "5.0"}, -1, "0 to 4294967295"),
        ({"protocol": "5.0"}, 1 << 32, "0 to 4294967295"),
        ({"protocol": "3.1.1"}, 1, r"5\.0"),
    ],
)
async def test_a_session_that_was_to_end_cannot_be_kept_by_the_goodbye(
    broker, config: dict[str, Any], expiry: int, problem: str
):
    async with open_client(broker, **config) as client:
        with pytest.raises(UsageError, match=problem):
            await client.disconnect(session_expiry_s=expiry)
        assert client.is_connected


# -- will with delay -----------------------------------------------------------------


async def test_a_will_given_as_a_mapping_carries_its_properties(broker):
    properties = {
        "will_delay_s": 30,
        "message_expiry_s": 60,
        "content_type": "text/plain",
        "user_properties": [["who", "me"], ["who", "you"]],
    }
    will = {"topic": "gone", "message": "bye", "qos": 1, "properties": properties}
    async with open_client(broker, protocol="5.0", will=will):
        sent = broker.connection.of(Connect)[0].will
    assert sent is not None
    assert sent.properties == WillProperties(
        will_delay_s=30,
        message_expiry_s=60,
        content_type="text/plain",
        user_properties=(("who", "me"), ("who", "you")),
    )


async def test_a_property_that_no_will_has_is_named(broker):
    will = {"topic": "gone", "properties": {"will_delay": 30}}
    with pytest.raises(StructiotError, match="did you mean 'will_delay_s'"):
        async with open_client(broker, will=will):
            pytest.fail("there is no such property")
