"""The bare loop, the yardstick: what pure Python can do when it does nothing else.

An asyncio protocol, a decoder of QoS 0 PUBLISH in one loop over each buffer, and an
`async for`. No other packet, no limit, no check, no error: not a client.
"""

from __future__ import annotations

import asyncio
from collections import deque

from common import HOST, Job, run_async

CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05bench"


class Bare(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""
        self.messages: deque[tuple[str, bytes]] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.topics: dict[bytes, str] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        at, end = 0, len(data)
        append, topics = self.messages.append, self.topics
        while end - at >= 2:
            length = data[at + 1]
            body = at + 2
            if length > 127:
                length = (length & 127) + (data[body] << 7)
                body += 1
            stop = body + length
            if stop > end:
                break
            if data[at] & 0xF0 == 0x30:
                split = body + 2 + (data[body] << 8 | data[body + 1])
                raw = data[body + 2 : split]
                topic = topics.get(raw)
                if topic is None:
                    topic = topics[raw] = raw.decode()
                append((topic, data[split:stop]))
            at = stop
        self.buffer = data[at:]
        if self.waiter is not None and self.messages:
            self.waiter.set_result(None)
            self.waiter = None

    def __aiter__(self) -> Bare:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        messages = self.messages
        while not messages:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return messages.popleft()


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    loop = asyncio.get_running_loop()
    _, bare = await loop.create_connection(Bare, HOST, job.port, ssl=job.tls)
    topic = job.topic.encode()
    body = b"\x00\x01" + len(topic).to_bytes(2, "big") + topic + b"\x00"
    job.start()
    bare.transport.write(CONNECT + bytes((0x82, len(body))) + body)  # type: ignore[attr-defined]
    async for _message in bare:
        tally.n += 1
        if tally.n == count:
            await job.finish()


async def publish(job: Job) -> None:
    job.report("the bare loop only receives")


if __name__ == "__main__":
    run_async(receive, publish)
