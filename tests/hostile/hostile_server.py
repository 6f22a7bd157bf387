"""Servers that want harm: plain sockets in a thread, at an address of their choice."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack, Suback
from structiot.mqtt.wire.reasons import ReasonCode

WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TIMEOUT_S = 30.0
Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def hostile_server(host: str, serve: Serve) -> Iterator[int]:
    """Serve each connection in turn by a function; give the port."""
    with socket.create_server((host, 0)) as listening:
        is_over = threading.Event()

        def run() -> None:
            while not is_over.is_set():
                with contextlib.suppress(OSError):
                    sock, _ = listening.accept()
                    with sock:
                        sock.settimeout(TIMEOUT_S)
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        serve(sock)

        thread = threading.Thread(target=run, name="hostile server", daemon=True)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            is_over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def accept_mqtt(sock: socket.socket, version: int, *, subscribes: bool = True) -> None:
    """Take a CONNECT, and a SUBSCRIBE of one filter, as a broker does."""
    sock.recv(65_536)
    sock.sendall(encode(Connack(), version))
    if subscribes:
        packet = sock.recv(65_536)
        if packet[:1] != b"\x82":
            raise ConnectionError("the client leaves")
        number = int.from_bytes(packet[2:4], "big")
        suback = Suback(packet_id=number, reasons=(ReasonCode(1),))
        sock.sendall(encode(suback, version))


def accept_websocket(sock: socket.socket) -> None:
    """Take the request of a websocket for MQTT."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += sock.recv(65_536)
    fields = dict(
        line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line
    )
    key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
    answer = base64.b64encode(hashlib.sha1(key + WEBSOCKET_KEY).digest())
    sock.sendall(
        b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + answer + b"\r\n\r\n"
    )


def dribble(sock: socket.socket, data: bytes, *, every_s: float = 0.01) -> None:
    """Send a byte at a time, and begin anew, until the other side has had enough."""
    with contextlib.suppress(OSError):
        while True:
            for byte in data:
                sock.sendall(bytes((byte,)))
                time.sleep(every_s)


def wait_for_the_end(sock: socket.socket) -> None:
    """Take what comes until the client goes."""
    with contextlib.suppress(OSError):
        while sock.recv(1 << 20):
            pass
