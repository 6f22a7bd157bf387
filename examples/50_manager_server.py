"""Serve devices that dial in: greet each, and print what it says.

Run:
    python examples/50_manager_server.py

Prints:
    <ManagerClient 00000000-0000-0000-0000-000000000001 of type 'test'> is there: {'key_1': 'data_1'}
    it says 'hello server'
    it is gone: ...
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_manager
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Manager,
    MessageReceived,
)
from structiot.sim import sim_devices


async def show(manager: Manager) -> None:
    """Print what happens until the first device is gone."""
    async with manager.events() as events:
        async for event in events:
            match event:
                case ClientConnected(client=client):
                    print(f"{client} is there: {client.data.data}")
                    await client.send("hello client")
                case MessageReceived(client=client, data=data):
                    print(f"it says {data.decode(errors='replace')!r}")
                    await client.end()
                case ClientDisconnected(reason=reason):
                    print(f"it is gone: {reason}")
                    return
                case ClientRefused(address=address, reason=reason):
                    print(f"{address[0]} was refused: {reason}")


async def main() -> None:
    """Give the address to listen at, such as 0.0.0.0, or none to simulate a device."""
    if len(sys.argv) > 1:
        async with open_manager(["test"], sys.argv[1]) as manager:
            return await show(manager)
    async with (
        open_manager(["test"], port=0) as manager,
        sim_devices(type="test", port=manager.port),
    ):
        return await show(manager)


anyio.run(main)
