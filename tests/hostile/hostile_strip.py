"""A strip in a thread of its own that is polite until it is told otherwise."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

SERIAL = "SWP6000000{:06}"
PORTS = 6
DATA = {
    "response": 511,
    "code": 200,
    "data": {"watt": [5200] * PORTS, "amp": [23] * PORTS, "switch": [1] * PORTS},
}
LOOK_EVERY_S = 0.05
FLOOD_BYTES = 60_000


def http_reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class HostileStrip:
    """Answers discovery and data on free ports of an address.

    Attributes:
        http_port: Where it speaks HTTP; nothing is there with `has_http=False`.
        udp_port: Where it answers discovery and V3.
        bad_reply: What it says by HTTP instead of data, once it is set.
        bad_pieces: How many bytes of that go out at a time.
        floods: Whether it answers V3 questions by nonsense without end.
        told: Bad replies and nonsense datagrams that have left.
    """

    def __init__(self, host: str, number: int = 1, *, has_http: bool = True) -> None:
        self.bad_reply: bytes | None = None
        self.bad_pieces = 65_536
        self.floods = False
        self.told = 0
        self._number = number
        self._is_over = threading.Event()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((host, 0))
        self._tcp = socket.socket()
        self._tcp.bind((host, 0))
        if has_http:
            self._tcp.listen(128)
        for one in (self._udp, self._tcp):
            one.settimeout(LOOK_EVERY_S)
        self.http_port: int = self._tcp.getsockname()[1]
        self.udp_port: int = self._udp.getsockname()[1]
        loops = [self._answer_udp, *([self._answer_http] if has_http else [])]
        self._threads = [threading.Thread(target=one, daemon=True) for one in loops]

    @contextlib.contextmanager
    def running(self) -> Iterator[HostileStrip]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._is_over.set()
            for thread in self._threads:
                thread.join(10)
            self._udp.close()
            self._tcp.close()

    def _answer_http(self) -> None:
        while not self._is_over.is_set():
            try:
                peer, _ = self._tcp.accept()
            except TimeoutError:
                continue
            with peer, contextlib.suppress(OSError):
                peer.settimeout(5)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.recv(4096)
                self._say(peer)

    def _say(self, peer: socket.socket) -> None:
        bad = self.bad_reply
        if bad is None:
            peer.sendall(http_reply(json.dumps(DATA).encode()))
            return
        self.told += 1
        for begin in range(0, len(bad), self.bad_pieces):
            if self._is_over.is_set():
                return
            peer.sendall(bad[begin : begin + self.bad_pieces])

    def _answer_udp(self) -> None:
        serial = SERIAL.format(self._number)
        who = {"response": 0, "data": {"sn": serial, "name": "Bad", "ver": "2.11"}}
        while not self._is_over.is_set():
            try:
                question, peer = self._udp.recvfrom(4096)
            except (TimeoutError, ConnectionError):
                continue
            if question.startswith(b"00"):
                self._udp.sendto(json.dumps(who).encode(), peer)
            elif self.floods:
                self._flood(peer)
            else:
                answer = json.dumps({**DATA, "response": 90}).encode()
                self._udp.sendto(b"V3" + answer, peer)

    def _flood(self, peer: tuple[str, int]) -> None:
        nonsense = b"V3{" + b"x" * (FLOOD_BYTES - 3)
        with contextlib.suppress(OSError):
            for _ in range(30_000):
                if self._is_over.is_set():
                    return
                self._udp.sendto(nonsense, peer)
                self.told += 1
