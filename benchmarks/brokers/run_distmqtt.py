"""distmqtt's broker, with its defaults."""

from __future__ import annotations

import sys

import anyio
from common import certificate, free_port, ready
from distmqtt.broker import create_broker


async def main() -> None:
    port = free_port()
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    if certificate():
        listener |= {"ssl": True, "certfile": certificate(), "keyfile": certificate()}
    config = {
        "listeners": {"default": listener},
        "auth": {"allow-anonymous": True},
    }
    async with create_broker(config):
        ready(port)
        await anyio.sleep_forever()


anyio.run(main, backend="trio" if sys.argv[1] == "trio" else "asyncio")
