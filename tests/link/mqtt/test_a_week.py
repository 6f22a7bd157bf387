"""A week with a broker that restarts every hour: everything works and nothing grows."""

from __future__ import annotations

import gc
from collections import Counter

import anyio
import pytest

from structiot.mqtt.wire.messages import Message, Subscribe
from tests._support.fake_broker import FakeBroker, fake_broker
from tests.link.mqtt.opening import lasting, open_client, take

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("no_collector")]

HOURS = 7 * 24


def what_there_is() -> Counter[str]:
    """Objects of structiot that are alive, and tasks."""
    gc.collect()
    found = Counter(
        type(item).__qualname__
        for item in gc.get_objects()
        if str(type(item).__module__).startswith("structiot.mqtt")
    )
    found["tasks"] = len(anyio.get_running_tasks())
    return found


async def restart(broker: FakeBroker, *, remembers: bool) -> None:
    broker.keeps_sessions = remembers
    broker.stop()
    await anyio.sleep(3)
    await broker.start()


async def test_a_week_with_a_broker_that_restarts_every_hour(anyio_backend):
    async with fake_broker(patience_s=HOURS * 3700) as broker:
        async with open_client(broker, keep_alive=1800, **lasting()) as client:
            async with client.subscription("t/+", qos=2, codec="int") as messages:
                early = Counter[str]()
                for hour in range(HOURS):
                    await anyio.sleep(3600)
                    await restart(broker, remembers=hour % 2 == 0)
                    await client.ping()
                    connection = broker.connection
                    for qos in (0, 1, 2):
                        await client.publish(f"out/{hour}", b"x", qos=qos)
                    if not broker.keeps_sessions:
                        assert connection.of(Subscribe)
                    payload = b"%d" % hour
                    packet_id = hour + 1
                    await connection.send(
                        Message(f"t/{hour}", payload, qos=2, packet_id=packet_id)
                    )
                    assert await take(messages, 1) == [payload]
                    # The broker's own memory is not what is measured.
                    broker.connections[:] = broker.connections[-1:]
                    if hour == 9:
                        early = what_there_is()
                late = what_there_is()
                assert client.counters.connections == HOURS + 1
                assert client.counters.waiting == client.counters.in_flight == 0
                assert client.counters.packet_ids == 0
    # The topics of the last connections are remembered, and little else differs.
    grown = {name: (early[name], late[name]) for name in late}
    assert not {name: pair for name, pair in grown.items() if pair[1] > pair[0] + 5}
    assert late["tasks"] == early["tasks"]
