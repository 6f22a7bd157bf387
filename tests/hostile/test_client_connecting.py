"""Servers that have a client wait for ever before it is connected."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from structiot.errors import StructiotError
from structiot.mqtt import open_mqttclient
from tests.hostile.hostile_server import (
    Serve,
    accept_websocket,
    dribble,
    hostile_server,
    wait_for_the_end,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

CONNECT_S = 1.0
# What else it takes, for a busy machine: the settings of TLS are read from files.
LATE_S = 1.0
EMPTY_FRAMES = b"\x82\x00" * 30_000
PINGS = b"\x89\x00" * 30_000
UNFINISHED = b"\x02\x00" + b"\x00\x00" * 30_000


def websocket(frames: bytes) -> Serve:
    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            accept_websocket(sock)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                sock.sendall(frames)

    return serve


def dribbling(data: bytes) -> Serve:
    def serve(sock: socket.socket) -> None:
        sock.recv(65_536)
        dribble(sock, data)

    return serve


def slow_websocket(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        accept_websocket(sock)
        dribble(sock, b"\x82\x01\x20" * 2)


RECORD = b"\x16\x03\x03\x40\x00" + bytes(16_384)
CASES: dict[str, tuple[str, dict[str, Any], Serve]] = {
    "empty frames": ("ws", {}, websocket(EMPTY_FRAMES)),
    "pings of a websocket": ("ws", {}, websocket(PINGS)),
    "a message without end": ("ws", {}, websocket(UNFINISHED)),
    "bytes of a websocket": ("ws", {}, slow_websocket),
    "bytes of its handshake": ("ws", {}, dribbling(b"HTTP/1.1 101 " + b"x" * 9000)),
    "bytes of TLS": ("mqtts", {}, dribbling(RECORD)),
    "bytes of a CONNACK": ("mqtt", {}, dribbling(b"\x20\xff\xff\x03" + bytes(9000))),
    "silence": ("mqtt", {}, wait_for_the_end),
    "silence of TLS": ("mqtts", {}, wait_for_the_end),
    "silence of a websocket": ("wss", {}, wait_for_the_end),
    "bytes of an HTTP proxy": (
        "mqtt",
        {"proxy": "http"},
        dribbling(b"HTTP/1.1 200 " + b"x" * 9000),
    ),
    "bytes of a SOCKS proxy": (
        "mqtt",
        {"proxy": "socks5"},
        dribbling(b"\x05\x00\x05\x00\x00\x03\xff" + bytes(300)),
    ),
    "a long head of a proxy": (
        "mqtt",
        {"proxy": "http"},
        dribbling(b"x" * 1_000_000),
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_connect_s_holds(watched, attacker, name: str):
    scheme, settings, serve = CASES[name]
    with hostile_server(attacker, serve) as port:
        config: dict[str, Any] = {"connect_s": CONNECT_S, "reconnect_retries": 0}
        if settings:
            config["proxy"] = f"{settings['proxy']}://{attacker}:{port}"
        async with watched():
            begun = time.monotonic()
            with pytest.raises(StructiotError):
                async with open_mqttclient(
                    f"{scheme}://{attacker}:{port}/", "c", config
                ):
                    pass
            assert time.monotonic() - begun < CONNECT_S + LATE_S
