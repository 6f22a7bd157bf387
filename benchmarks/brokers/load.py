"""The load of every broker measurement: raw sockets that speak just enough MQTT 3.1.1.

It shares no code with any client or broker. All connections are served by one loop over
epoll; what is sent often is encoded beforehand, and what comes at QoS 0 is counted by
its length alone. Publishing is closed-loop: no more than a window of messages is ahead
of the slowest subscriber, so that no broker has to drop or hoard anything.

Prints one JSON line: how many messages reached subscribers, and in which time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import socket
import ssl
import time

HOST = "127.0.0.1"
CHUNK = 1 << 18
LARGE = 16_384
SILENCE_S = 10.0
AT_ONCE = 100
FILTERS_EACH = 1000
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
CLEAN_SESSION = 2
LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def topic_of(number: int) -> str:
    return f"bench/{number:05}/power"


class Surprise(Exception):
    """The broker did what the measurement has no place for."""


def string(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    size, header = len(body), bytearray((first,))
    while size > 127:
        header.append(size & 127 | 128)
        size >>= 7
    header.append(size)
    return bytes(header) + body


def connect_packet(client_id: str, *, is_lasting: bool) -> bytes:
    flags = bytes((4, 0 if is_lasting else CLEAN_SESSION))
    return packet(0x10, string("MQTT") + flags + b"\0\0" + string(client_id))


class Connection:
    """One client of the broker under load."""

    def __init__(
        self, args: argparse.Namespace, client_id: str, *, is_lasting: bool = False
    ) -> None:
        self.sock = socket.create_connection((HOST, args.port), timeout=SILENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if args.cafile:
            context = ssl.create_default_context(cafile=args.cafile)
            self.sock = context.wrap_socket(self.sock, server_hostname=HOST)
        self.buffer = b""
        self.unsent = memoryview(b"")
        self.messages = 0
        self.skipped = 0
        self.taken = 0
        """Bytes at QoS 0, ends of flows at QoS 1 and 2."""
        self.sock.sendall(connect_packet(client_id, is_lasting=is_lasting))

    def greet(self) -> None:
        self.expect(b"\x20\x02\0\0")

    def expect(self, wanted: bytes) -> None:
        while len(self.buffer) < len(wanted):
            data = self.sock.recv(CHUNK)
            if not data:
                msg = "the broker closed the connection"
                raise Surprise(msg)
            self.buffer += data
        head, self.buffer = self.buffer[: len(wanted)], self.buffer[len(wanted) :]
        if head != wanted:
            msg = f"expected {wanted.hex(' ')}, got {head.hex(' ')}"
            raise Surprise(msg)

    def subscribe(self, topics: list[str], qos: int) -> None:
        body = b"".join(string(topic) + bytes((qos,)) for topic in topics)
        self.sock.sendall(packet(0x82, b"\0\1" + body))
        self.expect(packet(0x90, b"\0\1" + bytes((qos,)) * len(topics)))

    def send_what_fits(self) -> bool:
        """Go on sending; True when all has been taken."""
        with contextlib.suppress(*LATER):
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        return not self.unsent

    def receive(self, buffer: bytearray) -> int:
        try:
            taken = self.sock.recv_into(buffer)
        except LATER:
            return -1
        if not taken:
            msg = "the broker closed the connection"
            raise Surprise(msg)
        return taken


class Load:
    """Publishers, subscribers, and how far they are."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.qos: int = args.qos
        self.window: int = args.window
        payload = bytes(i & 0xFF for i in range(args.payload))
        self.payload_bytes = len(payload)
        self.topics: int = args.topics
        self.waits: bool = args.wait
        self.size = len(self.publish_packet(payload, 1))
        self.subscribers = [
            Connection(args, f"sub{i}", is_lasting=args.lasting)
            for i in range(args.subscribers)
        ]
        self.publishers = [Connection(args, f"pub{i}") for i in range(args.publishers)]
        for one in (*self.subscribers, *self.publishers):
            one.greet()
        for one in self.subscribers:
            one.subscribe(["bench/#"], self.qos)
        self.others = self.subscribe_others(args)
        self.batch = max(1, min(100, self.window // (4 * args.publishers)))
        self.blocks = self.encoded(payload)
        self.place = [0] * args.publishers
        self.share = args.count // args.publishers
        self.count = self.share * args.publishers
        self.sent = [0] * args.publishers
        self.selector = selectors.DefaultSelector()
        self.space = bytearray(CHUNK)

    def subscribe_others(self, args: argparse.Namespace) -> list[Connection]:
        """Filters that match nothing, of clients that hear nothing."""
        names = [f"other/{number:05}/+/power" for number in range(args.filters)]
        others = []
        for first in range(0, len(names), FILTERS_EACH):
            one = Connection(args, f"other{first}")
            one.greet()
            for at in range(first, min(first + FILTERS_EACH, len(names)), AT_ONCE):
                one.subscribe(names[at : at + AT_ONCE], 0)
            others.append(one)
        return others

    def publish_packet(self, payload: bytes, packet_id: int) -> bytes:
        number = packet_id.to_bytes(2, "big") if self.qos else b""
        topic = string(topic_of(packet_id % self.topics))
        return packet(0x30 | self.qos << 1, topic + number + payload)

    def encoded(self, payload: bytes) -> list[memoryview]:
        """Batches of messages, with all packet ids in turn."""
        last = max(self.batch, self.topics) + 1
        if self.qos:
            last = 60_000 // self.batch * self.batch
        if self.size > LARGE:  # as many ids as are under way
            last = min(last, self.batch * (self.window + 2) + 1)
        return [
            memoryview(
                b"".join(
                    self.publish_packet(payload, number)
                    for number in range(first, first + self.batch)
                )
            )
            for first in range(1, last, self.batch)
        ]

    def run(self) -> dict[str, object]:
        for one in (*self.subscribers, *self.publishers):
            one.sock.settimeout(0)
            self.selector.register(one.sock, READ, one)
        if self.waits:
            print(json.dumps({"ready": True}), flush=True)
            input()
        expected = self.count * len(self.subscribers)
        arrived = 0
        started_at = time.monotonic()
        self.feed(0)
        while arrived < expected or self.is_flow_open():
            ready = self.selector.select(SILENCE_S)
            if not ready:
                msg = f"silence after {arrived} of {expected} messages"
                raise Surprise(msg)
            for key, events in ready:
                one = key.data
                if events & WRITE and one.send_what_fits():
                    self.selector.modify(one.sock, READ, one)
                if events & READ:
                    arrived += self.take(one)
                    # TLS may have decrypted more than was asked for.
                    while isinstance(one.sock, ssl.SSLSocket) and one.sock.pending():
                        arrived += self.take(one)
            self.feed(min(one.messages for one in self.subscribers))
        elapsed = time.monotonic() - started_at
        return {"delivered": arrived, "seconds": elapsed, "published": self.count}

    def is_flow_open(self) -> bool:
        return bool(self.qos) and any(one.taken < self.share for one in self.publishers)

    def feed(self, slowest: int) -> None:
        """Have every publisher send that is not too far ahead."""
        allowed = (slowest + self.window) // len(self.publishers)
        for index, one in enumerate(self.publishers):
            while not one.unsent and self.sent[index] < self.share:
                after = self.sent[index] + self.batch
                if after > max(allowed, self.batch):
                    break
                if self.qos and after - one.taken > self.window:
                    break
                many = min(self.batch, self.share - self.sent[index])
                block = self.blocks[self.place[index] % len(self.blocks)]
                self.place[index] += 1
                self.sent[index] += many
                one.unsent = block[: many * self.size]
                if not one.send_what_fits():
                    self.selector.modify(one.sock, READ | WRITE, one)

    def take(self, one: Connection) -> int:
        taken = one.receive(self.space)
        if taken < 0:
            return 0
        if self.qos:
            skipped = min(one.skipped, taken)
            one.skipped -= skipped
            return self.take_flows(one, one.buffer + self.space[skipped:taken])
        before = one.messages
        one.taken += taken
        one.messages = one.taken // self.size
        return one.messages - before

    def take_flows(self, one: Connection, data: bytes) -> int:
        """Answer what QoS 1 and 2 want answered; count messages and ends of flows."""
        at, end, before = 0, len(data), one.messages
        id_at = self.size - self.payload_bytes - 2
        first = b"\x40\x02" if self.qos == 1 else b"\x50\x02"
        answers = []
        while at < end:
            kind = data[at] & 0xF0
            length = self.size if kind == 0x30 else 4
            if at + length > end:
                break
            if kind == 0x30:
                one.messages += 1
                answers.append(first + data[at + id_at : at + id_at + 2])
            elif kind in (0x40, 0x70):
                one.taken += 1
            elif kind == 0x50:
                answers.append(b"\x62\x02" + data[at + 2 : at + 4])
            elif kind == 0x60:
                answers.append(b"\x70\x02" + data[at + 2 : at + 4])
            else:
                msg = f"an unexpected packet {data[at]:#x}"
                raise Surprise(msg)
            at += length
        if at < end and data[at] & 0xF0 == 0x30 and end - at > id_at + 2:
            # Of a long one only the head is looked at.
            one.messages += 1
            answers.append(first + data[at + id_at : at + id_at + 2])
            one.skipped = self.size - (end - at)
            at = end
        one.buffer = bytes(data[at:])
        if answers:
            one.unsent = memoryview(bytes(one.unsent) + b"".join(answers))
            if not one.send_what_fits():
                self.selector.modify(one.sock, READ | WRITE, one)
        return one.messages - before


def idle(args: argparse.Namespace) -> dict[str, object]:
    """Open connections, wait for the word, check that all are still there."""
    started_at = time.monotonic()
    connections: list[Connection] = []
    for first in range(0, args.idle, AT_ONCE):
        some = range(first, min(first + AT_ONCE, args.idle))
        connections += [Connection(args, f"idle{i}") for i in some]
        for one in connections[first:]:
            one.greet()
    seconds = time.monotonic() - started_at
    print(json.dumps({"connected": len(connections)}), flush=True)
    input()
    for one in connections:
        one.sock.sendall(b"\xc0\x00")
    for one in connections:
        one.expect(b"\xd0\x00")
    return {"delivered": len(connections), "seconds": seconds, "published": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=0)
    parser.add_argument("--publishers", type=int, default=1)
    parser.add_argument("--subscribers", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--payload", type=int, default=64)
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--filters", type=int, default=0, help="that match nothing")
    parser.add_argument("--wait", action="store_true", help="for a line, once ready")
    parser.add_argument("--lasting", action="store_true", help="sessions are kept")
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--cafile", help="who signed the broker's certificate: TLS")
    parser.add_argument("--cpu", type=int, default=-1)
    args = parser.parse_args()
    if args.cpu >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {args.cpu})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    problem, facts = "", {}
    try:
        facts = idle(args) if args.idle else Load(args).run()
    except (Surprise, OSError) as error:
        problem = f"{type(error).__name__}: {error}"
    print(json.dumps({**facts, "problem": problem}), flush=True)


if __name__ == "__main__":
    main()
