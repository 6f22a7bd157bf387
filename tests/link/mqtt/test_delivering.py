"""What becomes of own messages when connections, sessions and brokers come and go."""

from __future__ import annotations

from enum import Enum, StrEnum

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost, StructiotError, UsageError
from structiot.mqtt import MqttSessionLost, ReasonCode
from structiot.mqtt.wire.messages import (
    Connect,
    Message,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
)
from tests._support.fake_broker import FakeConnection
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


def payloads(connection: FakeConnection) -> list[str]:
    """What was published on a connection, "again" when marked as a repetition."""
    return [
        message.payload.decode() + (" again" if message.dup else "")
        for message in connection.of(Message)
    ]


# -- the ordinary way ----------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
async def test_a_message_arrives_as_it_was_published(broker, qos: int, retain: bool):
    async with open_client(broker) as client:
        await client.publish("a/b", b"x", qos=qos, retain=retain)
    [message] = broker.connection.of(Message)
    assert (message.topic, message.payload) == ("a/b", b"x")
    assert (message.qos, message.retain, message.dup) == (qos, retain, False)
    assert message.packet_id == (1 if qos else 0)


async def test_qos_1_and_2_wait_for_the_acknowledgement(broker):
    broker.ignore(Message, Pubrel)
    async with open_client(broker) as client:
        connection = broker.connection
        async with anyio.create_task_group() as tg:
            done: list[int] = []

            async def publish(qos: int) -> None:
                await client.publish("t", b"x", qos=qos)
                done.append(qos)

            for qos in (1, 2):
                tg.start_soon(publish, qos)
                message = await connection.next(Message)
                await anyio.sleep(60)
                if qos == 2:
                    await connection.send(Pubrec(packet_id=message.packet_id))
                    await connection.next(Pubrel)
                    await anyio.sleep(60)
                    assert done == [1]
                    await connection.send(Pubcomp(packet_id=message.packet_id))
                else:
                    assert done == []
                    await connection.send(Puback(packet_id=message.packet_id))
                await anyio.wait_all_tasks_blocked()
        assert done == [1, 2]
        # Nothing was sent again on a timer.
        assert len(connection.of(Message)) == 2
        assert len(connection.of(Pubrel)) == 1


@pytest.mark.parametrize(("qos", "kind"), [(1, Puback), (2, Pubrec)])
async def test_a_refused_message_raises_with_the_code(broker, qos: int, kind: type):
    code = ReasonCode.QUOTA_EXCEEDED
    broker.answer(
        Message, lambda _, packet: (kind(packet_id=packet.packet_id, reason=code),)
    )
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(CommandRefused, match="quota exceeded") as caught:
            await client.publish("t", b"x", qos=qos)
        assert caught.value.code == code
        broker.oblige()
        await client.publish("t", b"y", qos=qos)


@pytest.mark.parametrize(
    ("topic", "message", "qos"),
    [
        ("a/#", b"x", 0),
        ("a/+", b"x", 1),
        ("", b"x", 2),
        ("a\0b", b"x", 0),
        ("a\ud800", b"x", 1),
        ("a" * 70_000, b"x", 2),
        ("a", 7.5, 0),
        ("a", 7.5, 1),
        ("a", b"x", 3),
        ("a", b"x", -1),
    ],
)
async def test_what_mqtt_does_not_allow_is_refused_and_disturbs_nothing(
    broker, topic: str, message: object, qos: int
):
    async with open_client(broker) as client:
        with pytest.raises(UsageError):
            await client.publish(topic, message, qos=qos)
        for good_qos in (0, 1, 2):
            await client.publish("good", b"x", qos=good_qos)
    assert payloads(broker.connection) == ["x", "x", "x"]


async def test_a_topic_may_be_given_by_levels_and_by_an_enumeration(broker):
    class Plain(StrEnum):
        POWER = "home/power"

    class Mixed(str, Enum):  # noqa: UP042 - whose text is not its value
        POWER = "home/energy"

    async with open_client(broker) as client:
        for qos in (0, 1):
            await client.publish(["home", "kitchen"], b"", qos=qos)
            await client.publish(Plain.POWER, b"", qos=qos)
            await client.publish(Mixed.POWER, b"", qos=qos)
    topics = [message.topic for message in broker.connection.of(Message)]
    assert topics == ["home/kitchen", "home/power", "home/energy"] * 2


