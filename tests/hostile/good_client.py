"""A client that keeps to the rules, and must not notice what others do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect

PING = b"\xc0\x00"
PAUSE_S = 0.005
TIMEOUT_S = 60.0


class GoodClient:
    """Sends PINGREQ, waits for PINGRESP, and remembers the longest wait.

    A thread of its own with a plain socket: what it waits for is the broker alone.
    """

    def __init__(self, host: str, port: int, username: str | None = None) -> None:
        self.longest_s = 0.0
        self.count = 0
        self.error: Exception | None = None
        self._address = (host, port)
        password = None if username is None else username.encode()
        self._connect = encode(
            Connect(client_id="good", version=4, username=username, password=password),
            4,
        )
        self._is_ready = threading.Event()
        self._is_over = threading.Event()

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
            # Its last ping is answered by the loop that waits here.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(thread.join, TIMEOUT_S)

    def _run(self) -> None:
        try:
            with socket.create_connection(self._address, timeout=TIMEOUT_S) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._exchange(sock, self._connect, 4)
                self._is_ready.set()
                while not self._is_over.is_set():
                    begun = time.monotonic()
                    self._exchange(sock, PING, 2)
                    self.longest_s = max(self.longest_s, time.monotonic() - begun)
                    self.count += 1
                    time.sleep(PAUSE_S)
        except Exception as exc:
            self.error = exc
        finally:
            self._is_ready.set()

    def _exchange(self, sock: socket.socket, request: bytes, size: int) -> None:
        sock.sendall(request)
        reply = b""
        while len(reply) < size:
            chunk = sock.recv(size - len(reply))
            assert chunk, "the broker has hung up"
            reply += chunk
        assert reply in (b"\x20\x02\x00\x00", b"\xd0\x00"), reply
