"""Hostile and broken peers of a broker process, on real sockets: row B28.

Whatever a peer does: only its own connection ends, the memory stays where it was, and a
witness that publishes to itself all the time notices nothing.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

MB = 1024 * 1024
PATIENCE_S = 1.5
WITNESS = b"\x30\x0a\x00\x07witness"


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    process = BrokerProcess("--sys-interval=0", backend=request.param)
    process.start()
    yield process
    errors = process.stop()
    assert "Traceback" not in errors


class Peer:
    """A plain socket that says what it is told to."""

    def __init__(self, broker: BrokerProcess, data: bytes = b"") -> None:
        self.socket = socket.create_connection((broker.host, broker.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(data)

    def connect(self, client_id: str = "", version: int = 4, **options: object) -> Peer:
        connect = Connect(client_id=client_id, version=version, **options)  # type: ignore[arg-type]
        self.socket.sendall(encode(connect, version))
        assert self.read(1) == b"\x20"
        self.read(self.read(1)[0])
        return self

    def subscribe(self, topic: str, qos: int = 0) -> Peer:
        request = SubscriptionRequest(topic_filter=topic, qos=qos)
        self.socket.sendall(encode(Subscribe(packet_id=1, subscriptions=(request,)), 4))
        assert self.read(5)[:2] == b"\x90\x03"
        return self

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            assert chunk, "the broker has hung up"
            data += chunk
        return data

    def until_closed(self) -> bytes:
        data = b""
        with contextlib.suppress(ConnectionError):
            while chunk := self.socket.recv(65_536):
                data += chunk
        return data

    def send_while_possible(self, chunk: bytes, most: int) -> int:
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < most:
                sent += self.socket.send(chunk)
        return sent

    def reset(self) -> None:
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.socket.close()


class Witness:
    """Publishes to itself, one message after the other, and remembers the worst wait."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.count = 0
        self.worst_s = 0.0
        self.error: Exception | None = None
        self._peer = Peer(broker).connect("witness").subscribe("witness")
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="witness")
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._is_over:
                begun = time.monotonic()
                self._peer.socket.sendall(WITNESS + b"x")
                assert self._peer.read(len(WITNESS) + 1) == WITNESS + b"x"
                self.worst_s = max(self.worst_s, time.monotonic() - begun)
                self.count += 1
                time.sleep(0.001)
        except Exception as exc:
            self.error = exc

    def finish(self) -> None:
        self._is_over = True
        self._thread.join()
        self._peer.socket.close()


@pytest.fixture
def witness(broker: BrokerProcess) -> Iterator[Witness]:
    one = Witness(broker)
    yield one
    one.finish()
    assert one.error is None
    assert one.count > 0
    assert one.worst_s < PATIENCE_S


@pytest.fixture
def same_memory(broker: BrokerProcess) -> Iterator[None]:
    for _ in range(20):
        Peer(broker).connect().socket.close()
    before = broker.memory_bytes()
    yield
    assert broker.memory_bytes() - before < 8 * MB


def publish(payload: bytes = b"x" * 100, **options: object) -> bytes:
    return encode(Message("a/b", payload, **options), 4)  # type: ignore[arg-type]


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
