"""Brokers that send nonsense, lie about lengths, hang up again and again."""

from __future__ import annotations

import contextlib
import itertools
import tracemalloc

import anyio
import pytest

from structiot._kit.net.network import LOST
from structiot.errors import CommandRefused, ProtocolViolation
from structiot.mqtt import (
    Disconnected,
    MqttConnectFailed,
    PublishProperties,
    ReasonCode,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Puback,
)
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

MALFORMED = {
    "packet type 0": b"\x00\x00",
    "CONNECT": bytes.fromhex("100d00044d5154540402000a000161"),
    "SUBSCRIBE": bytes.fromhex("8206000100016100"),
    "PINGREQ": b"\xc0\x00",
    "second CONNACK": b"\x20\x02\x00\x00",
    "wrong flags": b"\x41\x02\x00\x01",
    "QoS 3": b"\x36\x05\x00\x01t\x00\x01",
    "repetition of QoS 0": b"\x38\x03\x00\x01t",
    "packet id 0": b"\x32\x05\x00\x01t\x00\x00",
    "wildcard in the topic": b"\x30\x04\x00\x02a#",
    "no topic": b"\x30\x02\x00\x00",
    "NUL in the topic": b"\x30\x04\x00\x02a\x00",
    "topic that is no UTF-8": b"\x30\x04\x00\x02\xc3\x28",
    "surrogate in the topic": b"\x30\x05\x00\x03\xed\xa0\x80",
    "topic longer than the packet": b"\x30\x03\x00\x09t",
    "length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "packet above the limit": b"\x30\xff\xff\xff\x7f",
    "PUBACK of one byte": b"\x40\x01\x00",
    "SUBACK without a code": b"\x90\x02\x00\x01",
    "SUBACK with a code that is none": b"\x90\x03\x00\x01\x05",
    "PINGRESP with a body": b"\xd0\x01\x00",
    "HTTP": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
async def test_a_malformed_packet_ends_the_connection_and_nothing_else(
    broker, raw: bytes, version: str
):
    async with open_client(broker, protocol=version) as client:
        async with (
            client.events() as events,
            client.subscription("t") as messages,
        ):
            first = broker.connection
            await anext(events)
            await first.send(Message("t", b"before"), raw, Message("t", b"after"))
            lost = await anext(events)
            assert isinstance(lost, Disconnected)
            assert isinstance(lost.error, ProtocolViolation)
            assert "mqtt://broker:1883 broke the protocol" in lost.reason
            second = await broker.connected(2)
            await anext(events)
            await client.publish("t", b"x", qos=1)
            await second.send(Message("t", b"again"))
            assert await take(messages, 2) == [b"before", b"again"]
            goodbyes = first.of(Disconnect)
            assert len(goodbyes) == (1 if version == "5.0" else 0)
            if goodbyes:
                assert goodbyes[0].reason.is_failure


async def test_the_wrong_acknowledgement_ends_the_message_and_the_connection(broker):
    broker.keeps_sessions = True
    broker.answer(Message, lambda _, packet: (Puback(packet_id=packet.packet_id),))
    async with open_client(broker, **lasting()) as client:
        receipt = await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Message)
        with pytest.raises(CommandRefused, match="has no QoS 2"):
            await receipt.wait()
        broker.oblige()
        await client.publish("t", b"y", qos=2)
    assert len(broker.connections) == 2


async def test_a_claim_of_256_mb_is_refused_from_the_header(broker):
    async with open_client(broker, protocol="5.0", reconnect_retries=-1) as client:
        async with client.events() as events:
            await anext(events)
            first = broker.connection
            tracemalloc.start()
            try:
                await first.send(b"\x30\xff\xff\xff\x7f")
                with contextlib.suppress(*LOST):
                    for _ in range(100):
                        await first.send(bytes(60_000))
                lost = await anext(events)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert isinstance(lost, Disconnected)
            assert "packet of 268435460 bytes; the limit is 16777216" in lost.reason
            assert peak < 1_000_000
            [goodbye] = first.of(Disconnect)
            assert goodbye.reason == ReasonCode.PACKET_TOO_LARGE


async def test_a_packet_that_never_ends_costs_what_has_arrived_of_it(broker):
    limit = 100_000
    async with open_client(broker, max_packet_bytes=limit, keep_alive=5) as client:
        async with client.events() as events:
            await anext(events)
            header = b"\x30\xb0\xea\x01"  # 30,000 bytes, of which 1,000 come
            await broker.connection.send(header + b"\x00\x01t" + bytes(997))
            # What follows belongs to the packet, the answer to a ping as well.
            lost = await anext(events)
            assert isinstance(lost, Disconnected)
            assert "did not answer a ping" in lost.reason
        assert anyio.current_time() <= 10
        await client.ping()


