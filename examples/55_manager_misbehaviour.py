"""See what a server makes of devices that misbehave; no sockets are needed for that.

Run:
    python examples/55_manager_misbehaviour.py

Prints:
    10 lamps are there
    one falls silent: it did not answer a heartbeat
    one is of another type: ...'toaster'...
    9 are switched on, and one of them babbles
    all of these are on
"""

from __future__ import annotations

from functools import partial

import anyio

from structiot import Environment, open_manager
from structiot.manager import ClientDisconnected, ClientRefused
from structiot.sim import sim_devices
from structiot.testing import MemoryNetwork


async def main() -> None:
    """In a test, the fixtures `device_fleet` and `virtual_time` do it in no time."""
    network = Environment(network=MemoryNetwork())
    serve = partial(open_manager, ["lamp"], environment=network)
    async with (
        serve(heartbeat_s=0.2, reply_s=0.2) as manager,
        manager.events() as events,
        sim_devices(10, type="lamp", environment=network) as fleet,
    ):
        while len(manager.clients) < len(fleet):
            await anext(events)
        print(len(fleet), "lamps are there")

        fleet[0].misbehave("silent")
        async for event in events:
            if isinstance(event, ClientDisconnected):
                print("one falls silent:", event.reason)
                break

        fleet[1].misbehave("babbling")
        async with sim_devices(type="toaster", environment=network):
            async for event in events:
                if isinstance(event, ClientRefused):
                    print("one is of another type:", event.reason)
                    break

        report = await manager.send_all("on")
        print(len(report.delivered), "are switched on, and one of them babbles")
        while sum(lamp.state["is_on"] for lamp in fleet) < len(report.delivered):
            await anext(events)
        print("all of these are on")


anyio.run(main)
