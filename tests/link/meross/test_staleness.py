"""No value of a device that answers is taken for stale, however rarely it is asked for."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.meross.opening import open_meross_lan
from structiot.model import Device
from structiot.sim.meross import MEROSS_MODELS, sim_meross_device
from structiot.testing import MemoryNetwork

pytestmark = [pytest.mark.virtual_time, pytest.mark.each_backend]

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"


def stale(device: Device) -> set[str]:
    found = set()
    for key in device.states:
        silent_s, limit_s = device.silent_s(key), device.stale_after_s(key)
        assert silent_s is not None
        if limit_s is not None and silent_s > limit_s:
            found.add(key)
    return found


@pytest.mark.parametrize("model", sorted(MEROSS_MODELS))
async def test_who_answers_has_no_stale_value_and_who_hangs_has(model: str):
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=environment) as sim,
        open_meross_lan(HOST, key=KEY, environment=environment) as device,
        device.events(),
    ):
        for _ in range(40):
            await anyio.sleep(29.7)
            for one in (device, *device.subdevices.values()):
                assert stale(one) == set()
        await sim.unplug()
        await anyio.sleep(2000)
        assert not device.is_available
        known = {k for k in device.states if device.stale_after_s(k) is not None}
        assert stale(device) == known
