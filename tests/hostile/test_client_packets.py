"""Brokers that send what costs a client a lot: many tiny packets, a lot of properties."""

from __future__ import annotations

import contextlib
import socket

import anyio
import pytest

from structiot.mqtt import Messages, MqttClient, PublishProperties, open_mqttclient
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Disconnect,
    Message,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
)
from structiot.mqtt.wire.properties import AckProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.hostile.hostile_server import accept_mqtt, hostile_server, wait_for_the_end

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

FLOOD_BYTES = 2_000_000
OK = ReasonCode.SUCCESS


def repeated(piece: bytes) -> bytes:
    return piece * (FLOOD_BYTES // len(piece))


def publish(body: bytes, *, flags: int = 0) -> bytes:
    size, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        size += bytes((low | (128 if rest else 0),))
        if not rest:
            return bytes((0x30 | flags,)) + size + body


def with_block(block: bytes) -> bytes:
    """A PUBLISH of 5.0 on the topic t with these properties."""
    size, rest = b"", len(block)
    while True:
        rest, low = divmod(rest, 128)
        size += bytes((low | (128 if rest else 0),))
        if not rest:
            return publish(b"\x00\x01t" + size + block + b"x")


def varied_ids() -> bytes:
    """Many packets with some subscription identifiers each, no two alike."""
    packets = []
    for number in range(20_000):
        ids = (128 + number % 16_000, *range(1, 30))
        block = b"".join(
            b"\x0b" + (bytes((n,)) if n < 128 else bytes((n & 0x7F | 0x80, n >> 7)))
            for n in ids
        )
        packets.append(with_block(block))
    return b"".join(packets)


PAIR = b"\x26\x00\x00\x00\x00"
FLOODS_3_1_1 = {
    "QoS 0": repeated(b"\x30\x03\x00\x01t"),
    "QoS 0 unclaimed": repeated(b"\x30\x03\x00\x01u"),
    "PINGRESP": repeated(b"\xd0\x00"),
    "PUBACK": repeated(encode(Puback(packet_id=7), 4)),
    "PUBREC": repeated(encode(Pubrec(packet_id=7), 4)),
    "PUBCOMP": repeated(encode(Pubcomp(packet_id=7), 4)),
    "PUBREL": repeated(encode(Pubrel(packet_id=7), 4)),
    "SUBACK": repeated(encode(Suback(packet_id=7, reasons=(OK,)), 4)),
    "UNSUBACK": repeated(encode(Unsuback(packet_id=7), 4)),
    "CONNACK": repeated(encode(Connack(), 4)),
    "QoS 2, repeated": repeated(
        encode(Message("t", b"", qos=2, packet_id=7, dup=True), 4)
    ),
}
FLOODS_5_0 = {
    "800 kB of subscription identifiers": with_block(b"\x0b\x01" * 400_000),
    "800 kB of large ones": with_block(b"\x0b\xff\xff\xff\x7f" * 160_000),
    "a megabyte of user properties": with_block(PAIR * 200_000),
    "user properties again and again": repeated(with_block(PAIR * 100)),
    "identifiers, all different": varied_ids(),
    "user properties of a PUBACK": repeated(
        encode(
            Puback(
                packet_id=1,
                properties=AckProperties(user_properties=(("", ""),) * 1000),
            ),
            5,
        )
    ),
    "PUBREL": repeated(encode(Pubrel(packet_id=7), 5)),
    "DISCONNECT": repeated(encode(Disconnect(), 5)),
    "AUTH": repeated(b"\xf0\x00"),
    "long topics": repeated(publish(b"\xea\x60" + b"x" * 60_000 + b"\x00")),
    "levels": repeated(publish(b"\xea\x60" + b"/" * 60_000 + b"\x00")),
    "expiry": repeated(
        encode(Message("t", properties=PublishProperties(message_expiry_s=1)), 5)
    ),
}
CASES = [
    *[("3.1.1", name, flood) for name, flood in FLOODS_3_1_1.items()],
    *[("5.0", name, flood) for name, flood in FLOODS_5_0.items()],
]


async def read_all(messages: Messages) -> None:
    async for _ in messages:
        pass


async def until_gone(client: MqttClient) -> None:
    """Wait until the client has taken all, or has left the broker."""
    before = -1
    while before != client.counters.received_bytes or before < FLOOD_BYTES // 20:
        before = client.counters.received_bytes
        if client.counters.connections > 1 or not client.is_connected:
            break
        await anyio.sleep(0.2)


@pytest.mark.parametrize(
    ("version", "flood"),
    [(version, flood) for version, _, flood in CASES],
    ids=[f"{version} {name}" for version, name, _ in CASES],
)
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "never reads"])
async def test_a_flood_of_packets(
    watched, attacker, version: str, flood: bytes, *, reads: bool
):
    number = 5 if version == "5.0" else 4

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            accept_mqtt(sock, number)
            sock.settimeout(1)
            sock.sendall(flood)
            if reads:
                wait_for_the_end(sock)

    config = {"protocol": version, "reconnect_retries": 0, "goodbye_s": 0.2}
    with hostile_server(attacker, serve) as port:
        async with watched(grows_mb=96, keeps_mb=48):
            with contextlib.suppress(Exception):
                async with (
                    open_mqttclient(f"mqtt://{attacker}:{port}", "c", config) as client,
                    client.subscription("t", qos=1) as messages,
                    anyio.create_task_group() as tg,
                ):
                    tg.start_soon(read_all, messages)
                    with anyio.move_on_after(5):
                        await until_gone(client)
                    tg.cancel_scope.cancel()
