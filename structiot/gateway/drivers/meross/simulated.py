"""A simulated Meross cloud with ten devices, for the demonstration and for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio

from structiot._kit.environment import Environment
from structiot.sim.house.cloud import MEROSS, house_account
from structiot.sim.house.day import DAY_S

__all__ = ["SHOWN", "simulated_account"]

SHOWN: Final = {plan.model: plan.name for plan in MEROSS}
"""The models that are shown, and what they are called."""

# Nobody is banned here, and whoever looks at a demonstration does not wait long.
_LIMITS: Final = {
    "global_burst_rate": 4096,
    "global_tokens_per_interval": 1000,
    "device_burst_rate": 10,
    "device_tokens_per_interval": 10,
    "device_messages_per_minute": 4096,
    "device_messages_per_hour": 4096,
}


@asynccontextmanager
async def simulated_account(
    environment: Environment, *, count: int | None = None, day_s: float = DAY_S
) -> AsyncGenerator[dict[str, Any]]:
    """Simulate the first `count` of them, all by default; give the section."""
    opened = house_account(environment, count=count or len(SHOWN), day_s=day_s)
    async with anyio.TemporaryDirectory() as folder, opened as account:
        section: dict[str, Any] = {
            "email": account.cloud.email,
            "password": account.cloud.password,
            "url": account.cloud.url,
            "store": str(Path(folder) / "meross.json"),
            "rate_limiter": _LIMITS,
        }
        if account.has_addresses:
            section["lan_ports"] = {one.host: one.http_port for one in account.devices}
        else:
            section["policy"] = "cloud_only"
        yield section
