"""A Meross cloud, its broker and a device that are polite until they are told otherwise."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator

from structiot.meross.wire.cloud import Path
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    decode_envelope,
    encode_envelope,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack, Message, Suback
from structiot.mqtt.wire.reasons import ReasonCode
from tests.hostile.hostile_server import hostile_server

KEY = "0123456789abcdef0123456789abcdef"
USER = "123456"
UUID = "2401010000000000000048e1e9aabbcc"
ALL, ABILITY = "Appliance.System.All", "Appliance.System.Ability"
_ACKS = {
    Method.GET: Method.GETACK,
    Method.SET: Method.SETACK,
    Method.PUSH: Method.PUSH,
}


def http_reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def ok(data: str) -> bytes:
    return http_reply(b'{"apiStatus":0,"data":%b}' % data.encode())


def read_request(sock: socket.socket) -> tuple[bytes, bytes]:
    """Read the head and the body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += more(sock)
    return head, body


def more(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    if not data:
        raise ConnectionError
    return data


def say(sock: socket.socket, data: bytes, pieces: int) -> None:
    for begin in range(0, len(data), pieces):
        sock.sendall(data[begin : begin + pieces])


class HostileCloud:
    """Lets everybody in.

    Attributes:
        bad: What it says to a path instead of an empty list, and in which pieces.
        told: How often it has.
    """

    def __init__(self) -> None:
        self.bad: dict[str, tuple[bytes, int]] = {}
        self.told = 0

    def serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                head, _ = read_request(sock)
                path = head.split(b" ")[1].decode()
                if path in self.bad:
                    self.told += 1
                    say(sock, *self.bad[path])
                elif path == Path.SIGN_IN:
                    credentials = {"token": "t" * 64, "key": KEY, "userid": USER}
                    sock.sendall(ok(json.dumps(credentials)))
                else:
                    sock.sendall(ok("[]"))


class HostileDevice:
    """A device in the local network.

    Attributes:
        payloads: What it answers, by namespace.
        bad: What it says instead of any answer, and in which pieces.
        told: How often it has said something bad.
    """

    def __init__(self) -> None:
        system = {"hardware": {"uuid": UUID, "type": "msh300"}}
        self.payloads: dict[str, object] = {
            ABILITY: {"ability": {ALL: {}}},
            ALL: {"all": {"system": system, "digest": {}}},
        }
        self.bad: tuple[bytes, int] | None = None
        self.told = 0

    def serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            _, body = read_request(sock)
            self.told += 1
            if self.bad is not None:
                say(sock, *self.bad)
            else:
                asked = decode_envelope(body, "test")
                sock.sendall(http_reply(self._answer(asked)))

    def _answer(self, asked: Envelope) -> bytes:
        answer = Envelope(
            namespace=asked.namespace,
            method=_ACKS[asked.method],
            payload={},
            message_id=asked.message_id,
            sender=f"/appliance/{UUID}/publish",
            timestamp_s=asked.timestamp_s,
        )
        text = encode_envelope(answer, KEY)
        payload = self.payloads.get(asked.namespace, {})
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        return text.replace(b'"payload":{}', b'"payload":' + payload)


class FloodingBroker:
    """Lets everybody in, and says without end what `flood` makes, by its number.

    Attributes:
        told: How many messages have left.
    """

    def __init__(self, flood: Callable[[int], bytes], *, for_s: float = 3.0) -> None:
        self.told = 0
        self._flood = flood
        self._for_s = for_s

    def serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            more(sock)
            sock.sendall(encode(Connack(), 4))
            packets = b""
            subscribed = 0
            while subscribed < 2:
                packets += more(sock)
                while packets[:1] == b"\x82" and len(packets) > packets[1] + 1:
                    number = int.from_bytes(packets[2:4], "big")
                    one, packets = packets[: packets[1] + 2], packets[packets[1] + 2 :]
                    topics = one.count(b"/subscribe")
                    suback = Suback(packet_id=number, reasons=(ReasonCode(1),) * topics)
                    sock.sendall(encode(suback, 4))
                    subscribed += topics
            until = time.monotonic() + self._for_s
            while time.monotonic() < until:
                block = b"".join(self._flood(self.told + n) for n in range(16))
                sock.sendall(block)
                self.told += 16
            more(sock)


def push(
    uuid: str,
    payload: bytes,
    number: int,
    namespace: str = "Appliance.Control.ToggleX",
    key: str = KEY,
) -> bytes:
    """Give a signed push of a device, as the packet that comes from the broker."""
    envelope = Envelope(
        namespace=namespace,
        method=Method.PUSH,
        payload={},
        message_id=f"{number:032x}",
        sender=f"/appliance/{uuid}/publish",
        timestamp_s=1_700_000_000,
    )
    text = encode_envelope(envelope, key).replace(
        b'"payload":{}', b'"payload":' + payload
    )
    return encode(Message(f"/app/{USER}/subscribe", text), 4)


@contextlib.contextmanager
def served(host: str, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve it; give the URL."""
    with hostile_server(host, serve) as port:
        yield f"http://{host}:{port}"
