"""Hundreds of devices of a gateway at a platform."""

from __future__ import annotations

import anyio
import pytest

from structiot.model import Sensor, Switch
from tests.gateway.bridge_house import away, bridged, there, toy, until

pytestmark = pytest.mark.virtual_time

COUNT = 200
ENTITIES = (Switch(key="relay"), Sensor(key="power"), Sensor(key="voltage"))


@pytest.mark.timeout(60)
@pytest.mark.thorough
async def test_hundreds_of_devices_hold_nobody_up(watched_loop):
    devices = [toy(f"P{number}", ENTITIES) for number in range(COUNT)]
    async with watched_loop(0.05), bridged(*devices) as house:
        await until(lambda: len(house.online) == COUNT)
        await until(lambda: len(house.platform.events) == COUNT)
        for number in range(5):
            for device in devices:
                device.tell_state("power", number)
                device.tell_state("voltage", 230 + number)
            await anyio.sleep(5)
        # The last of each has arrived, whatever was left out before.
        events = house.platform.events
        last = {(one.device_uri, one.service_uri): one.data for one in events}
        assert [*last.values()].count("4") == COUNT
        for device in devices:
            device.tell(away())
        await anyio.sleep(150)
        assert house.online == []
        for device in devices:
            device.tell(there())
        await until(lambda: len(house.online) == COUNT)
