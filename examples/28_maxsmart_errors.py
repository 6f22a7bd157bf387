"""Catch what can go wrong with a power strip: each fault is an error of its own.

Run:
    python examples/28_maxsmart_errors.py

Prints:
    UsageError: STRIP (127.0.0.70) has no port 7; its ports are 1 to 6 (0 is all)
    MaxSmartRefused: 127.0.0.70 refused SetPort with code 400
    SwitchStuck: STRIP (127.0.0.70) accepted the command, but port 2 is not off
    UnsupportedDevice: STRIP (127.0.0.70)...
    ProtocolViolation: ...
    a lost request is sent again: 6 ports
    ConnectFailed: no MaxSmart device at 127.0.0.70 (TCP 18070, UDP 18870): ...
"""

from __future__ import annotations

from collections.abc import Awaitable

import anyio

from structiot import StructiotError, maxsmart_device
from structiot.sim import sim_maxsmart

HOST = "127.0.0.70"


async def tried(asked: Awaitable[object]) -> None:
    """Every error of this package is a `StructiotError`; exactly one comes out."""
    try:
        await asked
    except StructiotError as error:
        print(f"{type(error).__name__}: {error}")


async def main() -> None:
    """The strip is simulated, because a real one does not fail when it is told to."""
    async with (
        sim_maxsmart(HOST, http_port=18070, udp_port=18870) as sim,
        maxsmart_device(HOST, http_port=18070, udp_port=18870, reply_s=0.5) as strip,
    ):
        await tried(strip.turn_on(7))
        sim.faults.refuse_next()
        await tried(strip.turn_off(1))
        sim.faults.stuck_ports = {2}
        await tried(strip.turn_off(2))
        sim.faults.hang_up_next(2, on="502")
        await tried(strip.get_device_time())
        sim.faults.garble_next()
        await tried(strip.get_data())
        sim.faults.drop_next()
        print("a lost request is sent again:", len(await strip.check_state()), "ports")
    # Nobody is there any more.
    nobody = maxsmart_device(HOST, http_port=18070, udp_port=18870, connect_s=2)
    await tried(nobody.__aenter__())


anyio.run(main)
