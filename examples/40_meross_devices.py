"""Sign in to a Meross account once, keep its token, and list its devices.

Run:
    python examples/40_meross_devices.py

Prints:
    the account wants a one-time code
    Desk, mss310: switch, power_w, voltage_v, current_a, energy, energy_today_wh
    again, without a password: Desk
"""

from __future__ import annotations

import sys
from getpass import getpass

import anyio
import anyio.to_thread

from structiot import open_meross
from structiot.sim import sim_meross_cloud, sim_meross_device

URL = "https://iotx-us.meross.com"  # accounts of other regions are found from any


async def ask() -> str:
    """Is called only if the account wants a code."""
    print("the account wants a one-time code")
    return await anyio.to_thread.run_sync(input) if sys.argv[1:] else "123456"


async def show(email: str, password: str, store: str, url: str = URL) -> None:
    """Each sign-in makes a token, and who makes many is locked out: it is kept."""
    async with open_meross(
        email=email, password=password, mfa=ask, store=store, url=url
    ) as meross:
        for device in meross.devices.values():
            await device.known()
            keys = [one.key for one in device.entities if one.category is None]
            print(f"{device.info.name}, {device.info.model}: {', '.join(keys)}")
    async with open_meross(store=store, url=url) as meross:
        names = ", ".join(one.info.name for one in meross.devices.values())
        print("again, without a password:", names)


async def main() -> None:
    """Give your e-mail address and a file for the token, or none to simulate it all."""
    if len(sys.argv) > 2:
        email, store = sys.argv[1:]
        return await show(email, await anyio.to_thread.run_sync(getpass), store)
    async with (
        anyio.TemporaryDirectory() as folder,
        sim_meross_cloud(mfa_code="123456") as cloud,
        sim_meross_device("127.0.0.80", name="Desk", cloud=cloud, http_port=0),
    ):
        return await show(cloud.email, cloud.password, f"{folder}/m.json", cloud.url)


anyio.run(main)
