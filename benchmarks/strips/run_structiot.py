"""structiot: a task for each strip iterates over its `readings()`."""

from __future__ import annotations

import anyio
from counting import HTTP_PORT, UDP_PORT, Tally, arguments, host, raise_file_limit

from structiot.errors import StructiotError
from structiot.maxsmart import MaxSmartStrip, maxsmart_device

OPENED_AT_ONCE = 20


class Polling:
    """All strips, opened a few at a time, then read together."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.places = anyio.CapacityLimiter(OPENED_AT_ONCE)
        self.are_open = anyio.Event()
        self.begin_at = 0.0
        self.open = 0

    async def strip(self, index: int) -> None:
        tally = self.tally
        await self.places.acquire()
        async with maxsmart_device(
            host(index), http_port=HTTP_PORT, udp_port=UDP_PORT, poll_s=tally.poll_s
        ) as strip:
            self.places.release()
            self.open += 1
            if self.open == tally.strips:
                self.begin_at = anyio.current_time()
                self.are_open.set()
            await self.are_open.wait()
            # Strips that were switched on one by one are not polled in one moment.
            await anyio.sleep_until(self.begin_at + index * tally.poll_s / tally.strips)
            await self.read(strip)

    async def read(self, strip: MaxSmartStrip) -> None:
        tally = self.tally
        due = anyio.current_time()
        tick = 0
        with anyio.CancelScope(deadline=due + tally.ticks * tally.poll_s):
            async with strip.readings() as readings:
                async for reading in readings:
                    if reading.port == 1:
                        tally.note(tick, due, anyio.current_time())
                        tick += 1

    async def watch(self) -> None:
        await self.are_open.wait()
        self.tally.begin()
        while True:
            await anyio.sleep(1)
            self.tally.sample()


async def main(strips: int, ticks: int, poll_s: float) -> None:
    raise_file_limit()
    tally = Tally(strips, ticks, poll_s)
    polling = Polling(tally)
    async with anyio.create_task_group() as watching:
        started_at = anyio.current_time()
        watching.start_soon(polling.watch)
        try:
            async with anyio.create_task_group() as tg:
                for index in range(strips):
                    tg.start_soon(polling.strip, index)
        except* StructiotError as group:
            raise SystemExit(str(group.exceptions[0])) from None
        tally.opened_s = polling.begin_at - started_at
        tally.report()
        watching.cancel_scope.cancel()


if __name__ == "__main__":
    *job, loop = arguments()
    anyio.run(
        main,
        *job,
        backend="trio" if loop == "trio" else "asyncio",
        backend_options={"use_uvloop": True} if loop == "uvloop" else {},
    )
