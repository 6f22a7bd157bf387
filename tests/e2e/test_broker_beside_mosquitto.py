"""The broker's rules beside Mosquitto's: the same packets to both, the same answers.

Where the two differ, the case says so, and the page about the broker says why.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.mqtt.broker import BrokerLimits, open_broker
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubrec,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode
from tests._support.mosquitto import DEFAULT_CONFIG
from tests.conftest import StartMosquitto
from tests.link.broker.raw import RawClient

pytestmark = pytest.mark.e2e
versions = pytest.mark.parametrize("version", [4, 5])

END = "closed"
TOO_LONG = bytes(300)


async def said_by(
    uri: str, version: int, connect: Any, packets: list[Packet]
) -> list[Any]:
    """What a broker answers to a CONNECT, these packets and a PINGREQ."""
    host, _, port = uri.removeprefix("mqtt://").rstrip("/").partition(":")
    stream = await anyio.connect_tcp(host, int(port))
    client = RawClient(stream, version)
    said: list[Any] = []
    try:
        with anyio.fail_after(10):
            options = {"client_id": "c"} | connect
            await client.send(Connect(version=version, **options))
            if _is_welcome(packet := await client.next()):
                await client.send(*packets, Pingreq())
            while packet is not None and not isinstance(packet, Pingresp):
                said += _words(packet)
                packet = await client.next()
    finally:
        await anyio.aclose_forcefully(stream)
    return [*said, END] if packet is None else said


def _is_welcome(packet: Packet | None) -> bool:
    return isinstance(packet, Connack) and not packet.reason.is_failure


def _words(packet: Packet) -> list[Any]:
    """What is compared of a packet: no texts, no sizes that are of a broker's own."""
    if isinstance(packet, Connack):
        told = packet.properties
        return [int(packet.reason), told.maximum_qos, told.retain_available]
    if isinstance(packet, Suback):
        return [[int(reason) for reason in packet.reasons]]
    if isinstance(packet, Message):
        return [(packet.topic, packet.payload, packet.qos, packet.retain)]
    if isinstance(packet, Puback | Pubrec | Disconnect):
        return [type(packet).__name__, int(packet.reason)]
    return [packet]


def publish(topic: str = "a", payload: bytes = b"x", **options: Any) -> Message:
    packet_id = 5 if options.get("qos") else 0
    return Message(topic, payload, packet_id=packet_id, **options)


def subscribe(topic_filter: str, qos: int = 2) -> Subscribe:
    request = SubscriptionRequest(topic_filter=topic_filter, qos=qos)
    return Subscribe(packet_id=7, subscriptions=(request,))


ALIKE: dict[str, tuple[str, dict[str, Any], list[Any]]] = {
    "max_qos": (
        "max_qos 1",
        {"maximum_qos": 1},
        [
            [publish(qos=2)],
            [publish(qos=1)],
            [subscribe("a"), publish(qos=1)],
        ],
    ),
    "max_qos 0": (
        "max_qos 0",
        {"maximum_qos": 0},
        [[publish(qos=1)], [subscribe("a"), publish()]],
    ),
    "retain_available": (
        "retain_available false",
        {"retain_available": False},
        [[publish(retain=True)], [publish()], [subscribe("a")]],
    ),
    "message_size_limit": (
        "message_size_limit 299",
        {"payload_bytes": 299},
        [
            [subscribe("a"), publish(payload=TOO_LONG)],
            [subscribe("a"), publish(payload=TOO_LONG[:-1])],
            {"will": Will(topic="w", payload=TOO_LONG)},
        ],
    ),
    "max_packet_size": (
        "max_packet_size 300",
        {"packet_bytes": 300},
        [[publish(payload=TOO_LONG, qos=1)], [publish(payload=TOO_LONG[:200], qos=1)]],
    ),
}


def mosquitto_of(start_mosquitto: StartMosquitto, option: str) -> str:
    # `max_qos` belongs to the listener, which is the first line.
    return start_mosquitto(f"{option}\n{DEFAULT_CONFIG}").uri


@versions
@pytest.mark.parametrize("option", ALIKE)
async def test_both_answer_alike(
    start_mosquitto: StartMosquitto, version: int, option: str
):
    line, limits, talks = ALIKE[option]
    theirs = mosquitto_of(start_mosquitto, line)
    async with open_broker("mqtt://127.0.0.1:0", limits=BrokerLimits(**limits)) as ours:
        for talk in talks:
            connect = talk if isinstance(talk, dict) else {}
            packets = talk if isinstance(talk, list) else []
            expected = await said_by(theirs, version, connect, packets)
            assert await said_by(ours.uri, version, connect, packets) == expected


@pytest.mark.parametrize(
    ("line", "limits", "connect"),
    [
        ("max_qos 1", {"maximum_qos": 1}, {"will": Will(topic="w", qos=2)}),
        (
            "retain_available false",
            {"retain_available": False},
            {"will": Will(topic="w", retain=True)},
        ),
    ],
)
async def test_a_will_that_cannot_be_refuses_the_connection(
    start_mosquitto: StartMosquitto, line: str, limits: Any, connect: Any
):
    theirs = mosquitto_of(start_mosquitto, line)
    async with open_broker("mqtt://127.0.0.1:0", limits=BrokerLimits(**limits)) as ours:
        expected = await said_by(theirs, 5, connect, [])
        found = await said_by(ours.uri, 5, connect, [])
        # Mosquitto tells its limits to who is not let in, too.
        assert (found[0], found[-1]) == (expected[0], expected[-1])
        # In 3.1.1 it closes without a word.
        assert await said_by(theirs, 4, connect, []) == [END]
        code = ConnectReturnCode.NOT_AUTHORIZED
        assert await said_by(ours.uri, 4, connect, []) == [code, None, None, END]


async def test_who_has_no_id_is_refused(start_mosquitto: StartMosquitto):
    theirs = mosquitto_of(start_mosquitto, "allow_zero_length_clientid false")
    limits = BrokerLimits(allows_empty_client_id=False)
    nameless = {"client_id": ""}
    async with open_broker("mqtt://127.0.0.1:0", limits=limits) as ours:
        both = [await said_by(uri, 4, nameless, []) for uri in (theirs, ours.uri)]
        assert both[0] == both[1] == [2, None, None, END]
        # Ours names what is wrong; Mosquitto has 0x80, "unspecified".
        both = [await said_by(uri, 5, nameless, []) for uri in (theirs, ours.uri)]
        assert [said[0] for said in both] == [0x80, 0x85]


@versions
@pytest.mark.parametrize("topic", ["a\x07", "a\x7f", "a\x85", "a\uffff"])
async def test_a_control_character_reaches_nobody(
    start_mosquitto: StartMosquitto, version: int, topic: str
):
    """Mosquitto ends the connection; ours refuses the message or the filter."""
    theirs = mosquitto_of(start_mosquitto, "")
    messages: list[Packet] = [subscribe("#"), publish(topic, qos=1)]
    filters: list[Packet] = [subscribe(topic)]
    end = ["Disconnect", 0x81, END] if version == 5 else [END]
    welcome = [0, None, None]
    async with open_broker("mqtt://127.0.0.1:0") as ours:
        said = await said_by(theirs, version, {}, messages)
        assert said == [*welcome, [2], *end]
        assert await said_by(theirs, version, {}, filters) == [*welcome, *end]
        code = 0x90 if version == 5 else 0
        said = await said_by(ours.uri, version, {}, messages)
        assert said == [*welcome, [2], "Puback", code]
        code = 0x8F if version == 5 else 0x80
        assert await said_by(ours.uri, version, {}, filters) == [*welcome, [code]]
