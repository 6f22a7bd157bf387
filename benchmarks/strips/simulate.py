"""Simulated strips for another process to poll, until standard input ends.

One line of JSON says that they are there; at the end one says what they used.
"""

from __future__ import annotations

import json
import sys

import anyio
import anyio.to_thread
from counting import HTTP_PORT, UDP_PORT, Usage, host, raise_file_limit

from structiot.sim import sim_maxsmart_fleet


async def main() -> None:
    first, count, families = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    raise_file_limit()
    usage = Usage()
    async with sim_maxsmart_fleet(
        count,
        family=families,
        first_host=host(first),
        http_port=HTTP_PORT,
        udp_port=UDP_PORT,
        seed=first,
        requests_kept=1,
        broadcast=False,
    ):
        print(json.dumps({"strips": count}), flush=True)
        usage.begin()
        await anyio.to_thread.run_sync(sys.stdin.read)
        usage.sample()
        print(json.dumps(usage.so_far()), flush=True)


anyio.run(main)
