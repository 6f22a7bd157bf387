"""A simulated platform, to which devices may be offered, for the demonstration."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from structiot._kit.environment import Environment
from structiot.sim.connector.sepl_opening import sim_sepl_platform

__all__ = ["simulated_platform"]

_USER: Final = "house"
_PASSWORD: Final = "a password of the demonstration"  # noqa: S105 - everybody may know it


@asynccontextmanager
async def simulated_platform(
    environment: Environment,
) -> AsyncGenerator[dict[str, Any]]:
    """Simulate a platform; give the section that leads to it."""
    users = {_USER: _PASSWORD}
    async with sim_sepl_platform(users, environment=environment) as platform:
        yield {
            "host": platform.host,
            "port": platform.port,
            "user": _USER,
            "password": _PASSWORD,
            "encryption": False,
        }
