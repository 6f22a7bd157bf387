"""A lamp that dials in to a manager, in structiot's own dialect.

Frames, a secret that is never told, messages that are acknowledged and arrive once. It
runs on MicroPython and on CPython as it is: sockets, JSON, SHA-256, and nothing to install.

    import device_structiot
    lamp = device_structiot.Lamp("1862cfe1-5dab-4d8e-a946-50d6728f830f", b"our secret")
    device_structiot.run("192.168.1.10", 8595, lamp)

On a computer: python examples/clients/device_structiot.py HOST PORT UUID [SECRET]
"""

import hashlib
import json
import os
import random
import socket
import sys
import time

VERSION = 1
WANTS_PROOF = 1
FIRST_WAIT_S = 1
LONGEST_WAIT_S = 60
AFTER_GOODBYE_S = 30
# How many ids are remembered, to know a message that comes again.
SEEN = 64


def hmac_sha256(key, message):
    """HMAC (RFC 2104), for MicroPython comes without."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([b ^ 0x36 for b in key]) + message).digest()
    return hashlib.sha256(bytes([b ^ 0x5C for b in key]) + inner).digest()


def is_same(one, other):
    """Compare two proofs in a time that tells nothing of where they differ."""
    difference = len(one) ^ len(other)
    for a, b in zip(one, other):
        difference |= a ^ b
    return difference == 0


def frame(kind, payload=b""):
    """Write a frame: a kind, a length of two bytes, and so many bytes."""
    return kind + len(payload).to_bytes(2, "big") + payload


class Goodbye(Exception):
    """The server does not want us, or not any more."""


class Lamp:
    """Who the device is, and what it has not yet been told is safe at the server."""

    def __init__(self, uuid, secret=b""):
        """Take the UUID as 36 characters, and the secret that the server knows."""
        digits = uuid.replace("-", "")
        self.uuid = bytes([int(digits[i : i + 2], 16) for i in range(0, 32, 2)])
        self.secret = secret
        self.is_on = False
        self.unacknowledged = []
        self.seen = []

    def describe(self):
        """Give the part of an info that a proof is made of."""
        data = json.dumps({"is_on": self.is_on}).encode()
        return self.uuid + bytes([len("lamp")]) + b"lamp" + data

    def obey(self, text):
        """Do what the server says; give the answer."""
        if text in (b"on", b"off"):
            self.is_on = text == b"on"
        elif text == b"toggle":
            self.is_on = not self.is_on
        elif text != b"state":
            return b'{"error": "on, off, toggle or state"}'
        return json.dumps({"is_on": self.is_on}).encode()


class Connection:
    """One connection to a server."""

    def __init__(self, sock, lamp):
        """Serve a lamp on a socket."""
        self.sock = sock
        self.lamp = lamp
        self.ours = os.urandom(16)
        self.theirs = b""
        self.told = b""
        self.is_taken = False

    def read(self, count):
        """Read so many bytes."""
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise OSError("the server has hung up")
            data += more
        return data

    def proof(self, side):
        """Prove that the secret is known, without telling it."""
        words = side + self.theirs + self.ours + self.told
        return hmac_sha256(self.lamp.secret, words)

    def tell_info(self):
        """Say who we are."""
        self.told = told = self.lamp.describe()
        proof = self.proof(b"structiot device") if self.lamp.secret else b""
        head = bytes([VERSION]) + told[:16] + self.ours + bytes([len(proof)])
        self.sock.sendall(frame(b"I", head + proof + told[16:]))

    def send(self, message):
        """Send a message, and keep it until the server has it."""
        one = (os.urandom(8), message)
        self.lamp.unacknowledged.append(one)
        self.sock.sendall(frame(b"D", one[0] + one[1]))

    def serve(self):
        """Do what the server wants, until the connection ends."""
        while True:
            head = self.read(3)
            payload = self.read(int.from_bytes(head[1:], "big"))
            self.take(head[:1], payload)

    def take(self, kind, payload):
        """Take one frame; before the welcome the server has proven nothing."""
        if not self.is_taken and kind in b"GPODA":
            raise Goodbye("the server gives orders before it has taken us")
        if kind == b"H":
            self.theirs = payload[2:18]
            if payload[1] & WANTS_PROOF and not self.lamp.secret:
                raise Goodbye("the server wants a secret, and we have none")
            self.tell_info()
        elif kind == b"G":
            self.tell_info()
        elif kind == b"W":
            self.welcome(payload)
        elif kind == b"P":
            self.sock.sendall(frame(b"O"))
        elif kind == b"D":
            self.take_message(payload[:8], payload[8:])
        elif kind == b"A":
            left = [one for one in self.lamp.unacknowledged if one[0] != payload]
            self.lamp.unacknowledged = left
        elif kind in (b"E", b"R"):
            raise Goodbye(payload.decode())

    def welcome(self, payload):
        """Believe the server if it knows the secret; send again what may be lost."""
        if self.lamp.secret and not is_same(
            payload[2:], self.proof(b"structiot server")
        ):
            raise Goodbye("the server does not know our secret")
        self.is_taken = True
        self.sock.settimeout(2 * int.from_bytes(payload[:2], "big") + 15)
        print("connected")
        for message_id, message in self.lamp.unacknowledged:
            self.sock.sendall(frame(b"D", message_id + message))

    def take_message(self, message_id, message):
        """Say that we have a message, and obey it if it is a new one."""
        seen = self.lamp.seen
        is_new = message_id not in seen
        answer = self.lamp.obey(message) if is_new else None
        if is_new:
            seen.append(message_id)
            del seen[:-SEEN]
        self.sock.sendall(frame(b"A", message_id))
        if answer is not None:
            self.send(answer)


def connect(host, port):
    """Open a connection on which a server that says nothing is an error."""
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
    sock = socket.socket()
    sock.settimeout(15)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def run(host, port, lamp):
    """Stay connected, for ever: wait longer each time, and never all at once."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            sock = connect(host, port)
            try:
                wait_s = FIRST_WAIT_S
                Connection(sock, lamp).serve()
            finally:
                sock.close()
        except OSError as error:
            print("no connection:", error)
        except Goodbye as error:
            # Another device may have our UUID: let it.
            print("goodbye:", error)
            wait_s = max(wait_s, AFTER_GOODBYE_S)
        time.sleep(wait_s * (0.5 + random.random() / 2))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        print("device_structiot.py HOST PORT UUID [SECRET]")
    else:
        given = sys.argv[4].encode() if len(sys.argv) > 4 else b""
        run(sys.argv[1], int(sys.argv[2]), Lamp(sys.argv[3], given))
