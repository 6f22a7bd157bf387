"""What is published comes out as it went in, whichever engine moves it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import PeerError, UsageError
from structiot.mqtt import open_mqttclient
from tests.engines.conftest import OpenClient

pytestmark = pytest.mark.e2e

WAIT_S = 5.0


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_arrives_at_the_lower_of_both_qos(
    mosquitto, open_client: OpenClient, topic: str, qos: int, granted: int
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, qos=granted) as messages:
            assert messages.granted_qos == granted
            await client.publish(topic, b"\x00\xff", qos=qos)
            with anyio.fail_after(WAIT_S):
                message = await anext(messages)
    assert (message.topic, message.payload, message.data) == (
        topic,
        b"\0\xff",
        b"\0\xff",
    )
    assert (message.qos, message.retain) == (min(qos, granted), False)
    packet = message.publish_packet
    assert packet.variable_header.topic_name == topic
    assert packet.payload.data == b"\x00\xff"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_many_messages_keep_their_order(
    mosquitto, open_client: OpenClient, topic: str, qos: int
):
    wanted = [b"%d" % number for number in range(200)]
    # Mosquitto 2.0.11 stops for good when it holds more than 20 of QoS 2 for somebody.
    step = 20 if qos == 2 else 200
    received: list[bytes] = []
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, qos=qos) as messages:
            for start in range(0, len(wanted), step):
                burst = wanted[start : start + step]
                await client.publish_many([(topic, data) for data in burst], qos=qos)
                with anyio.fail_after(WAIT_S):
                    received += [(await anext(messages)).payload for _ in burst]
    assert received == wanted


@pytest.mark.parametrize("size", [0, 1, 127, 128, 200_000, 5_000_000])
async def test_payloads_of_any_size_arrive(
    mosquitto, open_client: OpenClient, topic: str, size: int
):
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, qos=1) as messages:
            await client.publish(topic, payload, qos=1)
            with anyio.fail_after(WAIT_S):
                message = await anext(messages)
    assert message.payload == payload


@pytest.mark.parametrize(
    ("codec", "value", "payload"),
    [
        ("noop", b"raw", b"raw"),
        ("binary", b"raw", b"raw"),
        ("utf8", "größer", "größer".encode()),
        ("json", {"a": [1, 2.5, None]}, b'{"a":[1,2.5,null]}'),
        ("msgpack", ("x", 1), b"\x92\xa1x\x01"),
        ("bool", True, b"on"),
        ("yesno", False, b"no"),
        ("int", 42, b"42"),
        ("float", 5.2, b"5.2"),
    ],
)
@pytest.mark.parametrize("chosen_by", ["call", "client", "config"])
async def test_codecs_are_chosen_by_call_subscription_client_and_configuration(
    mosquitto,
    open_client: OpenClient,
    topic: str,
    *,
    codec: str,
    value: Any,
    payload: bytes,
    chosen_by: str,
):
    config: dict[str, Any] = {}
    config["codec_params"] = {"yesno": {"on": "yes", "off": "no", "name": "bool"}}
    of_client = codec if chosen_by == "client" else None
    if chosen_by == "config":
        config["codec"] = codec
    of_call = codec if chosen_by == "call" else None
    async with open_client(mosquitto.uri, config=config, codec=of_client) as client:
        async with (
            client.subscription(topic, codec=of_call) as messages,
            client.subscription(topic, codec="noop") as raw,
        ):
            await client.publish(topic, value, codec=of_call)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).data == value
                assert (await anext(raw)).data == payload


async def test_what_does_not_decode_is_handed_out_as_bytes_and_counted(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, codec="json") as messages:
            await client.publish(topic, b"{no json")
            await client.publish(topic, {"fine": True}, codec="json")
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).data == b"{no json"
                assert (await anext(messages)).data == {"fine": True}
            assert messages.undecodable == client.counters.undecodable == 1


@pytest.mark.parametrize(
    ("topic_name", "message", "options"),
    [
        ("a/#", b"", {}),
        ("", b"", {}),
        ("a\0b", b"", {}),
        ("x" * 70_000, b"", {}),
        ("t", 7.5, {}),
        ("t", b"", {"qos": 3}),
    ],
)
@pytest.mark.parametrize("qos", [0, 1])
async def test_what_cannot_be_sent_is_refused_and_disturbs_nobody(
    mosquitto,
    open_client: OpenClient,
    topic: str,
    *,
    qos: int,
    topic_name: str,
    message: Any,
    options: dict[str, Any],
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, qos=1) as messages:
            with pytest.raises(UsageError):
                await client.publish(topic_name, message, **{"qos": qos, **options})
            await client.publish(topic, b"fine", qos=1)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).payload == b"fine"


async def test_defaults_come_from_the_topic_and_then_from_the_configuration(
    mosquitto, open_client: OpenClient, topic: str
):
    config = {
        "default_qos": 1,
        "topics": {f"{topic}/2": {"qos": 2}, f"{topic}/kept": {"retain": True}},
    }
    async with open_client(mosquitto.uri, config=config) as client:
        async with client.subscription(f"{topic}/#", qos=2) as messages:
            for name in ("1", "2", "kept"):
                await client.publish([topic, name], b"x")
            await client.publish(f"{topic}/2", b"x", qos=0)
            with anyio.fail_after(WAIT_S):
                received = [await anext(messages) for _ in range(4)]
        assert [message.qos for message in received] == [1, 2, 1, 0]
        async with client.subscription(f"{topic}/#") as messages:
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).topic == f"{topic}/kept"
        await client.publish(f"{topic}/kept", b"", retain=True)


async def test_receipts_say_when_the_broker_has_a_message(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        receipt = await client.publish_soon(topic, b"x", qos=2)
        with anyio.fail_after(WAIT_S):
            await receipt.wait()
        assert receipt.is_done
        assert client.counters.in_flight == 0


async def test_requests_need_mqtt_5(mosquitto, open_client: OpenClient, topic: str):
    async with open_client(mosquitto.uri) as client:
        with pytest.raises(UsageError, match=r"MQTT 5\.0"):
            await client.request(topic, b"?")


async def test_a_ping_is_answered(mosquitto, open_client: OpenClient):
    async with open_client(mosquitto.uri) as client:
        with anyio.fail_after(WAIT_S):
            await client.ping()
            await client.ping()


async def test_the_newest_of_a_slow_reader_are_kept_and_the_others_counted(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        async with (
            client.subscription(topic, max_items=10) as slow,
            client.subscription(topic) as quick,
        ):
            for number in range(50):
                await client.publish(topic, b"%d" % number)
            with anyio.fail_after(WAIT_S):
                for _ in range(50):
                    await anext(quick)
                kept = [int((await anext(slow)).payload) for _ in range(10)]
            assert kept == list(range(40, 50))
            assert slow.dropped == 40


async def test_the_old_way_of_subscribing_works(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        codes = await client.subscribe([(f"{topic}/a", 1), (f"{topic}/b/#", 2)])
        assert codes == [1, 2]
        await client.publish(f"{topic}/b", "hello", qos=2, codec="utf8")
        await client.publish(f"{topic}/a", b"\xff", qos=1)
        with anyio.fail_after(WAIT_S):
            message = await client.deliver_message(codec="utf8")
            assert message is not None
            assert (message.topic, message.data) == (f"{topic}/b", "hello")
            with pytest.raises(PeerError, match="cannot decode"):
                await client.deliver_message(codec="utf8")
        await client.unsubscribe([f"{topic}/a"])
        await client.publish(f"{topic}/a", b"unheard", qos=1)
        await client.publish(f"{topic}/b", b"heard", qos=1)
        with anyio.fail_after(WAIT_S):
            message = await client.deliver_message()
        assert message is not None
        assert message.payload == b"heard"
        await client.disconnect()
        assert await client.deliver_message() is None


async def test_request_and_reply_are_messages_like_others(
    mosquitto, open_client: OpenClient, topic: str
):
    # What a program does that has to run on either engine.
    async with (
        open_client(mosquitto.uri) as client,
        open_mqttclient(mosquitto.uri) as other,
        client.subscription(f"{topic}/reply", qos=1) as replies,
        other.subscription(f"{topic}/ask", qos=1) as requests,
    ):
        await client.publish(f"{topic}/ask", b"how much?", qos=1)
        with anyio.fail_after(WAIT_S):
            assert (await anext(requests)).payload == b"how much?"
            await other.publish(f"{topic}/reply", b"5 W", qos=1)
            assert (await anext(replies)).payload == b"5 W"


async def test_cancelling_a_publisher_stops_neither_message_nor_client(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic, qos=1) as messages:
            for _ in range(20):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await client.publish(topic, b"given up", qos=1)
            await client.publish(topic, b"last", qos=1)
            with anyio.fail_after(WAIT_S):
                while (await anext(messages)).payload != b"last":
                    pass
        assert client.counters.in_flight == 0
