"""Offer a power strip of the gateway to the platform: ports are services.

Run:
    python examples/64_connector_bridge.py

Prints:
    port_2 of kitchen (maxsmart:...) is true
    port_2, state? true
    port_2, false? {"status":0}
    port_2 is false
    port_7, true? error: kitchen has no service 'port_7'; services: port_1...
"""

from __future__ import annotations

import anyio

from structiot import open_gateway
from structiot.sim import SeplEvent, SeplPlatformSim, sim_maxsmart, sim_sepl_platform

STRIP = {"host": "127.0.0.64", "name": "kitchen", "http_port": 18080, "udp_port": 18888}
CONFIG = {
    "broker": {"listen": ["mqtt://127.0.0.1:0"]},
    "maxsmart": {"discover": False, "devices": [STRIP]},
    "links": [{"from": "kitchen/port_?", "to": "platform", "type": "iot#strip"}],
}


async def tell(platform: SeplPlatformSim, service: str, data: str | None) -> None:
    """Command the strip as the platform does; without data it is asked."""
    told = await platform.send_command(platform.devices[0].uri, service, {"data": data})
    print(f"{service}, {data or 'state'}? {told.metadata or told.data}")


async def use(platform: SeplPlatformSim) -> None:
    """Be the platform: see what happens, and switch a port."""
    with platform.following() as records:
        async for record in records:
            match record:
                case SeplEvent(service_uri="port_2", data="true", device_uri=uri):
                    print(f"port_2 of {platform.device(uri).name} ({uri}) is true")
                    await tell(platform, "port_2", None)
                    await tell(platform, "port_2", "false")
                case SeplEvent(service_uri="port_2", data="false"):
                    print("port_2 is false")
                    await tell(platform, "port_7", "true")
                    return


async def main() -> None:
    """In a file this is [maxsmart], [connector] and [[links]]."""
    strip = sim_maxsmart("127.0.0.64", http_port=18080, udp_port=18888)
    async with strip, sim_sepl_platform() as platform:
        connector = {**platform.config, "encryption": False}
        async with open_gateway({**CONFIG, "connector": connector}):
            await use(platform)


anyio.run(main)