async def test_more_than_receive_maximum_is_refused(broker):
    async with open_client(broker, protocol="5.0", receive_maximum=3) as client:
        async with client.subscription("t", qos=1) as messages:
            first = broker.connection
            await first.send(
                *[Message("t", b"x", qos=1, packet_id=n) for n in (1, 2, 3, 4)]
            )
            await broker.connected(2)
            [goodbye] = first.of(Disconnect)
            assert goodbye.reason == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
            assert len(messages) == 3


async def test_a_broker_that_overruns_the_window_each_time_gets_rid_of_its_messages(
    broker,
):
    # Mosquitto 2.0.11 repeats all that it holds after a reconnect, however much that is.
    broker.keeps_sessions = True
    async with open_client(
        broker, protocol="5.0", receive_maximum=3, **lasting()
    ) as client:
        async with client.subscription("t", qos=1) as messages:
            for connection in (1, 2):
                await broker.connected(connection)
                await broker.connection.send(
                    *[
                        Message("t", b"%d" % n, qos=1, packet_id=n, dup=connection > 1)
                        for n in range(1, 11)
                    ]
                )
            with anyio.fail_after(60):
                got = [(await anext(messages)).payload for _ in range(10)]
            assert got == [b"%d" % n for n in range(1, 11)]
            await client.ping()
            assert len(broker.connection.of(Puback)) == 10


async def test_an_alias_that_was_not_agreed_is_refused(broker):
    async with open_client(broker, protocol="5.0", topic_alias_maximum=2) as client:
        first = broker.connection
        properties = PublishProperties(topic_alias=3)
        await first.send(Message("t", b"x", properties=properties))
        await broker.connected(2)
        [goodbye] = first.of(Disconnect)
        assert goodbye.reason == ReasonCode.TOPIC_ALIAS_INVALID
        await client.ping()


async def test_a_broker_that_accepts_and_hangs_up_is_not_hammered(broker, caplog):
    broker.hangs_up = True
    async with open_client(broker, **lasting(), wait_connected=False):
        await anyio.sleep(3600)
    # Said once: two clients with one id throw each other out like this.
    warnings = [record.getMessage() for record in caplog.records]
    assert sum("use the same client id?" in text for text in warnings) == 1
    # Every ten seconds in the end, not five times a second.
    assert 300 < len(broker.attempts) < 800
    late = [
        after - before for before, after in itertools.pairwise(broker.attempts[10:])
    ]
    assert min(late) > 4


async def test_a_broker_that_sends_nonsense_each_time_is_not_hammered(broker):
    broker.answer(Connect, lambda *_: (Connack(), b"\x00\x00"))
    async with open_client(broker, **lasting(), wait_connected=False):
        await anyio.sleep(600)
    assert len(broker.attempts) < 150


async def test_acknowledgements_for_nothing_are_counted_and_harmless(broker):
    async with open_client(broker) as client:
        await broker.connection.send(
            *[encode(Puback(packet_id=n), 4) for n in (1, 2, 65_535)],
            b"\x90\x03\x00\x07\x00",
            b"\xb0\x02\x00\x07",
            b"\xd0\x00",
        )
        await exchanged(client)
        assert client.counters.unknown_acks == 5
        await client.publish("t", b"x", qos=1)
    assert len(broker.connections) == 1


FAULTS = [b"\xf5\xff", b"\x30\x03\x00\x02#", b"\x00\x00", b"HTTP/1.1 400 Bad\r\n\r\n"]


async def failure_at(broker: FakeBroker, answer: bytes, cut: int, protocol: str) -> str:
    """What is said when the first answer of a broker comes in two pieces."""
    broker.answer(Connect, lambda *_: ())

    async def answer_later() -> None:
        for piece in (answer[:cut], answer[cut:]):
            await anyio.sleep(0.1)
            await broker.connection.send(piece)

    async with anyio.create_task_group() as tg:
        tg.start_soon(answer_later)
        with pytest.raises(MqttConnectFailed) as caught:
            async with open_client(broker, protocol=protocol, reconnect_retries=0):
                pytest.fail("there is no connection")
        tg.cancel_scope.cancel()
    return str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("cut", range(4))
@pytest.mark.parametrize(
    ("protocol", "welcome"),
    [("3.1.1", b"\x20\x02\x00\x00"), ("5.0", b"\x20\x03\x00\x00\x00")],
)
async def test_who_errs_right_behind_a_good_connack_speaks_mqtt(
    broker, protocol: str, welcome: bytes, cut: int, fault: bytes
):
    said = await failure_at(broker, welcome + fault, cut, protocol)
    assert "broke the protocol" in said
    assert "does not speak MQTT" not in said


@pytest.mark.parametrize("cut", [0, len("HTTP/"), len("HTTP/1.1")])
async def test_a_web_server_is_told_when_its_answer_is_cut(broker, cut: int):
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    said = await failure_at(broker, answer, cut, "3.1.1")
    assert "does not speak MQTT, an HTTP server answers" in said
