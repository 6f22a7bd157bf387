"""structiot's broker, with its limits out of the way of the measurement."""

from __future__ import annotations

import ssl
import sys

import anyio
from common import certificate, ready

from structiot.mqtt.broker import BrokerLimits, open_broker

SERVER = ssl.Purpose.CLIENT_AUTH


async def main() -> None:
    limits = BrokerLimits(connections=20_000, write_bytes=8 << 20)
    uri, context = "mqtt://127.0.0.1:0", None
    if certificate():
        uri, context = "mqtts://127.0.0.1:0", ssl.create_default_context(SERVER)
        context.load_cert_chain(certificate())
    async with open_broker(
        uri, limits=limits, sys_interval_s=None, ssl_context=context
    ) as broker:
        ready(int(broker.uri.rpartition(":")[2]))
        await anyio.sleep_forever()


loop = sys.argv[1]
options = {"use_uvloop": True} if loop == "uvloop" else {}
backend = "trio" if loop == "trio" else "asyncio"
anyio.run(main, backend=backend, backend_options=options)
