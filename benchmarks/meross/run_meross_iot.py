"""meross-iot: as its README does it, with its plugs switched by as many tasks as wanted."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time

from meross_iot.http_api import MerossHttpClient
from meross_iot.manager import MerossManager, TransportMode
from strips.counting import raise_file_limit

from meross.counting import Job, Tally


async def switch(plugs: list, tally: Tally) -> None:
    """Switch the plugs in turn, the next when the last has acknowledged."""
    is_on = False
    while not tally.is_over:
        for plug in plugs:
            started_at = time.perf_counter()
            await (plug.async_turn_on() if is_on else plug.async_turn_off())
            tally.note(started_at)
            if tally.is_over:
                break
        is_on = not is_on


async def main(job: Job) -> None:
    raise_file_limit()
    client = await MerossHttpClient.async_from_user_password(
        api_base_url=job.url, email=job.email, password=job.password
    )
    manager = MerossManager(
        http_client=client,
        mqtt_override_server=tuple(job.broker),
        mqtt_ssl_context=ssl.create_default_context(),
    )
    await manager.async_device_discovery()
    plugs = manager.find_devices()
    for plug in plugs:
        await plug.async_update()
    if job.way == "lan":
        manager.default_transport_mode = TransportMode.LAN_HTTP_FIRST
    tally = Tally(job.seconds)
    await asyncio.gather(
        *(switch(plugs[first :: job.at_once], tally) for first in range(job.at_once))
    )
    tally.report()
    manager.close()


if __name__ == "__main__":
    # Importing it has set the root logger up, to standard output.
    logging.disable(logging.CRITICAL)
    asyncio.run(main(Job.given()))
