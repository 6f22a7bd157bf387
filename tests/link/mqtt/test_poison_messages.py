"""A message at which a broker hangs up each time costs that message, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.errors import CommandRefused
from structiot.mqtt import PublishProperties, ReasonCode
from structiot.mqtt.wire.messages import Disconnect, Message, Packet, Pubrel
from structiot.mqtt.wire.reasons import ALLOWED_REASONS
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

Answers = Iterable[Packet]
GOOD = [b"%d" % number for number in range(20)]
# The broker has been told something else than the messages with these.
UNRELATED = {0x00, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x98, 0x9C, 0x9D, 0x9E, 0x9F}
UNRELATED |= {0xA0, 0xA1, 0xA2}
# These end the client.
FINAL = {ReasonCode.NOT_AUTHORIZED}


def dislike(
    broker: FakeBroker, *bad: bytes, code: int | None = None, kind: type = Message
) -> None:
    """Have the broker end each connection on which one of these messages comes."""

    def answer(connection: FakeConnection, packet: Message | Pubrel) -> Answers:
        if isinstance(packet, Message) and packet.payload not in bad:
            return broker.usual(packet)
        if code is None:
            connection.reset()
            return ()
        return (Disconnect(reason=ReasonCode(code)),)

    broker.answer(kind, answer)


def arrived(broker: FakeBroker) -> list[bytes]:
    return [
        message.payload
        for connection in broker.connections
        for message in connection.of(Message)
    ]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
@pytest.mark.parametrize("place", [0, 7, 19])
async def test_a_broker_that_hangs_up_at_one_message_gets_all_others(
    broker, qos: int, protocol: str, place: int
):
    broker.keeps_sessions = True
    dislike(broker, b"bad")
    payloads = [*GOOD[:place], b"bad", *GOOD[place:]]
    async with open_client(broker, protocol=protocol, **lasting()) as client:
        receipts = {
            payload: await client.publish_soon("some/where", payload, qos=qos)
            for payload in payloads
        }
        bad = receipts.pop(b"bad")
        with anyio.fail_after(120):
            with pytest.raises(CommandRefused) as caught:
                await bad.wait()
            for receipt in receipts.values():
                await receipt.wait()
        assert "'some/where' (3 bytes, QoS" in str(caught.value)
        assert "connection reset" in str(caught.value)
        count = len(broker.connections)
        await client.publish("some/where", b"later", qos=qos)
        await anyio.sleep(300)
        assert len(broker.connections) <= count + 1
    assert set(GOOD) < set(arrived(broker))


@pytest.mark.parametrize("is_alone", [False, True])
async def test_it_is_found_by_a_broker_that_forgets_its_sessions_as_well(
    broker, is_alone: bool
):
    dislike(broker, b"bad")
    others = [] if is_alone else GOOD
    async with open_client(broker, **lasting()) as client:
        receipts = [await client.publish_soon("t", payload) for payload in others]
        with pytest.raises(CommandRefused), anyio.fail_after(120):
            await client.publish("t", b"bad", qos=1)
        with anyio.fail_after(60):
            for receipt in receipts:
                await receipt.wait()
            await client.publish("t", b"last", qos=1)
        assert client.counters.packet_ids == 0
    assert set(others) <= set(arrived(broker))


@pytest.mark.parametrize("code", sorted({*ALLOWED_REASONS[14].values()}), ids=hex)
async def test_a_reason_is_heeded(broker, code: ReasonCode):
    if code in {0x04, 0x8E, 0x9D} | FINAL:
        return
    broker.keeps_sessions = True
    dislike(broker, b"bad", code=code)
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        for payload in GOOD:
            await client.publish_soon("t", payload)
        properties = PublishProperties(payload_format=1)
        bad = await client.publish_soon(
            "t", b"bad", qos=2, retain=True, properties=properties
        )
        with anyio.move_on_after(120) as scope:
            with pytest.raises(CommandRefused, match=r"3 bytes, QoS 2"):
                await bad.wait()
        assert scope.cancelled_caught == (code in UNRELATED)
        broker.oblige()
        with anyio.fail_after(60):
            await client.publish("t", b"last", qos=1)
    assert set(GOOD) < set(arrived(broker))


@pytest.mark.parametrize("code", [0x99, 0x9A], ids=hex)
async def test_nobody_is_suspected_for_a_reason_that_cannot_be_his(broker, code: int):
    # Something of QoS 0 was the cause, say, and the broker says so for a while.
    broker.keeps_sessions = True
    broker.answer(Message, lambda *_: (Disconnect(reason=ReasonCode(code)),))
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        receipts = [await client.publish_soon("t", payload) for payload in GOOD]
        await anyio.sleep(300)
        broker.oblige()
        with anyio.fail_after(60):
            for receipt in receipts:
                await receipt.wait()


async def test_two_of_them_are_found_one_after_the_other(broker):
    broker.keeps_sessions = True
    dislike(broker, b"bad", b"worse")
    async with open_client(broker, **lasting()) as client:
        receipts = [
            await client.publish_soon("t", payload)
            for payload in (b"bad", *GOOD[:3], b"worse", *GOOD[3:])
        ]
        failed = []
        with anyio.fail_after(600):
            for receipt in receipts:
                try:
                    await receipt.wait()
                except CommandRefused:
                    failed.append(receipt.topic)
        assert len(failed) == 2
    assert set(GOOD) < set(arrived(broker))


async def test_one_that_is_disliked_at_its_release_is_found_as_well(broker):
    broker.keeps_sessions = True
    dislike(broker, kind=Pubrel)
    async with open_client(broker, **lasting()) as client:
        with anyio.fail_after(120):
            with pytest.raises(CommandRefused):
                await client.publish("t", b"bad", qos=2)
            await client.publish("t", b"good", qos=1)


@pytest.mark.parametrize("lives_s", [0.0, 1.0, 3.0, 12.0])
async def test_a_broker_that_crashes_by_itself_loses_nothing(broker, lives_s: float):
    """Whatever is sent, it acknowledges nothing, and is gone after a while."""
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        receipts = [
            await client.publish_soon("t", b"x", qos=1 + n % 2) for n in range(3)
        ]
        for count in range(1, 40):
            connection = await broker.connected(count)
            await anyio.sleep(lives_s)
            connection.reset()
        broker.oblige()
        with anyio.fail_after(120):
            for receipt in receipts:
                await receipt.wait()


async def test_a_broker_that_crashes_at_every_message_loses_nothing(broker):
    broker.keeps_sessions = True
    broker.answer(Message, lambda connection, _: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        receipts = [await client.publish_soon("t", payload) for payload in GOOD]
        await anyio.sleep(900)
        broker.oblige()
        with anyio.fail_after(120):
            for receipt in receipts:
                await receipt.wait()


async def test_one_that_is_not_answered_holds_nothing_up(broker):
    broker.keeps_sessions = True
    silent: Callable[..., Answers] = lambda _, packet: (  # noqa: E731
        () if packet.payload == b"odd" else broker.usual(packet)
    )
    broker.answer(Message, silent)
    async with open_client(broker, **lasting()) as client:
        odd = await client.publish_soon("t", b"odd")
        for count in range(1, 4):
            await (await broker.connected(count)).next(Message)
            broker.connection.reset()
        with anyio.fail_after(60):
            for payload in GOOD:
                await client.publish("t", payload, qos=1)
        assert not odd.is_done
        await anyio.sleep(60)
        broker.oblige()
        await client.reconnect()
        with anyio.fail_after(60):
            await odd.wait()


async def test_a_full_quota_is_met_with_time_and_one_message_at_a_time(broker):
    broker.keeps_sessions = True
    dislike(broker, *GOOD, code=0x97)
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        receipts = [await client.publish_soon("t", payload) for payload in GOOD]
        await broker.connection.ended.wait()
        ended_at = anyio.current_time()
        broker.ignore(Message)
        connection = await broker.connected(2)
        assert anyio.current_time() - ended_at >= 10
        await anyio.sleep(5)
        assert len(connection.of(Message)) == 1
        broker.oblige()
        await client.reconnect()
        with anyio.fail_after(60):
            for receipt in receipts:
                await receipt.wait()
    assert [m.payload for m in broker.connection.of(Message)] == GOOD


async def test_what_nobody_waits_for_is_said_in_the_log(
    broker, caplog: pytest.LogCaptureFixture
):
    broker.keeps_sessions = True
    dislike(broker, b"bad")
    async with open_client(broker, **lasting()) as client:
        await client.publish_soon("some/where", b"bad")
        await anyio.sleep(120)
        await client.publish("t", b"good", qos=1)
    assert "ends each connection on which a message to 'some/where'" in caplog.text


async def test_a_deadline_of_the_caller_is_kept(broker):
    dislike(broker, b"bad")
    async with open_client(broker, **lasting()) as client:
        with pytest.raises(TimeoutError), anyio.fail_after(1):
            await client.publish("t", b"bad", qos=1)


async def test_the_next_process_finds_it_in_the_store_and_gives_it_up(
    broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    broker.keeps_sessions = True
    dislike(broker, b"bad")
    config = {**lasting(), "store": tmp_path / "store", "goodbye_s": 0}
    for _ in range(2):
        # No process lives for long enough to find it.
        async with open_client(broker, **config) as client:
            if not client.restored:
                await client.publish_soon("some/where", b"bad")
                await client.publish_soon("some/where", b"good")
            await anyio.sleep(2)
    with caplog.at_level(logging.WARNING, "structiot"):
        async with open_client(broker, **config) as client:
            [*receipts] = client.restored
            assert b"bad" in [receipt.payload for receipt in receipts]
            await anyio.sleep(120)
            assert all(receipt.is_done for receipt in receipts)
    assert "an earlier process had accepted it" in caplog.text
    async with open_client(broker, **config) as client:
        assert client.restored == []
    assert b"good" in arrived(broker)


@pytest.mark.parametrize(
    "answer",
    [b"\x40\x03\x00\x01\x7f", b"\x50\x02\x00\x01", b"\x40\x01\x00"],
    ids=["PUBACK with a reserved code", "PUBREC", "PUBACK without an id"],
)
async def test_a_broker_that_breaks_the_protocol_over_a_message(broker, answer: bytes):
    broker.keeps_sessions = True

    def rule(connection: FakeConnection, packet: Message) -> Any:
        if packet.payload != b"bad":
            return broker.usual(packet)
        bad = answer[:2] + packet.packet_id.to_bytes(2, "big")[: answer[1]] + answer[4:]
        return (bad,)

    broker.answer(Message, rule)
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        with pytest.raises(CommandRefused, match="protocol"), anyio.fail_after(120):
            await client.publish("t", b"bad", qos=1)
        with anyio.fail_after(60):
            await client.publish("t", b"good", qos=1)


async def test_a_broker_that_breaks_the_protocol_by_itself_costs_no_message(broker):
    broker.keeps_sessions = True
    broker.answer(Message, lambda *_: (b"\x36\x00",))  # QoS 3
    async with open_client(broker, **lasting()) as client:
        receipts = [await client.publish_soon("t", one) for one in GOOD]
        await anyio.sleep(600)
        broker.oblige()
        with anyio.fail_after(100):
            for receipt in receipts:
                await receipt.wait()
