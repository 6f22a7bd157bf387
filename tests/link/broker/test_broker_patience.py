"""Who waits for a client that reads too slowly, and who is not read: row B28."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubrel,
)
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


@pytest.mark.parametrize(
    ("request_", "count", "answer_bytes"),
    [
        (Pingreq(), 150_000, 2),
        (Pubrel(packet_id=9), 80_000, 5),
        (Message("a", b"", qos=1, packet_id=1), 30_000, 5),
    ],
    ids=["PINGREQ", "PUBREL", "PUBLISH"],
)
async def test_b28_who_does_not_read_its_answers_is_not_read_either(
    request_: Packet, count: int, answer_bytes: int
):
    data = encode(request_, 5)
    async with broker_place(write_bytes=2_000) as place:
        greedy = await place.client("greedy", 5, keep_alive_s=10)
        client = place.server.core.sessions["greedy"].client
        assert client is not None
        is_sent = anyio.Event()

        async def send() -> None:
            await greedy.stream.send(data * count)
            is_sent.set()

        async with anyio.create_task_group() as tg:
            tg.start_soon(send)
            await anyio.sleep(29)
            # What one read has asked for is answered, and no more is read.
            most = 2_000 + 65_536 // len(data) * answer_bytes
            assert client.unwritten_bytes <= most
            assert not is_sent.is_set()
            # We are the ones who did not listen.
            assert place.server.clients == ["greedy"]
            left = count * answer_bytes
            while left:
                left -= len(await greedy.stream.receive(min(left, 65_536)))
            assert is_sent.is_set()
        assert await greedy.is_alive()
