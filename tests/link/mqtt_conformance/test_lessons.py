"""What users of other clients complained of: publishing while consuming, deadlines, loss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from structiot.mqtt import MqttClient
from structiot.mqtt.wire.messages import Message, Puback, Pubcomp, Subscribe
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

COUNT = 20


# -- reading never waits for publishing, nor the other way round ----------------------


@pytest.mark.parametrize("ack", ["on_take", "manual", "on_receive"])
@pytest.mark.parametrize(("qos", "end"), [(1, Puback), (2, Pubcomp)])
async def test_a_consumer_may_publish_what_it_takes(
    broker, ack: Any, qos: int, end: type
):
    """Both windows are one message wide, and the outbox holds no more."""
    left = [Message("in", b"%d" % n, qos=qos, packet_id=n + 1) for n in range(1, COUNT)]

    def send_next(_: object, packet: object) -> list[Message]:
        return [left.pop(0)] if left else []

    broker.answer(end, send_next)
    async with open_client(broker, max_inflight=1, outbox_items=1) as client:
        async with client.subscription("in", qos=qos, ack=ack) as messages:
            await broker.connection.send(Message("in", b"0", qos=qos, packet_id=1))
            async for message in messages:
                await client.publish("out", message.payload, qos=qos)
                if ack == "manual":
                    messages.ack(message)
                if message.payload == b"%d" % (COUNT - 1):
                    break
    sent = [message.payload for message in broker.connection.of(Message)]
    assert sent == [b"%d" % n for n in range(COUNT)]
    assert anyio.current_time() == 0


async def test_reading_goes_on_while_publishers_wait_for_a_full_window(broker):
    broker.ignore(Message)
    async with open_client(
        broker, max_inflight=1, outbox_items=1, goodbye_s=0
    ) as client:
        async with (
            client.subscription("in", qos=1) as messages,
            anyio.create_task_group() as tg,
        ):
            for _ in range(10):
                tg.start_soon(client.publish, "out", b"x", 1)
            await anyio.wait_all_tasks_blocked()
            for number in range(1, COUNT):
                message = Message("in", b"%d" % number, qos=1, packet_id=number)
                await broker.connection.send(message)
                assert await take(messages, 1) == [message.payload]
            await exchanged(client)
            assert len(broker.connection.of(Puback)) == COUNT - 1
            tg.cancel_scope.cancel()


# -- C101: the caller's deadline counts, connected or not ----------------------------


async def enter(client: MqttClient) -> None:
    async with client.subscription("t"):
        pytest.fail("there was no answer")


CALLS: dict[str, Callable[[MqttClient], Awaitable[object]]] = {
    "publish 0": lambda client: client.publish("t", b"x", qos=0),
    "publish 1": lambda client: client.publish("t", b"x", qos=1),
    "publish 2": lambda client: client.publish("t", b"x", qos=2),
    "publish_many": lambda client: client.publish_many([("t", b"x")], qos=1),
    "request": lambda client: client.request("t", b"x"),
    "subscribe": lambda client: client.subscribe([("t", 1)]),
    "subscription": enter,
    "ping": lambda client: client.ping(),
    "reconnect": lambda client: client.reconnect(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_deadline_is_kept_while_there_is_no_connection(
    broker, call: Callable[[MqttClient], Awaitable[object]]
):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        broker.stop()
        await anyio.sleep(60)
        before = anyio.current_time()
        with pytest.raises(TimeoutError), anyio.fail_after(3):
            await call(client)
        assert anyio.current_time() - before == 3
        await broker.start()
        await client.ping()
        async with client.subscription("t", qos=1) as messages:
            await broker.connection.send(Message("t", b"x"))
            assert await take(messages, 1) == [b"x"]


# -- C38: QoS 0 is sent once at most -------------------------------------------------


async def test_qos_0_that_was_being_written_is_lost_with_its_connection(broker):
    async with open_client(broker, **lasting()) as client:
        first = broker.connection
        first.stop_reading()
        for number in range(5):
            await client.publish("t", b"%d" % number * 10_000)
        first.reset()
        second = await broker.connected(2)
        await client.publish("t", b"new")
        await client.ping()
    assert [message.payload for message in second.of(Message)] == [b"new"]


# -- C80: what a subscription was asked with comes back with it ----------------------


async def test_options_and_identifiers_come_back_with_the_subscriptions(broker):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with (
            client.subscription("a", qos=1, no_local=True),
            client.subscription(
                "b", qos=2, retain_as_published=True, retain_handling=1
            ),
            client.subscription("$share/g/c", retain_handling=2),
        ):
            broker.connection.reset()
            second = await broker.connected(2)
            for _ in range(3):
                await second.next(Subscribe)
    asked, again = (
        [(packet.subscriptions, packet.properties) for packet in of(broker, number)]
        for number in (0, 1)
    )
    assert asked == again
    assert filters(second) == [[("a", 1)], [("b", 2)], [("$share/g/c", 0)]]


def of(broker: FakeBroker, number: int) -> list[Subscribe]:
    return broker.connections[number].of(Subscribe)
