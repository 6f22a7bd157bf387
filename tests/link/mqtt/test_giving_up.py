"""The end for good: everybody who waits for anything is told, and one error comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from structiot.errors import LinkLost, StructiotError
from structiot.mqtt import Connected, Disconnected, MqttClient
from structiot.mqtt.wire.messages import (
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Subscribe,
)
from structiot.mqtt.wire.properties import DisconnectProperties
from structiot.mqtt.wire.reasons import ALLOWED_REASONS, ReasonCode
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client

pytestmark = pytest.mark.virtual_time

Waiting = Callable[[MqttClient], Awaitable[object]]


# -- one error -----------------------------------------------------------------------


async def test_the_block_ends_with_link_lost_when_the_schedule_gives_up(broker):
    with pytest.raises(LinkLost, match="gave up after 3 attempts") as caught:
        async with open_client(broker, reconnect_retries=2):
            broker.stop()
            await anyio.sleep_forever()
    assert "broker:1883" in str(caught.value)
    assert anyio.current_time() < 10


async def test_without_reconnecting_the_first_loss_ends_the_block(broker):
    with pytest.raises(LinkLost, match="mqtt://broker:1883 lost"):
        async with open_client(broker, auto_reconnect=False):
            broker.connection.reset()
            await anyio.sleep_forever()
    assert len(broker.connections) == 1


async def test_retries_count_failures_in_a_row(broker):
    async with open_client(broker, reconnect_retries=1) as client:
        for count in range(2, 12):
            broker.connection.reset()
            await broker.connected(count)
            await client.ping()


@pytest.mark.parametrize("is_lost", [False, True])
async def test_the_exception_of_the_block_leaves_as_itself(broker, is_lost: bool):
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with open_client(broker, auto_reconnect=False) as client:
            async with client.subscription("t"):
                if is_lost:
                    broker.stop()
                raise error
    assert caught.value is error


async def test_a_deadline_around_the_block_is_a_timeout(broker):
    with pytest.raises(TimeoutError):
        with anyio.fail_after(5):
            async with open_client(broker) as client:
                async with client.subscription("t") as messages:
                    await anext(messages)
    connection = broker.connection
    await connection.ended.wait()
    assert type(connection.packets[-1]) is Disconnect


# -- everybody is told ---------------------------------------------------------------


async def iterate(client: MqttClient) -> None:
    async with client.subscription("t") as messages:
        async for _ in messages:
            pass


async def take_next(client: MqttClient) -> None:
    async with client.subscription("t") as messages:
        await anext(messages)


async def take_batches(client: MqttClient) -> None:
    async with client.subscription("t") as messages:
        async for _ in messages.batches():
            pass


async def wait_for_receipt(client: MqttClient) -> None:
    await (await client.publish_soon("t", b"x")).wait()


async def subscribe(client: MqttClient) -> None:
    async with client.subscription("unanswered"):
        pass


async def deliver(client: MqttClient) -> None:
    await client.subscribe([("t", 1)])
    await client.deliver_message()


WAITING: list[Waiting] = [
    iterate,
    take_next,
    take_batches,
    wait_for_receipt,
    subscribe,
    deliver,
    lambda client: client.publish("t", b"x", qos=1),
    lambda client: client.publish("t", b"x", qos=2),
    lambda client: client.publish_many([("t", b"x"), ("t", b"y")], qos=1),
    lambda client: client.ping(),
]
NAMES = [
    *(waiting.__name__ for waiting in WAITING[:6]),
    "publish 1",
    "publish 2",
    "publish_many",
    "ping",
]


def answer_almost_nothing(broker: FakeBroker) -> None:
    broker.ignore(Message, Pingreq)
    broker.answer(
        Subscribe,
        lambda _, packet: (
            ()
            if packet.subscriptions[0].topic_filter == "unanswered"
            else broker.usual(packet)
        ),
    )


@pytest.mark.parametrize("waiting", WAITING, ids=NAMES)
async def test_whoever_waits_ends_with_the_error_when_the_link_gives_up(
    broker, waiting: Waiting
):
    answer_almost_nothing(broker)
    told: list[StructiotError] = []

    async def wait(client: MqttClient) -> None:
        with pytest.raises(LinkLost) as caught:
            await waiting(client)
        told.append(caught.value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            with pytest.raises(LinkLost):
                async with open_client(broker, reconnect_retries=1) as client:
                    for _ in range(2):
                        tg.start_soon(wait, client)
                    await anyio.wait_all_tasks_blocked()
                    broker.stop()
                    await anyio.sleep_forever()
    assert len(told) == 2
    assert told[0] is not told[1]


@pytest.mark.parametrize("waiting", WAITING, ids=NAMES)
async def test_whoever_begins_after_the_end_is_told_at_once(broker, waiting: Waiting):
    async with open_client(broker) as client:
        pass
    told = []
    for _ in range(2):
        with anyio.fail_after(0):
            with pytest.raises(LinkLost, match="closed") as caught:
                await waiting(client)
        told.append(caught.value)
    assert told[0] is not told[1]


@pytest.mark.parametrize(
    "waiting", [*WAITING[3:5], *WAITING[6:]], ids=[*NAMES[3:5], *NAMES[6:]]
)
async def test_whoever_waits_outside_is_told_when_the_block_ends(
    broker, waiting: Waiting
):
    answer_almost_nothing(broker)

    async def wait(client: MqttClient) -> None:
        with pytest.raises(LinkLost):
            await waiting(client)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            async with open_client(broker) as client:
                tg.start_soon(wait, client)
                await anyio.wait_all_tasks_blocked()


async def test_iterators_end_quietly_when_the_block_ends(broker):
    seen: list[bytes] = []

    async def read(client: MqttClient, status: Any) -> None:
        async with client.subscription("t") as messages:
            status.started()
            seen.extend([message.payload async for message in messages])
            seen.append(b"end")

    async with anyio.create_task_group() as tg:
        async with open_client(broker) as client:

            async def start(*, task_status: Any) -> None:
                await read(client, task_status)

            await tg.start(start)
            await broker.connection.send(Message("t", b"x"))
            await exchanged(client)
    assert seen == [b"x", b"end"]


async def test_what_waits_in_a_subscription_is_handed_out_before_the_error(broker):
    with pytest.raises(LinkLost):
        async with open_client(broker, auto_reconnect=False) as client:
            async with client.subscription("t") as messages:
                await broker.connection.send(Message("t", b"1"), Message("t", b"2"))
                await exchanged(client)
                broker.connection.reset()
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)
                    received = [(await anext(messages)).payload for _ in range(2)]
                    assert received == [b"1", b"2"]
                    with pytest.raises(LinkLost):
                        await anext(messages)


async def test_a_publisher_of_qos_0_who_waits_for_a_connection_is_told(broker):
    broker.stop()

    async def publish(client: MqttClient) -> None:
        with pytest.raises(LinkLost, match="closed"):
            await client.publish("t", b"x")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tg:
            async with open_client(
                broker, wait_connected=False, reconnect_retries=-1
            ) as client:
                tg.start_soon(publish, client)
                await anyio.sleep(5)


async def test_a_publisher_of_qos_0_who_fills_a_dead_connection_goes_on(broker):
    broker.answer(Message, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        async with anyio.create_task_group() as tg:

            async def flood() -> None:
                for _ in range(50):
                    await client.publish("t", bytes(10_000))

            for _ in range(5):
                tg.start_soon(flood)
            await anyio.sleep(2)
            broker.oblige()
        await client.publish("t", b"last", qos=1)


# -- when the broker sends us away ---------------------------------------------------


# 0x98, administrative action, is not among them: somebody has closed this connection.
FINAL = {
    ReasonCode.SESSION_TAKEN_OVER,
    ReasonCode.NOT_AUTHORIZED,
    ReasonCode.SERVER_MOVED,
}


@pytest.mark.parametrize(
    "code", sorted({*ALLOWED_REASONS[14].values()} - {0x04}), ids=hex
)
async def test_a_goodbye_of_the_broker_is_shown_and_taken_as_it_is_meant(
    broker, code: ReasonCode
):
    is_final = code in FINAL
    properties = DisconnectProperties(reason_string="so long")
    goodbye = Disconnect(reason=code, properties=properties)
    shown: list[Disconnected] = []

    async def run() -> None:
        async with open_client(broker, protocol="5.0") as client:
            async with client.events() as events:
                await broker.connection.send(goodbye)
                async for event in events:
                    if isinstance(event, Disconnected):
                        shown.append(event)
                        if not is_final:
                            await broker.connected(2)
                            return

    if is_final:
        with pytest.raises(LinkLost, match="so long"):
            await run()
        assert len(broker.connections) == 1
    else:
        await run()
    assert f"{code.text} (so long)" in shown[0].reason


# -- events --------------------------------------------------------------------------


async def test_events_tell_the_present_state_first_and_then_what_happens(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()) as client:
        async with client.events() as events:
            first = await anext(events)
            assert isinstance(first, Connected)
            assert (first.session_present, first.version, first.attempts) == (
                False,
                4,
                1,
            )
            broker.stop()
            lost = await anext(events)
            assert isinstance(lost, Disconnected)
            assert (lost.attempt, lost.retry_in_s) == (0, 0.2)
            assert "mqtt://broker:1883" in lost.reason
            assert isinstance(lost.error, LinkLost)
            refused = await anext(events)
            assert isinstance(refused, Disconnected)
            assert refused.attempt == 1
            assert refused.retry_in_s is not None
            async with client.events() as others:
                assert await anext(others) == refused
            await broker.start()
            while isinstance(event := await anext(events), Disconnected):
                pass
            assert isinstance(event, Connected)
            assert event.session_present
            assert event.attempts > 1


async def test_events_end_with_the_block_and_begin_with_the_end_after_it(broker):
    seen: list[type] = []

    async def listen(client: MqttClient) -> None:
        async with client.events() as events:
            seen.extend([type(event) async for event in events])

    async with anyio.create_task_group() as tg:
        async with open_client(broker) as client:
            tg.start_soon(listen, client)
            await anyio.wait_all_tasks_blocked()
    await listen(client)
    assert seen == [Connected, Connected]


async def test_the_last_event_says_that_nothing_follows(broker):
    events: list[object] = []

    async def listen(client: MqttClient) -> None:
        async with client.events() as stream:
            events.extend([event async for event in stream])

    async with anyio.create_task_group() as tg:
        with pytest.raises(LinkLost):
            async with open_client(broker, reconnect_retries=0) as client:
                tg.start_soon(listen, client)
                await anyio.wait_all_tasks_blocked()
                broker.stop()
                await anyio.sleep_forever()
    last = events[-1]
    assert isinstance(last, Disconnected)
    assert last.retry_in_s is None


async def test_a_block_entered_at_once_connects_in_the_background(broker):
    broker.ignore(Connect)
    async with open_client(broker, wait_connected=False) as client:
        assert not client.is_connected
        async with client.events() as events:
            broker.oblige()
            assert isinstance(await anext(events), Connected)
        assert client.is_connected


async def test_a_block_entered_at_once_ends_when_the_broker_says_no(broker):
    broker.refuse(ReasonCode.NOT_AUTHORIZED)
    with pytest.raises(StructiotError, match="not authorized"):
        async with open_client(broker, wait_connected=False):
            await anyio.sleep_forever()
