"""Websocket frames that carry nothing, or next to nothing."""

from __future__ import annotations

import contextlib
import threading

import anyio
import anyio.to_thread
import pytest

from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect
from tests.hostile.attackers import dial, read, send_until_refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

REQUEST = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)
MASK = b"\x00\x00\x00\x00"
FRAMES = {
    "empty": b"\x82\x80" + MASK,
    "unfinished": b"\x00\x80" + MASK,
    "pongs": b"\x8a\x80" + MASK,
    "pings": b"\x89\x80" + MASK,
}
CONNECT = encode(Connect(client_id="", version=4), 4)


def frame(data: bytes) -> bytes:
    return bytes((0x82, 0x80 | len(data))) + MASK + data


@pytest.mark.parametrize("is_connected", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", [*FRAMES, "bytes"])
async def test_frames_without_end(watched, attacker, name, is_connected):
    one = FRAMES.get(name)
    if one is None:
        # A PINGREQ a byte at a time.
        flood = (frame(b"\xc0") + frame(b"\x00")) * 20_000
    elif name == "unfinished":
        flood = b"\x02\x80" + MASK + one * 40_000
    else:
        flood = one * 40_000

    def attack(source: str, uri: str) -> None:
        with dial(source, uri) as sock:
            sock.settimeout(3)
            sock.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += read(sock, 1)
            if is_connected:
                sock.sendall(frame(CONNECT))
                read(sock, 6)
            with contextlib.suppress(TimeoutError):
                send_until_refused(sock, flood)

    def attack_together() -> None:
        addresses = [(attacker, broker.uris[1])] * 10
        threads = [threading.Thread(target=attack, args=one) for one in addresses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async with open_broker("mqtt://127.0.0.1:0", "ws://127.0.0.1:0") as broker:
        async with watched(good=broker.uri):
            await anyio.to_thread.run_sync(attack_together)
