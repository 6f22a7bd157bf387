"""A simulated cloud with plugs, until standard input ends.

One line of JSON says where they are; at the end one says what was asked and used.
"""

from __future__ import annotations

import json
import ssl
import sys
from contextlib import AsyncExitStack

import anyio
import anyio.to_thread
from strips.counting import Usage, raise_file_limit

from meross.counting import HTTP_PORT, host
from structiot.sim import sim_meross_cloud, sim_meross_device


async def main(count: int, model: str, certificate: str) -> None:
    raise_file_limit()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    usage, sims = Usage(), []
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(host="127.0.0.1", ssl_context=context, requests_kept=1)
        )
        for index in range(count):
            sim = sim_meross_device(
                host(index),
                model=model,
                name=f"plug {index}",
                cloud=cloud,
                http_port=HTTP_PORT,
                requests_kept=1,
            )
            sims.append(await stack.enter_async_context(sim))
        # Only what is online is found by the original.
        while any(one.status != 1 for one in cloud.devices.values()):  # noqa: ASYNC110
            await anyio.sleep(0.05)
        place = {
            "url": cloud.url,
            "email": cloud.email,
            "password": cloud.password,
            "broker": ("127.0.0.1", cloud.broker.port),
        }
        print(json.dumps(place), flush=True)
        usage.begin()
        await anyio.to_thread.run_sync(sys.stdin.read)
        usage.sample()
        messages = sum(cloud.messages.values())
        print(json.dumps({"messages": messages, **usage.so_far()}), flush=True)


anyio.run(main, int(sys.argv[1]), *sys.argv[2:])
