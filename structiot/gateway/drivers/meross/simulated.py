"""A simulated Meross cloud with ten devices, for the demonstration and for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio

from structiot._kit.environment import Environment
from structiot.errors import ConnectFailed
from structiot.sim import sim_meross_cloud, sim_meross_device

__all__ = ["SHOWN", "simulated_account"]

SHOWN: Final = {
    "mss310": "Coffee machine",
    "mss425f": "Desk strip",
    "msl120": "Reading lamp",
    "msg100": "Garage door",
    "mrs100": "Bedroom shutter",
    "mts200": "Bathroom floor",
    "mod100": "Diffuser",
    "map100": "Air purifier",
    "em06": "Fuse box",
    "msh300hk": "Hub",
}
"""The models that are shown, and what they are called."""

_LOADS: Final = {"mss310": (850.0,), "em06": (420.0, 60.0, 0.0, 1500.0, 8.0, 230.0)}

# Nobody is banned here, and whoever looks at a demonstration does not wait long.
_LIMITS: Final = {
    "global_burst_rate": 100,
    "global_tokens_per_interval": 100,
    "device_burst_rate": 10,
    "device_tokens_per_interval": 10,
    "device_messages_per_minute": 4096,
    "device_messages_per_hour": 4096,
}


@asynccontextmanager
async def simulated_account(
    environment: Environment, *, count: int | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """Simulate the first `count` of them, all by default; give the section."""
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(anyio.TemporaryDirectory())
        cloud = await stack.enter_async_context(
            sim_meross_cloud(max_tokens=1000, environment=environment)
        )
        section: dict[str, Any] = {
            "email": cloud.email,
            "password": cloud.password,
            "url": cloud.url,
            "store": str(Path(folder) / "meross.json"),
            "rate_limiter": _LIMITS,
            "lan_ports": {},
        }
        for number, (model, name) in enumerate([*SHOWN.items()][:count], start=1):
            sim = partial(
                sim_meross_device,
                model=model,
                name=name,
                loads=_LOADS.get(model, ()),
                cloud=cloud,
                http_port=0,
                environment=environment,
            )
            try:
                opened = await stack.enter_async_context(sim(f"127.0.1.{number}"))
                section["lan_ports"][opened.host] = opened.http_port
            except ConnectFailed:
                # Not every system has more than one address of its own.
                section["policy"] = "cloud_only"
                await stack.enter_async_context(sim("127.0.0.1"))
        yield section
