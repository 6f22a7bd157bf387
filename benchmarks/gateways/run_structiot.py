"""structiot: a connector with so many devices, which answers each command at once.

Called with the event loop, the core, the platform's port and the number of devices. It
connects when standard input says so, and ends with it.
"""

from __future__ import annotations

import sys

import anyio
import anyio.to_thread
from brokers.common import ready

from structiot.connector import Command, Device, DevicePool, open_connector


async def answer(command: Command) -> None:
    await command.respond({"status": 0})


async def main(port: int, count: int) -> None:
    devices = DevicePool()
    for number in range(count):
        devices.add(Device(f"device-{number:05}", "iot#type", f"Device {number}"))
    config = {"host": "127.0.0.1", "port": port, "user": "user", "password": "secret"}
    # One that is not there: what it takes is imported before memory is looked at.
    async with open_connector({**config, "port": 1}, devices):
        await anyio.sleep(0.5)
    ready(port)
    await anyio.to_thread.run_sync(sys.stdin.readline)
    async with (
        open_connector(config, devices) as connector,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(connector.serve, answer)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()


loop = sys.argv[1]
anyio.run(
    main,
    int(sys.argv[3]),
    int(sys.argv[4]),
    backend="trio" if loop == "trio" else "asyncio",
    backend_options={"use_uvloop": True} if loop == "uvloop" else {},
)
