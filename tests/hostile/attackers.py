"""What attackers have in common: plain sockets from an address of their choice."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect

TIMEOUT_S = 60.0


@contextlib.contextmanager
def dial(source: str, uri: str) -> Iterator[socket.socket]:
    """Connect a plain socket from the address `source`."""
    parts = urlsplit(uri)
    address = (str(parts.hostname), int(parts.port or 1883))
    with socket.create_connection(address, TIMEOUT_S, (source, 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


@contextlib.contextmanager
def log_in(source: str, uri: str, connect: Connect) -> Iterator[socket.socket]:
    """The same, as a client that the broker has taken."""
    with dial(source, uri) as sock:
        sock.sendall(encode(connect, connect.version))
        assert read(sock, 1) == b"\x20"
        answer = read(sock, read(sock, 1)[0])
        assert answer[1] == 0, answer
        yield sock


def read(sock: socket.socket, size: int) -> bytes:
    """Read just so many bytes."""
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk, "the broker has hung up"
        data += chunk
    return data


def send_until_refused(sock: socket.socket, data: bytes) -> None:
    """Send all of it, or as much as the other side takes before it hangs up."""
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)


def read_to_the_end(sock: socket.socket) -> bytes:
    """Read until the other side hangs up."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := sock.recv(65_536):
            data += chunk
    return data
