"""What MQTT, or our choice, cannot give: docs/reference/mqtt_conformance.md names each.

These tests hold what is said there. When one of them fails, say something better.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.mqtt import PublishProperties
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Puback,
    Pubrec,
)
from tests._support.fake_broker import FakeConnection
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

WINDOW = 5


async def test_a_subscription_that_is_not_read_stops_the_others_in_the_end(broker):
    left = [
        Message("idle" if n == 1 else "busy", b"%d" % n, qos=1, packet_id=n)
        for n in range(1, 21)
    ]

    def send_next(_: FakeConnection, packet: object) -> list[Message]:
        return [left.pop(0)] if left else []

    broker.answer(Puback, send_next)
    async with open_client(broker) as client:
        async with (
            client.subscription("idle", qos=1) as idle,
            client.subscription("busy", qos=1) as busy,
        ):
            for _ in range(WINDOW):
                await broker.connection.send(left.pop(0))
            assert len(await take(busy, WINDOW - 1)) == WINDOW - 1
            # The acknowledgements stand behind that of the message nobody reads.
            with anyio.move_on_after(60):
                await anext(busy)
                pytest.fail("the broker's window is full")
            assert broker.connection.of(Puback) == []
            # Reading it is one way out.
            await anext(idle)
            assert len(await take(busy, 15)) == 15


@pytest.mark.parametrize("ack", ["on_take", "manual"])
async def test_a_message_that_holds_up_others_is_pointed_out_once(
    broker, ack: Any, caplog: pytest.LogCaptureFixture
):
    async with open_client(broker, keep_alive=10) as client:
        async with (
            client.subscription("idle", qos=1, ack=ack),
            client.subscription("busy", qos=2) as busy,
        ):
            numbers = iter(range(1, 100))

            async def deliver(topic: str) -> None:
                number = next(numbers)
                message = Message(topic, b"x", qos=2, packet_id=number)
                await broker.connection.send(message)

            # A message that waits, or some that are taken, are nothing to speak of.
            await deliver("busy")
            await anext(busy)
            await anyio.sleep(60)
            await deliver("idle")
            await anyio.sleep(60)
            assert caplog.records == []
            for _ in range(3):
                await deliver("busy")
                await anext(busy)
                await anyio.sleep(60)
    [warning] = [record.getMessage() for record in caplog.records]
    assert "a message on 'idle' waits to be taken" in warning


@pytest.mark.parametrize("way_out", ["acknowledge on receipt", "leave"])
async def test_there_are_ways_out_of_a_full_window(broker, way_out: str):
    ack: Any = "on_take" if way_out == "leave" else "on_receive"
    async with open_client(broker) as client:
        async with client.subscription("busy", qos=1) as busy:
            async with client.subscription("idle", qos=1, ack=ack):
                for number, topic in enumerate(("idle", "busy"), 1):
                    message = Message(topic, b"x", qos=1, packet_id=number)
                    await broker.connection.send(message)
                await anext(busy)
                await exchanged(client)
                before = len(broker.connection.of(Puback))
                assert before == (0 if way_out == "leave" else 2)
            await exchanged(client)
            assert len(broker.connection.of(Puback)) == 2


@pytest.mark.parametrize(
    ("protocol", "has_ids", "copies"),
    [("3.1.1", False, 2), ("5.0", False, 2), ("5.0", True, 1)],
)
async def test_copies_for_overlapping_filters_are_told_apart_by_identifiers_alone(
    broker, protocol: str, has_ids: bool, copies: int
):
    async with open_client(broker, protocol=protocol) as client:
        async with (
            client.subscription("a/#") as wide,
            client.subscription("a/b") as narrow,
        ):
            # A broker may send one copy for each filter.
            for number in (1, 2):
                ids = PublishProperties(subscription_ids=(number,))
                properties = ids if has_ids else None
                message = Message("a/b", b"x", properties=properties)
                await broker.connection.send(message)
            await exchanged(client)
            assert (len(wide), len(narrow)) == (copies, copies)


async def test_a_session_that_only_the_broker_remembers_is_taken_up(broker):
    # 5:3.2.2-4 wants the connection closed; then nobody without a store could ever get
    # what a broker has kept for him.
    broker.answer(Connect, lambda *_: (Connack(session_present=True),))
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        await broker.connection.send(Message("t", b"kept", qos=1, packet_id=1))
        async with client.subscription("t", qos=1) as messages:
            assert await take(messages, 1) == [b"kept"]
    assert len(broker.connections) == 1


async def test_a_lost_word_about_a_lost_session_may_double_a_message_of_qos_2(broker):
    took: list[bytes] = []

    def take_in(connection: FakeConnection, packet: Message) -> list[Pubrec]:
        # A broker that forgets its session together with the connection.
        took.append(packet.payload)
        if len(broker.connections) == 1:
            connection.reset()
            return []
        return [Pubrec(packet_id=packet.packet_id)]

    def greet(connection: FakeConnection, packet: object) -> list[Connack]:
        number = len(broker.connections)
        if number == 2:
            # The CONNACK that says "no session" is lost; the broker has a new one now.
            connection.reset()
            return []
        return [Connack(session_present=number > 2)]

    broker.answer(Message, take_in)
    broker.answer(Connect, greet)
    async with open_client(broker, **lasting()) as client:
        await client.publish("t", b"x", qos=2)
    assert took == [b"x", b"x"]
    assert broker.connection.of(Message)[0].dup


async def test_what_a_subscription_had_not_handed_out_is_acknowledged_when_it_is_left(
    broker,
):
    async with open_client(broker, **lasting()) as client:
        for ack in ("on_take", "manual"):
            async with client.subscription("t", qos=1, ack=ack) as messages:
                for number in (1, 2):
                    message = Message("t", b"x", qos=1, packet_id=number)
                    await broker.connection.send(message)
                await exchanged(client)
                assert len(messages) == 2
            await exchanged(client)
        acknowledged = [packet.packet_id for packet in broker.connection.of(Puback)]
        assert acknowledged == [1, 2, 1, 2]
