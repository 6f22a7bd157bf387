"""Two servers that are one: each knows and reaches the devices of both.

Run:
    python examples/54_manager_backplane.py

Prints:
    a lamp has dialled in to west
    east toggles it: {"is_on":true}
    it dials in to east, and west has it no more
    west toggles it: {"is_on":false}
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from structiot.manager import ClientReplaced, Manager, open_backplane, open_manager
from structiot.mqtt.broker import open_broker
from structiot.sim import sim_devices

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"


@asynccontextmanager
async def node(uri: str, name: str) -> AsyncGenerator[Manager]:
    """Open one server; behind a load balancer there would be several."""
    async with (
        open_backplane(uri, node=name) as client,
        open_manager(["lamp"], port=0, dialect="D4", backplane=client) as manager,
    ):
        yield manager


async def main() -> None:
    """The broker needs MQTT 3.1.1, and no more."""
    async with (
        open_broker("mqtt://127.0.0.1:0") as broker,
        node(broker.uri, "west") as west,
        node(broker.uri, "east") as east,
        east.events() as at_east,
        west.events() as at_west,
        sim_devices(port=west.port, dialect="D4", uuids=[UUID]) as (lamp,),
    ):
        await anext(at_east)
        print("a lamp has dialled in to", east.fleet[UUID].node.partition(".")[0])
        print("east toggles it:", (await east.fleet[UUID].request("toggle")).decode())
        async with sim_devices(port=east.port, dialect="D4", uuids=[UUID]) as (moved,):
            moved.state.update(lamp.state)
            while not isinstance(await anext(at_west), ClientReplaced):
                pass
            print("it dials in to east, and west has it no more")
            answer = await west.fleet[UUID].request("toggle")
            print("west toggles it:", answer.decode())


anyio.run(main)
