"""Who waits for a subscriber that reads too slowly: row B28."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt.wire.messages import Message, Pingreq, Pingresp, Puback
from tests.link.broker.raw import broker_place

pytestmark = pytest.mark.virtual_time


async def test_b28_who_has_published_nothing_for_a_slow_reader_does_not_wait_for_it():
    async with broker_place(write_bytes=100_000) as place:
        await place.subscriber("a", client_id="slow")
        pinger = await place.client("pinger")
        other = await place.client("other")
        publisher = await place.client("publisher")
        await publisher.send(*[Message("a", bytes(100_000))] * 3)
        for _ in range(3):
            assert await pinger.is_alive()
            await other.send(Message("b", qos=1, packet_id=1))
            await other.expect(Puback)
        assert anyio.current_time() == 0
        await publisher.send(Pingreq())
        await publisher.expect(Pingresp)
        assert anyio.current_time() == pytest.approx(0.5)
