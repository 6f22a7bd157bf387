"""Hostile and broken peers of a broker process, on real sockets: row B28.

Whatever a peer does: only its own connection ends, the memory stays where it was, and a
witness that publishes to itself all the time notices nothing.
"""

from __future__ import annotations

import contextlib
import random

import pytest

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Puback,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    Will,
)
from tests._support.broker_process import BrokerProcess
from tests.e2e.broker_hostile.peers import MB, Peer, publish

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


@pytest.mark.usefixtures("witness")
def test_b28_resets_at_every_moment(broker: BrokerProcess):
    for _ in range(30):
        Peer(broker).reset()
        Peer(broker, encode(Connect(client_id="x"), 4)[:9]).reset()
        Peer(broker).connect().reset()
        peer = Peer(broker).connect().subscribe("a/#", qos=2)
        peer.socket.sendall(publish(qos=2, packet_id=7) * 50 + publish()[:20])
        peer.reset()


@pytest.mark.usefixtures("witness")
def test_b28_probes_and_strangers(broker: BrokerProcess):
    Peer(broker).socket.close()
    for greeting in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(1000),
        b"\xff" * 1000,
    ):
        peer = Peer(broker, greeting)
        assert peer.until_closed() == b""
        peer.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
@pytest.mark.parametrize("is_connected", [True, False])
def test_b28_a_claim_of_256_mb_costs_nothing(broker: BrokerProcess, is_connected: bool):
    for kind in (0x10, 0x30, 0x82, 0xA2):
        peer = Peer(broker)
        if is_connected:
            peer.connect()
        peer.socket.sendall(bytes((kind, 0xFF, 0xFF, 0xFF, 0x7F)))
        assert peer.send_while_possible(bytes(65_536), 256 * MB) < 16 * MB
        peer.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
def test_b28_a_reader_that_takes_nothing_costs_little(broker: BrokerProcess):
    stuck = Peer(broker).connect("stuck").subscribe("a/#")
    stuck_too = Peer(broker).connect("stuck too").subscribe("a/#", qos=1)
    publisher = Peer(broker).connect("publisher")
    for _ in range(30):
        publisher.socket.sendall(publish(bytes(10_000)) * 100)
    publisher.socket.sendall(encode(Pingreq(), 4))
    assert publisher.read(2) == b"\xd0\x00"
    for peer in (stuck, stuck_too, publisher):
        peer.reset()


@pytest.mark.usefixtures("same_memory")
def test_b28_a_flood_of_connections_leaves_nothing(broker: BrokerProcess):
    for number in range(600):
        peer = Peer(broker).connect(f"flood{number}", will=Will(topic="flood"))
        peer.subscribe(f"flood/{number}")
        if number % 2:
            peer.reset()
        else:
            peer.socket.close()


def corpus(version: int) -> list[bytes]:
    request = SubscriptionRequest(topic_filter="fuzz/+/#", qos=1)
    packets: list[Packet] = [
        Connect(
            client_id="fuzz",
            username="u",
            password=b"p",
            will=Will(topic="fuzz/w", payload=b"w"),
            keep_alive_s=60,
            version=version,
        ),
        Message("fuzz/a", b"payload"),
        Message("fuzz/b", b"payload", qos=1, packet_id=3, retain=True),
        Message("fuzz/c", b"payload", qos=2, packet_id=4),
        Puback(packet_id=1),
        Pubrel(packet_id=4),
        Subscribe(packet_id=5, subscriptions=(request,)),
        Unsubscribe(packet_id=6, topic_filters=("fuzz/+/#",)),
        Pingreq(),
        Disconnect(),
    ]
    return [encode(packet, version) for packet in packets]


def damaged(data: bytes, chance: random.Random) -> bytes:
    mutable = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(mutable))
        kind = chance.randrange(4)
        if kind == 0:
            mutable[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            mutable[place] = chance.randrange(256)
        elif kind == 2:
            mutable.insert(place, chance.randrange(256))
        else:
            del mutable[place]
        if not mutable:
            break
    return bytes(mutable)


@pytest.mark.usefixtures("witness", "same_memory")
@pytest.mark.parametrize("version", [4, 5])
def test_b28_damaged_packets_end_their_connection_alone(
    broker: BrokerProcess, version: int
):
    chance = random.Random(version)
    packets = corpus(version)
    for number in range(300):
        peer = Peer(broker)
        if number % 3:
            peer.connect(f"fuzz{number % 5}", version, will=Will(topic="fuzz/will"))
        with contextlib.suppress(ConnectionError):
            for packet in chance.choices(packets, k=6):
                peer.socket.sendall(damaged(packet, chance))
        peer.socket.close()


def test_b28_idle_connections_cost_less_than_20_kb(broker: BrokerProcess):
    count = 500
    warm = [Peer(broker).connect(f"warm{number}") for number in range(50)]
    before = broker.memory_bytes()
    peers = [
        Peer(broker).connect(f"idle{number}").subscribe(f"idle/{number}")
        for number in range(count)
    ]
    assert (broker.memory_bytes() - before) / count < 20_000
    for peer in (*warm, *peers):
        peer.socket.close()
