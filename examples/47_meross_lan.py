"""Use a Meross device in the local network, without any cloud.

Run:
    python examples/47_meross_lan.py

Prints:
    mss110, firmware 7.3.37
    switched on: True
    pressed by hand: False
    with another key, WrongKey: ...
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_meross_lan
from structiot.meross import FileStore, MerossDevice, WrongKey
from structiot.sim import sim_meross_device


async def show(plug: MerossDevice) -> None:
    """Whether it has to be spoken to encrypted is found out."""
    print(f"{plug.info.model}, firmware {plug.info.firmware}")
    await plug.turn_on()
    print("switched on:", plug.states["switch"])


async def main() -> None:
    """Give an address, and the file in which example 40 keeps the account's key."""
    if len(sys.argv) > 2:
        host, store = sys.argv[1:]
        if credentials := await FileStore(store).load():
            async with open_meross_lan(host, key=credentials.key) as plug:
                await show(plug)
        return
    async with sim_meross_device("127.0.0.87", model="mss110", http_port=0) as sim:
        async with open_meross_lan(sim.host, sim.http_port, key=sim.key) as plug:
            await show(plug)
            await sim.press()
            # Whoever asks for a state has it told as well.
            await plug.request("Appliance.Control.ToggleX")
            print("pressed by hand:", plug.states["switch"])
        try:
            async with open_meross_lan(sim.host, sim.http_port, key="another"):
                pass
        except WrongKey as error:
            print(f"with another key, {type(error).__name__}: {error}")


anyio.run(main)
