"""Brokers that fill a client's memory: unread messages, long topics, answers they do not read."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import anyio
import pytest

from structiot.mqtt import open_mqttclient
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Message, Pubrel
from structiot.mqtt.wire.properties import PublishProperties
from tests.hostile.hostile_server import (
    accept_mqtt,
    hostile_server,
    wait_for_the_end,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECONDS = 4.0
LEDGER_MB = 64
EMOJI = "\N{GRINNING FACE}"


def unread(number: int) -> bytes:
    return encode(Message("t", bytes(100_000), qos=1, packet_id=number), 4)


def long_topics(number: int) -> bytes:
    topic = f"t/{EMOJI}{number}" + "x" * 60_000
    return encode(Message(topic, b"", qos=1, packet_id=number), 4)


def long_topics_of_qos_0(number: int) -> bytes:
    return encode(Message(f"t/{EMOJI}{number}" + "x" * 60_000, b""), 4)


def retained(number: int) -> bytes:
    return encode(Message(f"t/{number}" + "x" * 60_000, b"", retain=True), 4)


def payloads_of_qos_0(number: int) -> bytes:
    return encode(Message(f"t/{number % 7}", bytes(100_000)), 4)


def properties(number: int) -> bytes:
    pairs = tuple((f"{number}-{n}", "\u0100") for n in range(1000))
    message = Message(
        "t",
        qos=1,
        packet_id=number,
        properties=PublishProperties(user_properties=pairs),
    )
    return encode(message, 5)


def properties_of_qos_0(number: int) -> bytes:
    pairs = tuple((f"{number}-{n}", "\u0100") for n in range(1000))
    message = Message("t", properties=PublishProperties(user_properties=pairs))
    return encode(message, 5)


def unreleased(number: int) -> bytes:
    return encode(Message("t", b"", qos=2, packet_id=number), 4)


def answers(number: int) -> bytes:
    return encode(Pubrel(packet_id=number), 4) * 10_000


CASES: dict[str, tuple[str, Any]] = {
    "100 kB of QoS 1": ("3.1.1", unread),
    "long topics of QoS 1": ("3.1.1", long_topics),
    "properties of QoS 1": ("5.0", properties),
    "100 kB of QoS 0": ("3.1.1", payloads_of_qos_0),
    "long topics of QoS 0": ("3.1.1", long_topics_of_qos_0),
    "properties of QoS 0": ("5.0", properties_of_qos_0),
    "long topics retained": ("3.1.1", retained),
    "tiny ones of QoS 2": ("3.1.1", unreleased),
    "PUBREL by one that never reads": ("3.1.1", answers),
}


@pytest.mark.parametrize("name", CASES)
async def test_nobody_reads(watched, attacker, name: str):
    version, packet = CASES[name]

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            accept_mqtt(sock, 5 if version == "5.0" else 4)
            sock.settimeout(SECONDS)
            for number in range(1, 65_536):
                sock.sendall(packet(number))
            wait_for_the_end(sock)

    config = {
        "protocol": version,
        "reconnect_retries": 0,
        "goodbye_s": 0.1,
        "receive_maximum": 65_535,
    }
    with hostile_server(attacker, serve) as port:
        # What was read and not handled yet, and what the allocators round up; of small
        # objects a whole arena is kept for one that lives.
        async with watched(grows_mb=LEDGER_MB * 1.6 + 8, keeps_mb=LEDGER_MB * 1.1):
            async with (
                open_mqttclient(f"mqtt://{attacker}:{port}", "c", config) as client,
                client.subscription("t/#", qos=1) as messages,
            ):
                await anyio.sleep(SECONDS)
                assert client.is_connected
                assert client.counters.unread_bytes < LEDGER_MB * 1.1e6
                assert len(messages) > 0 or "PUBREL" in name
            assert client.counters.unread_bytes == 0


async def test_many_that_were_taken_and_not_acknowledged_are_let_go(watched, attacker):
    count = 40_000

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            accept_mqtt(sock, 4)
            packets = (Message("t", qos=1, packet_id=n + 1) for n in range(count))
            sock.sendall(b"".join(encode(packet, 4) for packet in packets))
            wait_for_the_end(sock)

    config = {"protocol": "3.1.1", "reconnect_retries": 0, "goodbye_s": 0.1}
    with hostile_server(attacker, serve) as port:
        async with watched(grows_mb=40, keeps_mb=20):
            async with (
                open_mqttclient(f"mqtt://{attacker}:{port}", "c", config) as client,
                client.subscription("t", qos=1, ack="manual") as messages,
            ):
                for _ in range(count):
                    await anext(messages)
