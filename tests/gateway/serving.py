"""A gateway, some simulated strips and somebody who watches the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from structiot.gateway import Gateway, GatewayConfig, load_config, open_gateway
from structiot.sim import MaxSmartSim, sim_maxsmart
from tests._support.mosquitto import Mosquitto
from tests.gateway.broker_watch import BrokerWatch, watching

HOST = "127.0.0.1"


def section_of(*sims: MaxSmartSim, **more: Any) -> dict[str, Any]:
    names = ("Kitchen", "Desk", "Garage")
    devices = [
        {
            "host": sim.host,
            "http_port": sim.http_port,
            "udp_port": sim.udp_port,
            "name": name,
        }
        for sim, name in zip(sims, names, strict=False)
    ]
    quick = {"poll_s": 0.5, "reply_s": 0.5}
    return {"discover": False, **quick, "devices": devices, **more}


def config_of(
    uri: str, base: str, maxsmart: dict[str, Any], **more: Any
) -> GatewayConfig:
    mqtt = {"uri": uri, "base_topic": base, "discovery_prefix": f"ha-{base}"}
    gateway = {"id": "house", "retry_max_s": 1.0, **more.pop("gateway", {})}
    return load_config({"mqtt": mqtt | more, "gateway": gateway, "maxsmart": maxsmart})


@asynccontextmanager
async def strips(count: int) -> AsyncIterator[list[MaxSmartSim]]:
    """Simulate strips of different firmware on free ports."""
    families = ("mh_strip_130", "mh_strip_211")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                sim_maxsmart(
                    HOST,
                    family=families[index % 2],
                    loads=[40.0, 0.0, 0.0, 0.0, 0.0, 2.5],
                    http_port=0,
                    udp_port=0,
                    seed=index,
                )
            )
            for index in range(count)
        ]


@asynccontextmanager
async def served(
    broker: Mosquitto, base: str, count: int = 1, **more: Any
) -> AsyncIterator[tuple[Gateway, BrokerWatch, list[MaxSmartSim]]]:
    """Run a gateway with some strips until they are all available."""
    filters = (f"{base}/#", f"ha-{base}/#")
    async with strips(count) as sims, watching(broker.uri, *filters) as watch:
        config = config_of(broker.uri, base, section_of(*sims), **more)
        async with open_gateway(config) as gateway:
            for name in ("kitchen", "desk", "garage")[:count]:
                await watch.until_is(f"{base}/{name}/total_power/state", "42.5")
                await watch.until_is(f"{base}/{name}/availability", "online")
            yield gateway, watch, sims
