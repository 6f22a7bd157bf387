"""distmqtt's broker, with its defaults."""

from __future__ import annotations

import sys

import anyio
from common import free_port, ready
from distmqtt.broker import create_broker


async def main() -> None:
    port = free_port()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "auth": {"allow-anonymous": True},
    }
    async with create_broker(config):
        ready(port)
        await anyio.sleep_forever()


anyio.run(main, backend="trio" if sys.argv[1] == "trio" else "asyncio")
