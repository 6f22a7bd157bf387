"""Plain sockets that say what they are told to, and a witness that must not notice."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Message,
    Subscribe,
    SubscriptionRequest,
)
from tests._support.broker_process import BrokerProcess

MB = 1024 * 1024
WITNESS = b"\x30\x0a\x00\x07witness"


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

    def subscribe(self, topic: str, qos: int = 0, version: int = 4) -> Peer:
        request = SubscriptionRequest(topic_filter=topic, qos=qos)
        packet = Subscribe(packet_id=1, subscriptions=(request,))
        self.socket.sendall(encode(packet, version))
        size = 5 + (version == 5)
        assert self.read(size)[:2] == bytes((0x90, size - 2))
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


def publish(payload: bytes = b"x" * 100, **options: object) -> bytes:
    return encode(Message("a/b", payload, **options), 4)  # type: ignore[arg-type]
