"""The one peer of every measurement: a socket that speaks just enough MQTT.

It shares no code with any client. Whatever is sent often is encoded beforehand,
and whatever arrives often is counted by slices over whole buffers, so that one
core of it outruns any client by far: the client is always what is measured.

It takes one connection and prints two JSON lines: its port at the start, and what
happened with the times of the system-wide monotonic clock at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import selectors
import socket
import ssl
import time

CHUNK = 1 << 18
SILENCE_S = 20.0
# Of longer packets not all of it is looked at.
LARGE = 16_384
ACK_SIZE = 4
# As much is sent with one call, and is on its way at QoS 1 and 2; of larger packets one.
BLOCK_BYTES = 1 << 20
UNDER_WAY_BYTES = 1 << 23
USUAL_WINDOW = 1000
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
PUBREC, PUBCOMP = 0x50, 0x70
# Filters that begin so are not those the measurement waits for.
OTHER = b"other/"
IS_PUBREC = bytes(1 if kind == PUBREC else 0 for kind in range(256))
IS_PUBCOMP = bytes(1 if kind == PUBCOMP else 0 for kind in range(256))


class Surprise(Exception):
    """The client sent something that the measurement has no place for."""


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def topics_of(template: str, count: int) -> list[str]:
    """So many topics, all of one length."""
    return [template.format(f"{n % 10_000:04}") for n in range(1, count + 1)]


def framed(first: int, body: bytes) -> bytes:
    size, header = len(body), bytearray((first,))
    while size > 127:
        header.append(size & 127 | 128)
        size >>= 7
    header.append(size)
    return bytes(header) + body


def window_of(payload: int) -> int:
    """How many messages may be under way at once."""
    return max(1, min(USUAL_WINDOW, UNDER_WAY_BYTES // payload))


class Peer:
    """One connection, from CONNECT to the last byte of the measurement."""

    def __init__(self, sock: socket.socket, args: argparse.Namespace) -> None:
        self.sock = sock
        self.qos: int = args.qos
        self.count: int = args.count
        self.window: int = min(args.window, window_of(args.payload))
        self.topics = [t.encode() for t in topics_of(args.topic, args.topics)]
        self.payload = bytes(i & 0xFF for i in range(args.payload))
        self.version = 4
        self.buffer = b""
        self.unsent = memoryview(b"")
        self.batch = 1
        self.blocks: list[memoryview] = []
        self.due = 0
        """Bytes of acknowledgements to come; what follows them is something else."""
        self.first_at = 0.0
        self.last_at = 0.0

    def publish_packet(self, packet_id: int) -> bytes:
        topic = self.topics[packet_id % len(self.topics)]
        body = len(topic).to_bytes(2, "big") + topic
        if self.qos:
            body += packet_id.to_bytes(2, "big")
        if self.version == 5:
            body += b"\x00"
        return framed(0x30 | self.qos << 1, body + self.payload)

    # -- packets one at a time: before and after the measurement

    def more(self) -> None:
        data = self.sock.recv(CHUNK)
        if not data:
            msg = "the client closed the connection"
            raise Surprise(msg)
        self.buffer += data

    def next_packet(self) -> bytes:
        while True:
            length = shift = 0
            for at, byte in enumerate(self.buffer[1:5], 2):
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    end = at + length
                    if len(self.buffer) >= end:
                        packet, self.buffer = self.buffer[:end], self.buffer[end:]
                        return packet[:1] + packet[at:]
                    break
            self.more()

    def greet(self) -> None:
        connect = self.next_packet()
        if connect[0] != 0x10:
            msg = f"expected CONNECT, got type {connect[0]:#x}"
            raise Surprise(msg)
        self.version = connect[1 + 2 + connect[2]]
        five = self.version == 5
        self.sock.sendall(b"\x20\x03\0\0\0" if five else b"\x20\x02\0\0")

    def answer(self, packet: bytes) -> bool:
        """Answer what a client may send beside the measurement; True: it shall begin."""
        kind, packet_id = packet[0] & 0xF0, packet[1:3]
        extra = b"\x00" if self.version == 5 else b""
        if kind == 0x80:
            codes = bytes((self.qos,)) * self.filters_in(packet)
            self.sock.sendall(framed(0x90, packet_id + extra + codes))
        elif kind == 0xA0:
            body = packet_id + (b"\x00\x00" if extra else b"")
            self.sock.sendall(bytes((0xB0, len(body))) + body)
        elif kind == 0xC0:
            self.sock.sendall(b"\xd0\x00")
        elif kind == 0xE0:
            msg = "the client disconnected"
            raise Surprise(msg)
        return kind == 0x80 and OTHER not in packet

    def filters_in(self, subscribe: bytes) -> int:
        at, count = 3 + (self.version == 5 and 1 + subscribe[3]), 0
        while at < len(subscribe):
            at += 3 + int.from_bytes(subscribe[at : at + 2], "big")
            count += 1
        return count

    def linger(self) -> None:
        """Stay polite until the client goes, whatever it does on its way out."""
        with contextlib.suppress(Surprise, OSError):
            while True:
                self.answer(self.next_packet())

    # -- the client receives

    def feed(self) -> None:
        while not self.answer(self.next_packet()):
            pass
        if self.qos:
            self.encode_all()
            self.feed_within_window()
        else:
            self.feed_freely()

    def feed_freely(self) -> None:
        packets = [self.publish_packet(i) for i in range(len(self.topics))]
        size = len(packets[0])
        repeated = max(1, min(1000, BLOCK_BYTES // size) // len(packets))
        batch = repeated * len(packets)
        block = memoryview(b"".join(packets) * repeated)
        self.first_at = time.monotonic()
        for _ in range(self.count // batch):
            self.sock.sendall(block)
        self.sock.sendall(block[: self.count % batch * size])
        self.last_at = time.monotonic()

    def encode_all(self) -> None:
        """All packet identifiers in turn, a quarter of the window in each block."""
        self.batch = max(1, self.window // 4)
        last = 65536
        if 1 < self.window < USUAL_WINDOW:  # large packets: as many ids as it takes
            last = 2 * self.window + self.batch + 1
        self.blocks = [
            memoryview(
                b"".join(
                    self.publish_packet(i) for i in range(first, first + self.batch)
                )
            )
            for first in range(1, last - self.batch, self.batch)
        ]

    def feed_within_window(self) -> None:
        batch = self.batch
        ring = itertools.cycle(self.blocks)
        size = len(self.publish_packet(1))
        self.due = self.count * self.qos * ACK_SIZE
        sent = done = 0
        self.sock.settimeout(0)
        selector = selectors.DefaultSelector()
        selector.register(self.sock, READ)
        self.first_at = time.monotonic()
        while done < self.count:
            may_send = sent < self.count and sent + batch - done <= self.window
            if may_send and not self.unsent:
                share = min(batch, self.count - sent)
                self.unsent = next(ring)[: share * size]
                sent += share
            if self.unsent:
                with contextlib.suppress(*LATER):
                    self.unsent = self.unsent[self.sock.send(self.unsent) :]
                    if not self.unsent:
                        continue
            selector.modify(self.sock, READ | WRITE if self.unsent else READ)
            ready = selector.select(SILENCE_S)
            if not ready:
                msg = f"silence after {done} of {self.count} acknowledgements"
                raise Surprise(msg)
            if ready[0][1] & READ:
                with contextlib.suppress(*LATER):
                    done += self.acknowledged()
        self.last_at = time.monotonic()
        selector.close()
        self.sock.settimeout(SILENCE_S)

    def acknowledged(self) -> int:
        """Read what is there; answer PUBRECs; how many messages are now finished."""
        self.more()
        whole = min(len(self.buffer) // ACK_SIZE * ACK_SIZE, self.due)
        self.due -= whole
        acks, self.buffer = self.buffer[:whole], self.buffer[whole:]
        kinds = acks[::ACK_SIZE]
        if self.qos == 1:
            if kinds.count(0x40) != len(kinds):
                msg = "expected nothing but PUBACK"
                raise Surprise(msg)
            return len(kinds)
        recs, comps = kinds.count(PUBREC), kinds.count(PUBCOMP)
        if recs + comps != len(kinds):
            msg = "expected nothing but PUBREC and PUBCOMP"
            raise Surprise(msg)
        if recs:
            chosen = kinds.translate(IS_PUBREC)
            release = bytearray(b"\x62\x02\0\0" * recs)
            release[2::4] = bytes(itertools.compress(acks[2::4], chosen))
            release[3::4] = bytes(itertools.compress(acks[3::4], chosen))
            # Behind what is half sent: within TLS nothing may come between.
            self.unsent = memoryview(bytes(self.unsent) + release)
        return comps

    # -- the client publishes

    def swallow(self) -> None:
        example = self.publish_packet(1)
        while len(self.buffer) < len(example):
            self.more()
        self.first_at = time.monotonic()
        head, tail = self.buffer[: len(example)], example[-len(self.payload) :]
        if head[:2] != example[:2] or not head.endswith(tail):
            msg = f"the first packet is not the PUBLISH expected: {head[:40].hex(' ')}"
            raise Surprise(msg)
        if len(example) > LARGE and self.qos == 1:
            self.swallow_large(len(example))
        else:
            (self.swallow_0, self.swallow_1, self.swallow_2)[self.qos](len(example))
        self.last_at = time.monotonic()

    def id_at(self, size: int) -> int:
        """Where the packet id stands in a PUBLISH of this size."""
        return size - len(self.payload) - (3 if self.version == 5 else 2)

    def swallow_large(self, size: int) -> None:
        """QoS 1: look at each head, and count the rest."""
        id_at, space, view = self.id_at(size), bytearray(CHUNK), memoryview(b"")
        head, self.buffer, done = bytearray(self.buffer), b"", 0
        while True:
            while len(head) > id_at + 2:
                if head[0] != 0x32:
                    msg = "expected nothing but PUBLISH at QoS 1, without DUP"
                    raise Surprise(msg)
                packet_id, missing = head[id_at : id_at + 2], size - len(head)
                del head[:size]
                view = memoryview(space)
                while missing > 0:
                    taken = self.sock.recv_into(view[: min(missing, CHUNK)])
                    if not taken:
                        msg = f"closed after {done} of {self.count} messages"
                        raise Surprise(msg)
                    missing -= taken
                self.sock.sendall(b"\x40\x02" + packet_id)
                done += 1
            if done >= self.count:
                return
            head += self.sock.recv(id_at + 3)

    def swallow_0(self, size: int) -> None:
        missing = size * self.count - len(self.buffer)
        space = bytearray(CHUNK)
        while missing > 0:
            taken = self.sock.recv_into(space)
            if not taken:
                lost = -(-missing // size)
                msg = f"closed with {lost} of {self.count} messages missing"
                raise Surprise(msg)
            missing -= taken
        self.buffer = b""

    def swallow_1(self, size: int) -> None:
        id_at = self.id_at(size)
        done = 0
        while True:
            messages = len(self.buffer) // size
            cut = messages * size
            data, self.buffer = self.buffer[:cut], self.buffer[cut:]
            if data[::size].count(0x32) != messages:
                msg = "expected nothing but PUBLISH at QoS 1, without DUP"
                raise Surprise(msg)
            acks = bytearray(b"\x40\x02\0\0" * messages)
            acks[2::4] = data[id_at::size]
            acks[3::4] = data[id_at + 1 :: size]
            self.sock.sendall(acks)
            done += messages
            if done >= self.count:
                return
            self.more()

    def swallow_2(self, size: int) -> None:
        id_at = self.id_at(size)
        done = 0
        while True:
            data = self.buffer
            at, end = 0, len(data)
            answers = []
            while at < end:
                kind = data[at]
                if kind == 0x34:
                    if at + size > end:
                        break
                    answers.append(b"\x50\x02" + data[at + id_at : at + id_at + 2])
                    at += size
                elif kind == 0x62:
                    if at + ACK_SIZE > end:
                        break
                    answers.append(b"\x70\x02" + data[at + 2 : at + 4])
                    at += ACK_SIZE
                    done += 1
                else:
                    msg = f"expected PUBLISH or PUBREL, got {kind:#x}"
                    raise Surprise(msg)
            self.buffer = data[at:]
            self.sock.sendall(b"".join(answers))
            if done >= self.count:
                return
            self.more()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("receive", "publish"), required=True)
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--topic", required=True, help="{} is for a number")
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--payload", type=int, required=True)
    parser.add_argument("--certificate", help="with its key; without: no TLS")
    parser.add_argument("--cpu", type=int, default=-1)
    args = parser.parse_args()
    if args.cpu >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {args.cpu})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        say(port=listener.getsockname()[1])
        sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(SILENCE_S)
    if args.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.certificate)
        sock = context.wrap_socket(sock, server_side=True)
    with sock:
        peer = Peer(sock, args)
        problem = ""
        try:
            peer.greet()
            peer.feed() if args.mode == "receive" else peer.swallow()
        except (Surprise, OSError) as error:
            problem = f"{type(error).__name__}: {error}"
        say(first_at=peer.first_at, last_at=peer.last_at, problem=problem)
        if not problem:
            peer.linger()


if __name__ == "__main__":
    main()