# -- lost connections ----------------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("is_reset", [True, False])
async def test_publishing_goes_on_after_a_lost_connection_with_dup_and_in_order(
    broker, qos: int, is_reset: bool
):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        first = broker.connection
        async with anyio.create_task_group() as tg:
            for name in "abc":
                tg.start_soon(client.publish, "t", name.encode(), qos)
                await first.next(Message)
            broker.oblige()
            if is_reset:
                first.reset()
            else:
                await first.close()
        second = broker.connection
        assert second is not first
        assert payloads(second) == ["a again", "b again", "c again"]
        again = [message.packet_id for message in second.of(Message)]
        assert again == [message.packet_id for message in first.of(Message)]


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (Message, [("Message", True), ("Pubrel", None)]),
        (Pubrel, [("Pubrel", None)]),
    ],
)
async def test_qos_2_goes_on_where_it_was_cut(
    broker, lost: type, expected: list[object]
):
    broker.keeps_sessions = True
    broker.answer(lost, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        first = broker.connection
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.publish, "t", b"x", 2)
            await first.next(lost)
            broker.oblige()
        second = broker.connection
        packets = [
            packet for packet in second.packets if isinstance(packet, Message | Pubrel)
        ]
        assert [
            (type(packet).__name__, getattr(packet, "dup", None)) for packet in packets
        ] == expected


async def test_a_lost_acknowledgement_is_made_up_for(broker):
    # What distmqtt does: return as if acknowledged.
    broker.keeps_sessions = True
    broker.answer(Message, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        with anyio.move_on_after(0.1) as scope:
            await client.publish("t", b"x", qos=1)
        assert scope.cancelled_caught
        broker.oblige()
        await client.publish("t", b"y", qos=1)
    assert payloads(broker.connection) == ["x again", "y"]


async def test_a_lost_session_gets_qos_1_as_new_messages(broker):
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        first = broker.connection
        async with anyio.create_task_group() as tg:
            for name in "ab":
                tg.start_soon(client.publish, "t", name.encode(), 1)
                await first.next(Message)
            broker.oblige()
            first.reset()
        assert payloads(broker.connection) == ["a", "b"]


async def test_a_lost_session_fails_qos_2_under_way_and_says_why(broker):
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        receipt = await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Message)
        broker.oblige()
        broker.connection.reset()
        with pytest.raises(MqttSessionLost, match="delivered is unknown"):
            await receipt.wait()
        await client.publish("t", b"y", qos=2)


@pytest.mark.parametrize("down_s", [0.2, 3, 30, 3600])
async def test_a_broker_that_was_away_is_found_again(broker, down_s: float):
    async with open_client(broker, reconnect_retries=-1) as client:
        broker.stop()
        with anyio.fail_after(down_s + 11):
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.publish, "t", b"x", 1)
                await anyio.sleep(down_s)
                assert not client.is_connected
                await broker.start()
        assert client.is_connected
    assert payloads(broker.connection) == ["x"]


async def test_what_is_published_while_away_goes_out_in_order(broker):
    async with open_client(broker, reconnect_retries=-1) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        receipts = [
            await client.publish_soon("t", name.encode(), qos=qos)
            for name, qos in (("a", 1), ("b", 2), ("c", 1))
        ]
        await broker.start()
        for receipt in receipts:
            await receipt.wait()
    assert payloads(broker.connection) == ["a", "b", "c"]


async def test_clean_sessions_of_5_0_are_resumed_while_the_block_lasts(broker):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with open_client(broker, protocol="5.0") as client:
        receipt = await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Message)
        broker.oblige()
        broker.connection.reset()
        await receipt.wait()
        connects = [connection.of(Connect)[0] for connection in broker.connections]
    assert [connect.clean_start for connect in connects] == [True, False]


# -- QoS 0 while there is no connection ----------------------------------------------


async def test_by_default_qos_0_waits_for_a_connection(broker):
    async with open_client(broker, reconnect_retries=-1) as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.publish, "t", b"x")
            await anyio.sleep(5)
            await broker.start()
    assert payloads(broker.connection) == ["x"]


