"""Requests and their replies (MQTT 5.0): matched, late, lost, refused."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import CommandRefused, LinkLost, UsageError
from structiot.mqtt import MqttClient, ReasonCode, SubscribeRefused, open_mqttclient
from structiot.mqtt.wire.messages import Connack, Connect, Message, Suback, Subscribe
from structiot.mqtt.wire.properties import ConnackProperties, PublishProperties
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import exchanged, filters, open_client

pytestmark = pytest.mark.virtual_time


def reply_to(request: Message, payload: bytes) -> Message:
    asked = request.properties
    assert asked is not None
    assert asked.response_topic is not None
    properties = PublishProperties(correlation_data=asked.correlation_data)
    return Message(asked.response_topic, payload, properties=properties)


def answer_requests(broker: FakeBroker, *, suffix: bytes = b"!") -> None:
    def answer(_: FakeConnection, packet: Message) -> Any:
        yield from broker.usual(packet)
        if packet.properties is not None and packet.properties.response_topic:
            yield reply_to(packet, packet.payload + suffix)

    broker.answer(Message, answer)


async def test_a_reply_comes_back_to_who_asked(broker):
    answer_requests(broker)
    async with open_client(broker, protocol="5.0", codec="utf8") as client:
        answer = await client.request("lamp/get", "state")
        assert answer.data == "state!"
        # The reply topic was known to the broker before the request went out.
        connection = broker.connection
        order = [type(packet) for packet in connection.packets]
        assert order.index(Subscribe) < order.index(Message)
        [[(reply_topic, _)]] = filters(connection)
        [request] = connection.of(Message)
        assert request.properties is not None
        assert request.properties.response_topic == reply_topic


async def test_no_request_goes_out_before_the_reply_topic_is_granted(broker):
    broker.ignore(Subscribe)
    answer_requests(broker)
    async with open_client(broker, protocol="5.0") as client:
        connection = broker.connection
        async with anyio.create_task_group() as tg:
            for _ in range(2):
                tg.start_soon(client.request, "t", b"x")
            await anyio.sleep(60)
            assert connection.of(Message) == []
            [subscribe] = connection.of(Subscribe)
            await connection.send(*broker.usual(subscribe))
        assert len(connection.of(Message)) == 2


async def test_many_at_once_get_each_their_own(broker):
    answer_requests(broker)
    answers: dict[int, bytes] = {}

    async def ask(client: MqttClient, number: int) -> None:
        answers[number] = (await client.request("t", b"%d" % number)).payload

    async with open_client(broker, protocol="5.0") as client:
        async with anyio.create_task_group() as tg:
            for number in range(200):
                tg.start_soon(ask, client, number)
    assert answers == {n: b"%d!" % n for n in range(200)}
    assert len(broker.connection.of(Subscribe)) == 1


async def test_late_and_strange_replies_are_counted_and_given_to_nobody(broker):
    async with open_client(broker, protocol="5.0") as client:
        with anyio.move_on_after(5) as scope:
            await client.request("t", b"first")
        assert scope.cancelled_caught
        connection = broker.connection
        late = reply_to(connection.of(Message)[0], b"late")
        strange = Message(late.topic, b"no correlation")
        answer_requests(broker)
        await connection.send(late, strange)
        assert (await client.request("t", b"second")).payload == b"second!"
        assert client.counters.unknown_replies == 2


async def test_a_reply_meant_for_an_earlier_process_is_not_taken(broker):
    async with open_client(broker, protocol="5.0") as client:
        with anyio.move_on_after(1):
            await client.request("t", b"old")
    stale = reply_to(broker.connection.of(Message)[0], b"stale")
    broker.answer(Subscribe, lambda _, packet: (*broker.usual(packet), stale))
    answer_requests(broker)
    async with open_mqttclient(
        broker.uri,
        "tester",
        {"protocol": "5.0"},
        environment=Environment(network=broker.network),
    ) as client:
        assert (await client.request("t", b"new")).payload == b"new!"
        assert client.counters.unknown_replies == 1


async def test_a_request_survives_a_lost_connection(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.request, "t", b"x")
            first = broker.connection
            request = await first.next(Message)
            await exchanged(client)
            first.reset()
            second = await broker.connected(2)
            await second.next(Subscribe)
            await second.send(reply_to(request, b"answer"))


async def test_the_reply_topic_is_where_the_broker_wants_it(broker):
    properties = ConnackProperties(response_information="replies/for/you/")
    broker.answer(Connect, lambda *_: (Connack(properties=properties),))
    answer_requests(broker)
    async with open_client(broker, protocol="5.0") as client:
        await client.request("t", b"x")
        assert filters(broker.connection) == [[("replies/for/you/tester", 1)]]


async def test_without_a_name_the_reply_topic_is_still_one_of_our_own(broker):
    answer_requests(broker)
    async with open_client(broker, client_id="", protocol="5.0") as client:
        assert (await client.request("t", b"x")).payload == b"x!"
        [[(topic, _)]] = filters(broker.connection)
        assert re.fullmatch("structiot-reply/[0-9a-f]{12}", topic)


async def test_there_are_no_requests_in_3_1_1(broker):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=r"request\(\) needs MQTT 5\.0"):
            await client.request("t", b"x")


async def test_a_refused_reply_topic_raises_and_may_be_granted_later(broker):
    code = (ReasonCode.NOT_AUTHORIZED,)
    broker.answer(
        Subscribe, lambda _, packet: (Suback(packet_id=packet.packet_id, reasons=code),)
    )
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(SubscribeRefused, match="structiot-reply/tester"):
            await client.request("t", b"x")
        broker.oblige()
        answer_requests(broker)
        assert (await client.request("t", b"x")).payload == b"x!"
        # Refused again after a lost session: who asks next asks anew.
        broker.answer(
            Subscribe,
            lambda _, packet: (Suback(packet_id=packet.packet_id, reasons=code),),
        )
        broker.connection.reset()
        await (await broker.connected(2)).next(Subscribe)
        await exchanged(client)
        broker.oblige()
        answer_requests(broker)
        assert (await client.request("t", b"y")).payload == b"y!"


async def test_a_refused_request_raises(broker):
    def refuse(_: FakeConnection, packet: Message) -> Any:
        code = ReasonCode.NOT_AUTHORIZED
        yield type(broker.usual(packet)[0])(packet_id=packet.packet_id, reason=code)

    broker.answer(Message, refuse)
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(CommandRefused, match="not authorized"):
            await client.request("t", b"x")


@pytest.mark.parametrize("is_closed", [True, False])
async def test_whoever_waits_for_a_reply_is_told_of_the_end(broker, is_closed: bool):
    told: list[LinkLost] = []

    async def ask(client: MqttClient) -> None:
        with pytest.raises(LinkLost) as caught:
            await client.request("t", b"x")
        told.append(caught.value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            async with open_client(broker, protocol="5.0") as client:
                tg.start_soon(ask, client)
                tg.start_soon(ask, client)
                await broker.connection.next(Message)
                if is_closed:
                    await client.disconnect()
    assert len(told) == 2
