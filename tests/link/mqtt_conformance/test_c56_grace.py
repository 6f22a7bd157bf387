"""C56: what a remembered session brings before the program has subscribed again."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt.wire.messages import Message, Puback, Pubrec
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


async def remembered(broker: FakeBroker) -> None:
    """Have the broker know the client from an earlier process."""
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()):
        pass


@pytest.mark.parametrize(("qos", "ack"), [(1, Puback), (2, Pubrec)])
async def test_a_message_waits_unacknowledged_for_its_subscriber(
    broker, qos: int, ack: type
):
    await remembered(broker)
    async with open_client(broker, **lasting(unclaimed_s=10)) as client:
        await broker.connection.send(Message("t", b"kept", qos=qos, packet_id=3))
        await anyio.sleep(5)
        assert broker.connection.of(ack) == []
        async with client.subscription("t", qos=2) as messages:
            assert (await anext(messages)).payload == b"kept"
            await broker.connection.next(ack)
        assert client.counters.unclaimed == 0


@pytest.mark.parametrize("keep_alive", [10, 0])
async def test_after_the_grace_time_it_is_acknowledged_and_counted(
    broker, keep_alive: int
):
    await remembered(broker)
    config = lasting(unclaimed_s=10, keep_alive=keep_alive)
    async with open_client(broker, **config) as client:
        await broker.connection.send(Message("t", b"lost", qos=1, packet_id=3))
        await anyio.sleep(9)
        assert broker.connection.of(Puback) == []
        await anyio.sleep(21)
        assert broker.connection.of(Puback) == [Puback(packet_id=3)]
        assert client.counters.unclaimed == 1


async def test_a_new_session_holds_nothing_back(broker):
    async with open_client(broker) as client:
        await broker.connection.send(Message("t", b"x", qos=1, packet_id=3))
        await broker.connection.next(Puback)
        assert client.counters.unclaimed == 1
