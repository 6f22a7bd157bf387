"""Long messages by real sockets, whose payloads are received where they stay."""

from __future__ import annotations

import itertools

import anyio
import pytest

from structiot._kit.net.network import REAL_NETWORK
from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.messages import Message, Puback
from tests.link.broker.raw import RawClient

pytestmark = pytest.mark.e2e

COUNT = 60


def long_messages(sizes: list[int]) -> list[Message]:
    """Of all kinds in turn, so that no head is as long as the last one was."""
    topics, qualities = (
        itertools.cycle(["t/a", "t/longer", "t"]),
        itertools.cycle([0, 1]),
    )
    made = []
    for number, size in zip(range(1, COUNT + 1), itertools.cycle(sizes), strict=False):
        qos = next(qualities)
        payload = number.to_bytes(2, "big") * (size // 2)
        packet_id = number if qos else 0
        made.append(Message(next(topics), payload, qos=qos, packet_id=packet_id))
    return made


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    "sizes",
    [[65_536], [140_000], [300_000, 300_000, 300_000, 20], [200_000, 10_000]],
    ids=str,
)
@pytest.mark.parametrize("pause_s", [0, 0.001])
async def test_all_arrive_as_they_were_sent(
    version: int, sizes: list[int], pause_s: float
):
    sent = long_messages(sizes)
    got: list[Message] = []
    async with open_broker("mqtt://127.0.0.1:0", sys_interval_s=None) as broker:
        port = int(broker.uri.rpartition(":")[2])
        reader, publisher = [
            RawClient(await REAL_NETWORK.connect_tcp("127.0.0.1", port), version)
            for _ in range(2)
        ]
        await reader.connect("reader")
        await reader.subscribe("t/#", qos=1)
        await publisher.connect("publisher")

        async def read() -> None:
            while len(got) < len(sent):
                message = await reader.expect(Message)
                got.append(message)
                if message.qos:
                    await reader.send(Puback(packet_id=message.packet_id))
                # Slower than the publisher, which has to wait then.
                await anyio.sleep(pause_s)

        with anyio.fail_after(15):
            async with anyio.create_task_group() as tg:
                tg.start_soon(read)
                await publisher.send(*sent)
            for one in sent:
                if one.qos:
                    assert (await publisher.expect(Puback)).packet_id == one.packet_id
        assert broker.core.lost == 0
        await reader.stream.aclose()
        await publisher.stream.aclose()
    # QoS 0 may overtake what waits for room.
    for qos in (0, 1):
        assert [(m.topic, m.payload) for m in got if m.qos == qos] == [
            (m.topic, m.payload) for m in sent if m.qos == qos
        ]
