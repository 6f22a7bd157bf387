"""The original package: adaptive polling with a callback for each device.

As its examples do it, with what its interval is called and its burst mode left alone.
"""

from __future__ import annotations

import asyncio
import logging

from counting import Tally, arguments, host, raise_file_limit
from maxsmart import MaxSmartDevice

OPENED_AT_ONCE = 20


async def poll(device: MaxSmartDevice, tally: Tally, wait_s: float) -> None:
    await asyncio.sleep(wait_s)
    loop = asyncio.get_running_loop()
    due = loop.time()
    tick = 0

    def callback(_poll: dict[str, object]) -> None:
        nonlocal tick
        if tick < tally.ticks:
            tally.note(tick, due, loop.time())
            tick += 1

    device.register_poll_callback("benchmark", callback)
    await device.start_adaptive_polling(enable_burst=False)
    await asyncio.sleep(due + tally.ticks * tally.poll_s - loop.time())
    await device.close()


async def opened(index: int, poll_s: float, places: asyncio.Semaphore):
    async with places:
        device = MaxSmartDevice(host(index), protocol="http")
        device.NORMAL_INTERVAL = poll_s
        await device.initialize_device()
        return device


async def watch(tally: Tally) -> None:
    while True:
        await asyncio.sleep(1)
        tally.sample()


async def main(strips: int, ticks: int, poll_s: float) -> None:
    raise_file_limit()
    tally = Tally(strips, ticks, poll_s)
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    places = asyncio.Semaphore(OPENED_AT_ONCE)
    devices = await asyncio.gather(
        *(opened(index, poll_s, places) for index in range(strips))
    )
    tally.opened_s = loop.time() - started_at
    tally.begin()
    watching = asyncio.create_task(watch(tally))
    await asyncio.gather(
        *(
            poll(device, tally, index * poll_s / strips)
            for index, device in enumerate(devices)
        )
    )
    watching.cancel()
    tally.report()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    *job, _loop = arguments()
    asyncio.run(main(*job))
