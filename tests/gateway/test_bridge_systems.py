"""Devices of every system at a platform: a strip, a Meross plug, a light that dials in."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot.gateway import open_gateway
from structiot.manager import open_manager_client
from structiot.sim import sim_maxsmart, sim_meross_device, sim_sepl_platform
from tests.gateway.bridge_house import TYPE, Bridged, offered, section_of, until
from tests.gateway.memory_house import URI, House

pytestmark = pytest.mark.virtual_time

STRIP, PLUG, UUID = "10.0.0.1", "10.0.0.2", "1862cfe1-5dab-4d8e-a946-50d6728f830f"
KEY = "a key"
DONE = ('{"status":0}', "")
CONFIG: dict[str, Any] = {
    "mqtt": {"uri": URI},
    "maxsmart": {"discover": False, "devices": [{"host": STRIP}]},
    "meross": {"devices": [{"host": PLUG, "key": KEY}]},
    "manager": {
        "types": {"lamp": {"switches": [{"name": "Light", "member": "is_on"}]}}
    },
}


async def test_what_any_system_has_is_offered_and_obeys():
    house = House()
    environment = house.environment
    async with (
        house.broker(),
        sim_sepl_platform(environment=environment) as platform,
        sim_maxsmart(STRIP, environment=environment),
        sim_meross_device(PLUG, key=KEY, environment=environment),
        open_gateway(
            {**CONFIG, "connector": section_of(platform), "links": offered()},
            environment=environment,
        ) as gateway,
        open_manager_client(
            "127.0.0.1",
            uuid=UUID,
            type="lamp",
            data={"is_on": False},
            environment=environment,
        ) as lamp,
    ):
        found = Bridged(gateway, platform, {})
        await until(lambda: len(found.online) == 3)
        of = {uri.partition(":")[0]: uri for uri in found.online}
        assert {*of} == {"maxsmart", "meross", "manager"}
        assert {one.type for one in platform.devices} == {TYPE}
        # Entities are services, commands switch, states are events.
        switches = {"maxsmart": "port_1", "meross": "switch", "manager": "light"}
        for system, service in switches.items():
            before, _ = await found.command(service, uri=of[system])
            after = "false" if before == "true" else "true"
            assert await found.command(service, after, of[system]) == DONE
            if system == "manager":
                with anyio.fail_after(10):
                    assert await anext(aiter(lamp)) == b"on"
                await lamp.send(json.dumps({"is_on": True}))
            await anyio.sleep(10)
            assert found.events(service, of[system])[-1] == after
