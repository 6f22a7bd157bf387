"""structiot: an account, whose plugs are switched by as many tasks as wanted."""

from __future__ import annotations

import time

import anyio
from strips.counting import raise_file_limit

from meross.counting import Job, Tally
from structiot.meross import MerossDevice, open_meross


async def switch(plugs: list[MerossDevice], tally: Tally) -> None:
    """Switch the plugs in turn, the next when the last has acknowledged."""
    is_on = False
    while not tally.is_over:
        for plug in plugs:
            started_at = time.perf_counter()
            await (plug.turn_on() if is_on else plug.turn_off())
            tally.note(started_at)
            if tally.is_over:
                break
        is_on = not is_on


async def main(job: Job) -> None:
    raise_file_limit()
    async with open_meross(
        email=job.email,
        password=job.password,
        url=job.url,
        broker=tuple(job.broker),
        policy="cloud_only" if job.way == "cloud" else "lan_first",
        # The account is nobody's; what is measured is not how slowly it may be spoken to.
        rate_limiter=None,
        store=None,
    ) as meross:
        plugs = list(meross.devices.values())
        for plug in plugs:
            await plug.known()
        tally = Tally(job.seconds)
        async with anyio.create_task_group() as tg:
            for first in range(job.at_once):
                tg.start_soon(switch, plugs[first :: job.at_once], tally)
        tally.report()


if __name__ == "__main__":
    given = Job.given()
    anyio.run(
        main,
        given,
        backend="trio" if given.loop == "trio" else "asyncio",
        backend_options={"use_uvloop": True} if given.loop == "uvloop" else {},
    )
