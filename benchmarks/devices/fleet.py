"""A fleet of devices: raw sockets that speak just enough of D1 or D4.

It shares no code with any manager. All devices are served by one loop over epoll: they
answer heartbeats all the time, and do what standard input says, a line of JSON each,
answered by a line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

HOST = "127.0.0.1"
BROADCAST = b"[" + b"broadcast " * 6 + b"]"
GIVE_UP_S = 60.0
LAST_MESSAGES_S = 5.0
# All that a server says is of this form: in D1 nothing else tells where it ends.
WORDS = re.compile(rb"[\x01-\x03]\xff|<\d{20}>|" + re.escape(BROADCAST))


class Surprise(Exception):
    """The manager did what the measurement has no place for."""


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(2, "big") + payload


class Device:
    """One connection."""

    def __init__(self, number: int, dialect: str, port: int) -> None:
        self.info = f'{UUID(int=number + 1)}##lamp##{{"room":"hall","n":{number}}}'
        self.is_framed = dialect == "D4"
        self.buffer = b""
        self.is_known = self.is_gone = False
        self.broadcasts = 0
        self.sock = socket.socket()
        self.sock.settimeout(0)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            self.sock.connect((HOST, port))

    def say(self, payload: bytes) -> None:
        try:
            self.sock.send(framed(payload) if self.is_framed else payload)
        except OSError:
            self.is_gone = True

    def words(self) -> list[bytes]:
        """What has come, word by word."""
        try:
            data = self.sock.recv(65_536)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.is_gone = True
        self.buffer += data
        return self._frames() if self.is_framed else self._words()

    def _frames(self) -> list[bytes]:
        found, at = [], 0
        while len(self.buffer) >= at + 2:
            size = int.from_bytes(self.buffer[at : at + 2], "big")
            if len(self.buffer) < at + 2 + size:
                break
            found.append(self.buffer[at + 2 : at + 2 + size])
            at += 2 + size
        self.buffer = self.buffer[at:]
        return found

    def _words(self) -> list[bytes]:
        found, end = [], 0
        for match in WORDS.finditer(self.buffer):
            found.append(match.group().removesuffix(b"\xff"))
            end = match.end()
        self.buffer = self.buffer[end:]
        return found

    def take(self, word: bytes) -> bytes:
        """Do what the manager wants; give back what is a message."""
        if word == b"\x01":
            self.say(self.info.encode())
            self.is_known = True
        elif word == b"\x02":
            self.say(b"\x02" if self.is_framed else b"beat")
        elif word == b"\x03":
            self.is_gone = True
        else:
            return word
        return b""


class Fleet:
    """All devices."""

    def __init__(self, port: int, dialect: str) -> None:
        self.port, self.dialect = port, dialect
        self.devices: list[Device] = []
        self.known = self.gone = self.heartbeats = self.told = 0
        self.last_broadcast_at = 0.0
        self.took_s: list[float] = []
        self.orders: list[str] = []
        self.selector = selectors.DefaultSelector()
        os.set_blocking(0, False)
        self.selector.register(0, selectors.EVENT_READ)

    def serve(self, for_s: float) -> None:
        """Wait for what comes next, and take it."""
        for key, _ in self.selector.select(for_s):
            if key.data is None:
                # One line at a time; the next comes after its answer.
                line = sys.stdin.readline()
                if not line:
                    raise SystemExit
                self.orders.append(line)
            else:
                self.serve_one(key.data)

    def serve_one(self, device: Device) -> None:
        was_known = device.is_known
        for word in device.words():
            self.heartbeats += word == b"\x02"
            message = device.take(word)
            if message == BROADCAST:
                device.broadcasts += 1
                self.told += 1
                self.last_broadcast_at = time.monotonic()
            elif message:
                self.took_s.append(time.monotonic() - int(message[1:-1]) / 1e9)
        self.known += device.is_known and not was_known
        if device.is_gone:
            self.gone += 1
            self.selector.unregister(device.sock)
            device.sock.close()

    def until(self, is_done: Callable[[], bool], for_s: float = GIVE_UP_S) -> bool:
        give_up_at = time.monotonic() + for_s
        while not is_done():
            if time.monotonic() > give_up_at:
                return False
            self.serve(0.1)
        return True

    # ------------------------------------------------------------ orders

    def connect(self, count: int, at_once: int) -> dict[str, Any]:
        """Have so many devices more, of which so many are on their way at a time."""
        started_at, wanted = time.monotonic(), len(self.devices) + count
        while len(self.devices) < wanted:
            if not self.until(lambda: len(self.devices) - self.known < at_once):
                raise Surprise(f"only {self.known} devices were asked who they are")
            device = Device(len(self.devices), self.dialect, self.port)
            self.devices.append(device)
            self.selector.register(device.sock, selectors.EVENT_READ, device)
        if not self.until(lambda: self.known + self.gone >= wanted) or self.gone:
            raise Surprise(f"{self.known} of {wanted} devices, {self.gone} ended")
        return {"started_at": started_at}

    def idle(self, seconds: float) -> dict[str, Any]:
        """Answer heartbeats for so long."""
        before = self.heartbeats
        self.until(lambda: False, seconds)
        return {"heartbeats": self.heartbeats - before, "gone": self.gone}

    def expect_broadcast(self, number: int) -> dict[str, Any]:
        """Wait until all have had a message to all."""
        wanted = number * len(self.devices)
        self.until(lambda: self.told >= wanted - self.gone * number)
        return {"missing": wanted - self.told, "last_at": self.last_broadcast_at}

    def load(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send messages at a rate, by one device after the other; all come back.

        A message is as late as it is against the time when it should have been sent.
        """
        started_at, sent = time.monotonic(), 0
        self.took_s.clear()
        while sent < rate * seconds:
            due_at = started_at + sent / rate
            wait_s = due_at - time.monotonic()
            if wait_s > 0:
                self.serve(wait_s)
                continue
            device = self.devices[sent % len(self.devices)]
            if not device.is_gone:
                device.say(b"<%020d>" % int(due_at * 1e9))
            sent += 1
            if sent % 10 == 0:
                self.serve(0)
        self.until(lambda: len(self.took_s) >= sent, LAST_MESSAGES_S)
        took = sorted(self.took_s) or [0.0]
        shares = [took[int(share * (len(took) - 1))] for share in (0.5, 0.99, 1.0)]
        return {"sent": sent, "returned": len(self.took_s), "took_s": shares}

    def obey(self) -> None:
        """Do what is wanted until standard input ends."""
        while True:
            if not self.until(lambda: bool(self.orders)):
                continue
            order = json.loads(self.orders.pop(0))
            do = getattr(self, order.pop("do"))
            try:
                answer = do(**order)
            except Surprise as exc:
                answer = {"problem": str(exc)}
            print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("dialect", choices=("D1", "D4"))
    parser.add_argument("cpu", type=int)
    args = parser.parse_args()
    if args.cpu >= 0:
        os.sched_setaffinity(0, {args.cpu})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Fleet(args.port, args.dialect).obey()


if __name__ == "__main__":
    main()
