"""Hear what Meross devices tell by themselves, and see what may still be sent.

Run:
    python examples/45_meross_events.py

Prints:
    DeviceAdded, and so on for each
    Fan tells Appliance.Control.ToggleX: {'togglex': {'channel': 0, 'onoff': 0, ...}}
    177 more messages may go to Fan within this hour
    3 were sent, ... had to wait
"""

from __future__ import annotations

import sys
from datetime import timedelta

import anyio

from structiot import open_meross
from structiot.meross import Meross
from structiot.sim import sim_meross_cloud, sim_meross_device


async def show(meross: Meross, name: str) -> None:
    """Who talks too much through the cloud is banned, hence the budget."""
    async with meross.events() as events, meross.notifications() as notifications:
        print(f"{type(await anext(events)).__name__}, and so on for each")
        plug = meross.device(name)
        await plug.turn_off()
        note = await anext(notifications)
        print(f"{note.device.info.name} tells {note.namespace}: {note.data}")
    left = meross.budget.of(plug.info.id).left
    print(f"{left} more messages may go to {name} within this hour")
    stats = meross.stats(time_window=timedelta(minutes=10))
    print(f"{stats.performed.total} were sent, {stats.delayed.total} had to wait")


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a plug."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store, policy="cloud_only") as meross:
            return await show(meross, name)
    async with (
        sim_meross_cloud() as cloud,
        sim_meross_device("127.0.0.85", name="Fan", cloud=cloud, http_port=0),
        open_meross(
            email=cloud.email,
            password=cloud.password,
            url=cloud.url,
            policy="cloud_only",
            store=None,
        ) as meross,
    ):
        return await show(meross, "Fan")


anyio.run(main)
