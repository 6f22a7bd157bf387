"""Tell a power strip from all others, by what is trusted most.

Run:
    python examples/21_maxsmart_identification.py

Prints:
    best: cpu_...
    mac_... by discovery
    sn_SWP6000000000063 by discovery
    ip_127_0_0_63 by network (may be another's tomorrow)
    the strip reports to www.maxsmart.ch
    the key of its modem stays hidden: ***
"""

from __future__ import annotations

import sys

import anyio

from structiot.maxsmart import DeviceIdentifiers, identify_maxsmart
from structiot.sim import sim_maxsmart

HOST = "127.0.0.63"


def show(identifiers: DeviceIdentifiers) -> None:
    """Show what is known, the most trusted first."""
    print("best:", identifiers.best.text)
    for identifier in identifiers.ranked[1:]:
        doubt = "" if identifier.is_reliable else " (may be another's tomorrow)"
        print(f"{identifier.text} by {identifier.source}{doubt}")
    print("the strip reports to", identifiers.server)
    print("the key of its modem stays hidden:", identifiers.plc_key)


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        show(await identify_maxsmart(sys.argv[1]))
        return
    async with sim_maxsmart(
        HOST, serial="SWP6000000000063", http_port=18063, udp_port=18863
    ):
        show(await identify_maxsmart(HOST, http_port=18063, udp_port=18863))


anyio.run(main)
