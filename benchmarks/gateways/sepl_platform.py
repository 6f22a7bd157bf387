"""A SEPL platform of plain streams, which says ok to everything: see benchmarks/README.md.

It shares no code with the connector. It serves one gateway, and does what standard input
says, a line of JSON each, answered by a line of JSON. Called with the number of its core.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from typing import Any

HOST = "127.0.0.1"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
GIVE_UP_S = 60.0


def frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([0x80 | opcode, size]) + payload
    return bytes([0x80 | opcode, 126]) + size.to_bytes(2) + payload


def unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(pattern)).to_bytes(size)


class Platform:
    """The gateway's connection, what it has committed, and commands under way."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self.committed = ""
        self.devices: list[str] = []
        self.hello_at = self.committed_at = 0.0
        self.is_synchronised = asyncio.Event()
        self.sent_at: dict[str, float] = {}
        self.late_s: list[float] = []
        self.places = asyncio.Semaphore(1)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        key = {name.lower(): fields[name] for name in fields}[b"sec-websocket-key"]
        # What the standard wants, of a text that is no secret.
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.writer = writer
        try:
            while True:
                opcode, payload = await self.read(reader)
                if opcode == TEXT:
                    self.take(json.loads(payload))
                elif opcode == PING:
                    writer.write(frame(PONG, payload))
                elif opcode == CLOSE:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        mask = await reader.readexactly(4)
        return first & 0x0F, unmasked(await reader.readexactly(size), mask)

    def say(self, message: dict[str, Any]) -> None:
        assert self.writer is not None
        self.writer.write(frame(TEXT, json.dumps(message).encode()))

    def answer(self, token: str, payload: object) -> None:
        self.say(
            {
                "status": 200,
                "handler": "response",
                "token": token,
                "content_type": "string",
                "payload": payload,
            }
        )

    def take(self, asked: dict[str, Any]) -> None:
        handler, payload = asked.get("handler"), asked.get("payload")
        match handler:
            case None:
                self.hello_at = time.monotonic()
                self.answer(asked["token"], {"gid": "iot#1", "hash": self.committed})
                return
            case "clear":
                self.devices.clear()
            case "put":
                self.devices.append(payload["uri"])
            case "commit":
                self.committed = payload
                self.committed_at = time.monotonic()
                self.is_synchronised.set()
            case "response":
                late_s = time.monotonic() - self.sent_at.pop(payload["task_id"])
                self.late_s.append(late_s)
                self.places.release()
        self.answer(asked["token"], "ok")

    async def synchronised(self) -> dict[str, float]:
        await asyncio.wait_for(self.is_synchronised.wait(), GIVE_UP_S)
        seconds = self.committed_at - self.hello_at
        return {"seconds": seconds, "devices": len(self.devices)}

    async def commands(self, count: int, at_once: int) -> dict[str, float]:
        self.places, self.late_s = asyncio.Semaphore(at_once), []
        begun = time.monotonic()
        for number in range(count):
            await self.places.acquire()
            task = str(number)
            self.sent_at[task] = time.monotonic()
            payload = {
                "device_url": self.devices[number % len(self.devices)],
                "service_url": "on",
                "protocol_parts": [{"name": "data", "value": '{"on": true}'}],
                "task_id": task,
            }
            self.say(
                {"status": 0, "handler": "command", "token": "", "payload": payload}
            )
        give_up_at = time.monotonic() + GIVE_UP_S
        while self.sent_at and time.monotonic() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        late_s = sorted(self.late_s)
        return {
            "rate": len(late_s) / (time.monotonic() - begun),
            "p50_s": late_s[len(late_s) // 2],
            "p99_s": late_s[len(late_s) * 99 // 100],
            "most_s": late_s[-1],
            "missing": len(self.sent_at),
        }


async def main() -> None:
    platform = Platform()
    server = await asyncio.start_server(platform.serve, HOST, 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        match order.pop("do"):
            case "synchronised":
                found = await platform.synchronised()
            case _:
                found = await platform.commands(**order)
        print(json.dumps(found), flush=True)


if sys.argv[1] != "-1":
    os.sched_setaffinity(0, {int(sys.argv[1])})
asyncio.run(main())
