"""structiot's broker, with its limits out of the way of the measurement."""

from __future__ import annotations

import sys

import anyio
from common import ready

from structiot.mqtt.broker import BrokerLimits, open_broker


async def main() -> None:
    limits = BrokerLimits(connections=20_000)
    async with open_broker(
        "mqtt://127.0.0.1:0", limits=limits, sys_interval_s=None
    ) as broker:
        ready(int(broker.uri.rpartition(":")[2]))
        await anyio.sleep_forever()


loop = sys.argv[1]
options = {"use_uvloop": True} if loop == "uvloop" else {}
backend = "trio" if loop == "trio" else "asyncio"
anyio.run(main, backend=backend, backend_options=options)
