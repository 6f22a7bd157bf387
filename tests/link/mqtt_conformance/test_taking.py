"""C42, C50, C53, C54, C59, C80: refused and repeated deliveries, order, and gaps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from structiot.errors import UsageError
from structiot.mqtt import Connected, Disconnected, Messages, ReasonCode
from structiot.mqtt.wire.messages import Message, Puback, Pubcomp, Pubrec, Pubrel
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time


async def test_a_delivery_of_qos_1_may_be_refused_with_a_reason(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            for packet_id in (1, 2):
                message = Message("t", b"x", qos=1, packet_id=packet_id)
                await broker.connection.send(message)
            first, second = await anext(messages), await anext(messages)
            messages.ack(second)
            messages.ack(first, ReasonCode.QUOTA_EXCEEDED)
            await broker.connection.next(Puback)
            await broker.connection.next(Puback)
    assert broker.connection.of(Puback) == [
        Puback(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED),
        Puback(packet_id=2),
    ]


async def test_a_refused_delivery_of_qos_2_is_over_and_its_id_free(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t", qos=2, ack="manual") as messages:
            broker.ignore(Pubrec)
            for payload in (b"one", b"two"):
                message = Message("t", payload, qos=2, packet_id=5)
                await broker.connection.send(message)
                received = await anext(messages)
                assert received.payload == payload
                messages.ack(received, ReasonCode.NOT_AUTHORIZED)
                refused = await broker.connection.next(Pubrec)
                assert refused.reason is ReasonCode.NOT_AUTHORIZED
            # A release of it would be one of something unknown.
            await broker.connection.send(Pubrel(packet_id=5))
            answer = await broker.connection.next(Pubcomp)
            assert answer.reason is ReasonCode.PACKET_IDENTIFIER_NOT_FOUND


async def test_of_several_subscribers_the_one_who_refuses_is_heard(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with (
            client.subscription("t/+", qos=1, ack="manual") as first,
            client.subscription("t/#", qos=1, ack="manual") as second,
        ):
            await broker.connection.send(Message("t/x", b"", qos=1, packet_id=1))
            first.ack(await anext(first), ReasonCode.UNSPECIFIED_ERROR)
            second.ack(await anext(second))
            answer = await broker.connection.next(Puback)
    assert answer.reason is ReasonCode.UNSPECIFIED_ERROR


@pytest.mark.parametrize("reason", [0x01, 0x18, 0x8E, 0x92, 0x7F])
async def test_a_reason_that_no_acknowledgement_has_is_refused(broker, reason: int):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(Message("t", b"", qos=1, packet_id=1))
            message = await anext(messages)
            with pytest.raises(UsageError, match="no message is acknowledged with"):
                messages.ack(message, ReasonCode(reason))
            messages.ack(message)
            assert (await broker.connection.next(Puback)).reason is ReasonCode.SUCCESS


async def iterated(messages: Messages, count: int) -> list[bytes]:
    received: list[bytes] = []
    async for message in messages:
        received.append(message.payload)
        if len(received) == count:
            break
    return received


async def in_batches(messages: Messages, count: int) -> list[bytes]:
    received: list[bytes] = []
    async for batch in messages.batches():
        received += [message.payload for message in batch]
        if len(received) == count:
            break
    return received


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("read", [take, iterated, in_batches])
async def test_however_it_is_read_the_order_is_that_of_arrival(
    broker, read: Callable[[Messages, int], Awaitable[list[bytes]]], qos: int
):
    sent = [b"%d" % number for number in range(100)]
    async with open_client(broker) as client:
        async with client.subscription("t", qos=qos) as messages:
            for number, payload in enumerate(sent, 1):
                packet_id = number if qos else 0
                message = Message("t", payload, qos=qos, packet_id=packet_id)
                await broker.connection.send(message)
                if number == 50:
                    await exchanged(client)
            assert await read(messages, 100) == sent


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_qos_2_id_is_known_until_its_release_or_the_end_of_the_session(
    broker, keeps: bool
):
    broker.keeps_sessions = keeps
    broker.ignore(Pubrec)
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.subscription("t", qos=2) as messages:
            await broker.connection.send(Message("t", b"x", qos=2, packet_id=7))
            await anext(messages)
            await broker.connection.next(Pubrec)
            broker.connection.reset()
            second = await broker.connected(2)
            again = Message("t", b"x", qos=2, packet_id=7, dup=True)
            await second.send(again)
            if not keeps:
                # Another session, another message.
                await anext(messages)
            assert await second.next(Pubrec) == Pubrec(packet_id=7)
            for reason in (ReasonCode.SUCCESS, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND):
                await second.send(Pubrel(packet_id=7))
                answer = await second.next(Pubcomp)
                assert answer == Pubcomp(packet_id=7, reason=reason)
            assert len(messages) == 0


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_gap_can_be_seen_and_the_iterator_goes_on(broker, keeps: bool):
    broker.keeps_sessions = keeps
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.subscription("t") as messages, client.events() as events:
            assert messages.gaps == 0
            assert isinstance(await anext(events), Connected)
            for number in (2, 3):
                await broker.connection.send(Message("t", b"x"))
                assert (await anext(messages)).payload == b"x"
                broker.connection.reset()
                await broker.connected(number)
                await client.ping()
            await anyio.wait_all_tasks_blocked()
            assert messages.gaps == (0 if keeps else 2)
            for _ in range(2):
                assert isinstance(await anext(events), Disconnected)
                back = await anext(events)
                assert isinstance(back, Connected)
                assert back.session_present is keeps
