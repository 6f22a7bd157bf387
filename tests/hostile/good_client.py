"""Who keeps to the rules, and must not notice what others do."""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio.to_thread

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect

PING, PONG = b"\xc0\x00", b"\xd0\x00"
HELLO = b"\x00\x05hello"
PAUSE_S = 0.005
TIMEOUT_S = 60.0


class GoodPeer(ABC):
    """Asks, waits for the answer, and remembers the longest wait.

    A thread of its own with a plain socket: what it waits for is the server alone.
    """

    def __init__(self, host: str, port: int) -> None:
        self.longest_s = 0.0
        self.count = 0
        self.error: Exception | None = None
        self.address = (host, port)
        self._is_ready = threading.Event()
        self._is_over = threading.Event()

    @abstractmethod
    def greet(self, sock: socket.socket) -> None:
        """Say who it is."""

    @abstractmethod
    def ask(self, sock: socket.socket) -> None:
        """Ask for something, and read the answer."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        thread = threading.Thread(target=self._run, name="good client", daemon=True)
        thread.start()
        # The attack begins when it is there.
        await anyio.to_thread.run_sync(self._is_ready.wait, TIMEOUT_S)
        try:
            yield
        finally:
            self._is_over.set()
            # Its last question is answered by the loop that waits here.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(thread.join, TIMEOUT_S)

    def _run(self) -> None:
        try:
            with socket.create_connection(self.address, timeout=TIMEOUT_S) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.greet(sock)
                self._is_ready.set()
                while not self._is_over.is_set():
                    begun = time.monotonic()
                    self.ask(sock)
                    self.longest_s = max(self.longest_s, time.monotonic() - begun)
                    self.count += 1
                    time.sleep(PAUSE_S)
        except Exception as exc:
            self.error = exc
        finally:
            self._is_ready.set()


class GoodClient(GoodPeer):
    """A client of a broker: sends PINGREQ, waits for PINGRESP."""

    def __init__(self, host: str, port: int, username: str | None = None) -> None:
        super().__init__(host, port)
        password = None if username is None else username.encode()
        self._connect = encode(
            Connect(client_id="good", version=4, username=username, password=password),
            4,
        )

    def greet(self, sock: socket.socket) -> None:
        assert exchange(sock, self._connect, 4) == b"\x20\x02\x00\x00"

    def ask(self, sock: socket.socket) -> None:
        assert exchange(sock, PING, 2) == PONG


class GoodDevice(GoodPeer):
    """A device of a manager, in D4: sends a message, waits for the same."""

    type = "light"

    def __init__(self, host: str, port: int, uuid: UUID) -> None:
        super().__init__(host, port)
        self.uuid = uuid

    def greet(self, sock: socket.socket) -> None:
        assert exchange(sock, b"", 3) == b"\x00\x01\x01"
        info = f"{self.uuid}##{self.type}##{{}}".encode()
        sock.sendall(len(info).to_bytes(2) + info)
        self.ask(sock)

    def ask(self, sock: socket.socket) -> None:
        assert exchange(sock, HELLO, len(HELLO)) == HELLO


def exchange(sock: socket.socket, request: bytes, size: int) -> bytes:
    """Say something, and read so many bytes."""
    sock.sendall(request)
    reply = b""
    while len(reply) < size:
        chunk = sock.recv(size - len(reply))
        assert chunk, "the server has hung up"
        reply += chunk
    return reply
