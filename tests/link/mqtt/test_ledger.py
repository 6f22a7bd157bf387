"""All that a client holds is counted, and reading pauses when it is too much."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.mqtt import (
    Connected,
    Disconnected,
    MqttClient,
    PublishProperties,
    ReadingPaused,
    ReadingResumed,
    ReasonCode,
    SubscribeRefused,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Pingreq,
    Puback,
    Pubrel,
    Suback,
    Subscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

LIMIT = 1_000_000
LARGE = bytes(50_000)


def flood(
    count: int, *, qos: int = 1, topic: str = "t", first: int = 1
) -> list[Message]:
    return [
        Message(topic, LARGE, qos=qos, packet_id=number if qos else 0)
        for number in range(first, first + count)
    ]


async def send_all(connection: FakeConnection, messages: list[Message]) -> None:
    for message in messages:
        await connection.send(message)


async def settled(client: MqttClient) -> None:
    """Let everything happen that can without time."""
    for _ in range(3):
        await anyio.wait_all_tasks_blocked()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= 30]


# -- what may not be dropped -----------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
async def test_reading_pauses_when_the_ledger_is_full_until_something_is_taken(
    broker, caplog, qos: int
):
    async with open_client(broker, max_held_bytes=LIMIT, keep_alive=5) as client:
        async with (
            client.events() as events,
            client.subscription("t", qos=qos) as messages,
            anyio.create_task_group() as tg,
        ):
            assert isinstance(await anext(events), Connected)
            tg.start_soon(send_all, broker.connection, flood(200, qos=qos))
            paused = await anext(events)
            assert isinstance(paused, ReadingPaused)
            assert paused.limit_bytes == LIMIT
            # One packet more than the limit, and no other.
            assert LIMIT <= paused.unread_bytes <= LIMIT + 60_000
            assert 19 <= len(messages) <= 21
            # The silence that this causes is not the broker's fault.
            broker.ignore(Pingreq)
            await anyio.sleep(3600)
            assert client.is_connected
            assert 19 <= len(messages) <= 21
            assert client.counters.pauses == 1
            assert client.counters.unread_bytes == paused.unread_bytes
            pings = len(broker.connection.of(Pingreq))
            assert 600 <= pings <= 1000  # it wants a sign of us all the same
            broker.oblige()
            assert len(await take(messages, 10)) == 10
            resumed = await anext(events)
            assert isinstance(resumed, ReadingResumed)
            assert resumed.after_s == pytest.approx(3600)
            assert len(await take(messages, 190)) == 190
            await exchanged(client)
            assert client.counters.unread_bytes == 0
            assert len(broker.connections) == 1
    assert len([text for text in warnings_of(caplog) if "nothing more" in text]) == 1


async def test_a_broker_that_is_silent_after_a_pause_is_left_as_any(broker):
    async with open_client(broker, max_held_bytes=LIMIT, keep_alive=5) as client:
        async with (
            client.events() as events,
            client.subscription("t", qos=1) as messages,
            anyio.create_task_group() as tg,
        ):
            await anext(events)
            tg.start_soon(send_all, broker.connection, flood(30))
            assert isinstance(await anext(events), ReadingPaused)
            await anyio.sleep(60)
            broker.ignore(Pingreq)
            broker.connection.stop_reading()
            await take(messages, 30)
            assert isinstance(await anext(events), ReadingResumed)
            lost = await anext(events)
            while not isinstance(lost, Disconnected):
                lost = await anext(events)
            assert "did not answer a ping" in lost.reason
            assert anyio.current_time() < 60 + 25
            tg.cancel_scope.cancel()


async def test_a_ping_and_a_publisher_go_on_after_the_pause(broker):
    async with open_client(broker, max_held_bytes=LIMIT, keep_alive=5) as client:
        async with (
            client.events() as events,
            client.subscription("t", qos=1) as messages,
            anyio.create_task_group() as tg,
        ):
            await anext(events)
            tg.start_soon(send_all, broker.connection, flood(30))
            assert isinstance(await anext(events), ReadingPaused)
            tg.start_soon(client.ping)
            tg.start_soon(client.publish, "u", b"x", 2)
            await anyio.sleep(1000)
            assert await take(messages, 30)
            # Both end now, and the task group with them.
        assert len(broker.connections) == 1


async def test_topics_and_properties_count_as_payloads_do(broker):
    properties = PublishProperties(user_properties=(("n" * 50_000, "v"),))
    kinds: dict[str, dict[str, Any]] = {
        "topic": {"topic": "t/" + "x" * 50_000},
        "emoji": {"topic": "t/\N{GRINNING FACE}" + "x" * 12_500},
        "properties": {"topic": "t/x", "properties": properties},
    }
    for name, kind in kinds.items():
        async with open_client(
            broker, protocol="5.0", max_held_bytes=LIMIT, receive_maximum=1000
        ) as client:
            async with client.subscription("t/#", qos=1) as messages:
                packets = [Message(**kind, qos=1, packet_id=n) for n in range(1, 101)]
                async with anyio.create_task_group() as tg:
                    tg.start_soon(send_all, broker.connection, packets)
                    await settled(client)
                    assert 9 <= len(messages) <= 22, name
                    assert client.counters.pauses == 1, name
                    assert len(await take(messages, 100)) == 100


async def test_what_is_handed_out_and_not_acknowledged_counts(broker):
    async with open_client(broker, max_held_bytes=LIMIT) as client:
        async with (
            client.subscription("t", qos=1, ack="manual") as messages,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(send_all, broker.connection, flood(40))
            await settled(client)
            held = [await anext(messages) for _ in range(len(messages))]
            await settled(client)
            assert len(messages) == 0
            assert client.counters.unread_bytes >= LIMIT
            for message in held:
                messages.ack(message)
            for _ in range(40 - len(held)):
                messages.ack(await anext(messages))
            await exchanged(client)
            assert client.counters.unread_bytes == 0


async def test_a_lost_session_frees_nothing_that_was_not_taken(broker):
    async with open_client(
        broker, max_held_bytes=LIMIT, reconnect_retries=-1, cleansession=True
    ) as client:
        async with client.subscription("t", qos=1) as messages:
            for turn in range(1, 6):
                connection = await broker.connected(turn)
                await exchanged(client)
                await send_all(connection, flood(10))
                if turn < 2:
                    await exchanged(client)
                await settled(client)
                connection.reset()
                if client.counters.pauses:
                    break
            assert turn == 2
            assert len(messages) == 20
            assert len(await take(messages, 20)) == 20
            await settled(client)
            assert client.counters.unread_bytes == 0


async def test_what_was_taken_while_there_was_no_connection_holds_nothing(broker):
    broker.keeps_sessions = True
    async with open_client(broker, max_held_bytes=LIMIT, **lasting()) as client:
        async with client.subscription("t", qos=1) as messages:
            await send_all(broker.connection, flood(10))
            await exchanged(client)
            broker.stop()
            await anyio.sleep(1)
            assert len(await take(messages, 10)) == 10
            assert client.counters.unread_bytes == 0
            await broker.start()
            second = await broker.connected(2)
            repeated = flood(10)
            for message in repeated:
                message.flags |= 8
            await send_all(second, repeated)
            await exchanged(client)
            assert len(second.of(Puback)) == 10
            assert len(messages) == 0


async def test_who_subscribes_meanwhile_begins_at_once_and_hears_of_a_refusal(broker):
    broker.answer(
        Subscribe,
        lambda connection, packet: (
            Suback(
                packet_id=packet.packet_id,
                reasons=(
                    ReasonCode.NOT_AUTHORIZED
                    if packet.subscriptions[0].topic_filter == "secret"
                    else ReasonCode.SUCCESS,
                ),
            ),
        ),
    )
    async with open_client(
        broker, protocol="5.0", max_held_bytes=LIMIT, receive_maximum=1000
    ) as client:
        async with (
            client.subscription("t", qos=1) as messages,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(send_all, broker.connection, flood(100))
            await settled(client)
            async with (
                client.subscription("u") as other,
                client.subscription("secret") as secret,
            ):
                assert (other.granted_qos, secret.granted_qos) == (None, None)
                await take(messages, 100)
                await exchanged(client)
                assert other.granted_qos == 0
                with pytest.raises(SubscribeRefused, match="secret"):
                    await anext(secret)


# -- what may be dropped -------------------------------------------------------------------


async def test_the_oldest_of_the_longest_queue_goes_and_nothing_pauses(broker, caplog):
    async with open_client(broker, max_held_bytes=LIMIT) as client:
        async with (
            client.subscription("t") as slow,
            client.subscription("other") as other,
        ):
            await broker.connection.send(Message("other", b"x"))
            await send_all(broker.connection, flood(100, qos=0))
            await exchanged(client)
            assert 15 <= len(slow) <= 20
            assert slow.dropped == 100 - len(slow)
            assert await take(other, 1) == [b"x"]
            assert other.dropped == 0
            assert client.counters.pauses == 0
            assert client.counters.unread_bytes <= LIMIT
    assert len([text for text in warnings_of(caplog) if "dropping" in text]) == 1


async def test_qos_0_makes_room_for_what_may_not_be_dropped(broker):
    async with open_client(broker, max_held_bytes=LIMIT) as client:
        async with (
            client.subscription("t") as telemetry,
            client.subscription("u", qos=1) as commands,
        ):
            await send_all(broker.connection, flood(15, qos=0))
            await send_all(broker.connection, flood(15, topic="u"))
            await exchanged(client)
            assert len(commands) == 15
            assert len(telemetry) <= 5
            assert client.counters.pauses == 0


async def test_what_is_acknowledged_on_receipt_is_bounded_in_bytes_as_well(broker):
    async with open_client(broker, max_held_bytes=LIMIT) as client:
        async with client.subscription("t", qos=1, ack="on_receive") as messages:
            await send_all(broker.connection, flood(100))
            await exchanged(client)
            assert len(broker.connection.of(Puback)) == 100
            assert messages.dropped == 100 - len(messages) >= 80


# -- what the broker is told, and what it does not read ---------------------------------------


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, 1024),
        ({"max_held_bytes": 1_000_000}, 15),
        ({"max_held_bytes": 1 << 40}, None),
        ({"receive_maximum": 7}, 7),
    ],
)
async def test_receive_maximum_is_derived_from_the_ledger(
    broker, config: dict[str, int], told: int | None
):
    async with open_client(broker, protocol="5.0", **config):
        connect = broker.connection.of(Connect)[0]
        assert connect.properties.receive_maximum == told


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
async def test_a_broker_that_never_reads_is_not_answered_without_end(
    broker: FakeBroker, version: str
):
    async with open_client(broker, protocol=version, keep_alive=5) as client:
        async with client.events() as events:
            await anext(events)
            connection = broker.connection
            connection.stop_reading()
            flood = encode(Pubrel(packet_id=1), connection.version) * 16_384
            sent = 0
            async with anyio.create_task_group() as tg:
                with anyio.move_on_after(3):
                    for _ in range(200):
                        await connection.send(flood)
                        sent += len(flood)
                tg.cancel_scope.cancel()
            # A quarter of a million packets, what a pipe holds, and no more.
            assert sent < 4_000_000
            # It does not read our pings either, and so it is left.
            lost = await anext(events)
            assert isinstance(lost, Disconnected)
            assert "did not answer a ping" in lost.reason
            assert anyio.current_time() < 15


async def test_a_connack_has_a_limit_of_its_own(broker):
    pairs = (("n" * 60_000, "v" * 60_000),) * 5
    broker.answer(
        Connect,
        lambda connection, packet: (
            Connack(
                properties=ConnackProperties(user_properties=pairs),
            ),
        ),
    )
    with pytest.raises(Exception, match="the limit is 524288"):
        async with open_client(broker, protocol="5.0", reconnect_retries=0):
            pass
