"""amqtt's broker, as its documentation shows, for anonymous clients."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from amqtt.broker import Broker
from common import certificate, free_port, ready


async def main() -> None:
    port = free_port()
    listener = {
        "type": "tcp",
        "bind": f"127.0.0.1:{port}",
        "max_connections": 20_000,
    }
    if certificate():
        listener |= {"ssl": True, "certfile": certificate(), "keyfile": certificate()}
    anonymous = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    broker = Broker(
        {
            "listeners": {"default": listener},
            "plugins": {anonymous: {"allow_anonymous": True}},
        }
    )
    await broker.start()
    ready(port)
    await asyncio.Event().wait()


run = uvloop.run if sys.argv[1] == "uvloop" else asyncio.run
run(main())
