"""Simulated devices that dial in to the gateway, for the demonstration and for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import UUID

from structiot._kit.environment import Environment
from structiot.sim import sim_devices

__all__ = ["SHOWN", "simulated_fleet"]

SHOWN: Final = (
    ("lamp", "Desk lamp"),
    ("sensor", "Greenhouse"),
    ("lamp", "Floor lamp"),
    ("doorbell", "Front door"),
    ("sensor", "Wine cellar"),
    ("lamp", "Night light"),
)
"""The devices that are shown: what they are, and what they are called."""

_USUAL: Final = 4
_HOST: Final = "127.0.0.1"
_SECRET: Final = "a secret of the demonstration"  # noqa: S105 - everybody may know it
_LAMP: Final = {
    "switches": [{"name": "Light", "member": "is_on"}],
    "buttons": [{"name": "Toggle", "send": "toggle"}],
}
_SENSOR: Final = {
    "sensors": [
        {
            "name": "Temperature",
            "member": "temperature_c",
            "unit": "°C",
            "device_class": "temperature",
            "state_class": "measurement",
            "decimals": 1,
        },
        {
            "name": "Humidity",
            "member": "humidity_percent",
            "unit": "%",
            "device_class": "humidity",
            "state_class": "measurement",
            "decimals": 0,
        },
    ]
}


@asynccontextmanager
async def simulated_fleet(
    environment: Environment, *, count: int | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """Simulate the first `count` of them; give the section.

    Sensors speak our own dialect and have a secret, doorbells say what nobody has
    described, and lamps are switched.
    """
    shown = SHOWN[: count or _USUAL]
    ports = await _free_ports(environment)
    uuids = [str(UUID(int=(n << 96) + n)) for n in range(1, len(shown) + 1)]
    async with AsyncExitStack() as stack:
        for (kind, name), uuid in zip(shown, uuids, strict=True):
            is_native = kind == "sensor"
            fleet = await stack.enter_async_context(
                sim_devices(
                    type=kind,
                    host=_HOST,
                    port=ports[is_native],
                    dialect="structiot" if is_native else "D0",
                    uuids=[uuid],
                    secret=_SECRET if is_native else None,
                    environment=environment,
                )
            )
            fleet[0].state["name"] = name
        yield {
            "host": _HOST,
            "port": ports[False],
            "listeners": [{"host": _HOST, "port": ports[True], "dialect": "structiot"}],
            "secrets": {
                uuid: _SECRET
                for (kind, _), uuid in zip(shown, uuids, strict=True)
                if kind == "sensor"
            },
            "types": {"lamp": _LAMP, "sensor": _SENSOR},
            "other_types": True,
        }


async def _free_ports(environment: Environment) -> tuple[int, int]:
    """Find two ports that nobody listens at."""
    listen = environment.network.listen_tcp
    async with listen(_HOST, 0) as one, listen(_HOST, 0) as other:
        return one.address[1], other.address[1]
