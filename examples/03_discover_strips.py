"""Find power strips; here two simulated ones of different firmware answer.

Run:
    python examples/03_discover_strips.py

Prints:
    Desk at 127.0.0.31: firmware 1.30, 6 ports
    Workshop at 127.0.0.32: firmware 2.11, 6 ports
"""

from __future__ import annotations

import anyio

from structiot import discover_maxsmart
from structiot.sim import sim_maxsmart

HOSTS = ("127.0.0.31", "127.0.0.32")


async def main() -> None:
    """Ask each address; without one, `discover_maxsmart()` asks the whole network."""
    async with (
        sim_maxsmart(HOSTS[0], name="Desk", http_port=0, udp_port=18888),
        sim_maxsmart(
            HOSTS[1],
            name="Workshop",
            family="mh_strip_211",
            http_port=0,
            udp_port=18888,
        ),
    ):
        for host in HOSTS:
            for found in await discover_maxsmart(host, udp_port=18888):
                print(
                    f"{found.name} at {found.host}: "
                    f"firmware {found.firmware}, {found.port_count} ports"
                )


anyio.run(main)