async def test_on_request_qos_0_is_dropped(broker):
    async with open_client(broker, reconnect_retries=-1, offline_qos0="drop") as client:
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        await client.publish("t", b"x")
        await broker.start()
        await broker.connected(2)
        await client.publish("t", b"y", qos=1)
    assert payloads(broker.connection) == ["y"]


async def test_on_request_qos_0_raises(broker):
    async with open_client(
        broker, reconnect_retries=-1, offline_qos0="raise"
    ) as client:
        await client.publish("t", b"x")
        broker.stop()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LinkLost, match="not connected to mqtt://broker:1883"):
            await client.publish("t", b"y")


# -- cancelled publishers ------------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
async def test_cancelling_a_publisher_does_not_stop_the_message(broker, qos: int):
    broker.ignore(Message)
    async with open_client(broker) as client:
        connection = broker.connection
        for number in range(3):
            with anyio.move_on_after(1) as scope:
                await client.publish("t", b"%d" % number, qos=qos)
            assert scope.cancelled_caught
        assert client.counters.in_flight == 3
        for message in connection.of(Message):
            for answer in broker.usual(message):
                await connection.send(answer)
        await anyio.wait_all_tasks_blocked()
        assert client.counters.in_flight == 0
        assert client.counters.unknown_acks == 0


async def test_many_cancelled_publishers_leave_no_id_in_use(broker):
    async with open_client(broker, max_inflight=5) as client:
        for number in range(300):
            with anyio.CancelScope() as scope:
                if number % 3 == 0:
                    scope.cancel()
                await client.publish("t", b"x", qos=1 + number % 2)
        await anyio.wait_all_tasks_blocked()
        assert client.counters.packet_ids == 0
        assert client.counters.in_flight == client.counters.waiting == 0
    assert len(broker.connection.of(Message)) == 300


# -- many at once --------------------------------------------------------------------


async def test_many_publishers_at_once_are_all_served(broker):
    async with open_client(broker, max_inflight=10) as client:
        async with anyio.create_task_group() as tg:
            for number in range(500):
                tg.start_soon(client.publish, "t", b"%d" % number, number % 3)
    sent = {message.payload for message in broker.connection.of(Message)}
    assert len(sent) == 500


async def test_no_more_than_the_window_is_open(broker):
    broker.ignore(Message)
    async with open_client(broker, max_inflight=3) as client:
        connection = broker.connection
        receipts = [await client.publish_soon("t", b"%d" % n) for n in range(10)]
        await anyio.sleep(60)
        assert len(connection.of(Message)) == 3
        for count in range(3, 10):
            packet_id = connection.of(Message)[count - 3].packet_id
            await connection.send(Puback(packet_id=packet_id))
            await anyio.wait_all_tasks_blocked()
            assert len(connection.of(Message)) == count + 1
        # The rest passes while the window is closed.
        await client.publish("t", b"QoS 0")
        await client.ping()
        async with client.subscription("t"):
            pass
        assert not receipts[-1].is_done
        for message in connection.of(Message)[-4:-1]:
            await connection.send(Puback(packet_id=message.packet_id))
        await receipts[-1].wait()


async def test_publish_many_keeps_the_order_and_waits_for_all(broker):
    messages = [(f"t/{n}", b"%d" % n) for n in range(50)]
    async with open_client(broker, max_inflight=4) as client:
        await client.publish_many(messages, qos=1)
        assert client.counters.in_flight == 0
    assert payloads(broker.connection) == [str(n) for n in range(50)]


async def test_an_error_that_several_wait_for_is_a_copy_for_each(broker):
    broker.ignore(Message)
    caught: list[StructiotError] = []

    async def publish(client) -> None:
        try:
            await client.publish("t", b"x", qos=1)
        except StructiotError as exc:
            caught.append(exc)

    async with anyio.create_task_group() as tg:
        async with open_client(broker, goodbye_s=1) as client:
            for _ in range(3):
                tg.start_soon(publish, client)
            await broker.connection.next(Message)
    assert len({id(error) for error in caught}) == 3
    assert {str(error) for error in caught} == {
        "the client of mqtt://broker:1883 was closed"
    }
