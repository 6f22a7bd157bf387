"""What a device lists can be asked for, whether structiot knows a feature for it or not."""

from __future__ import annotations

import pytest

from structiot import Environment
from structiot.errors import LinkLost
from structiot.meross.opening import open_meross_lan
from structiot.sim.meross import MEROSS_MODELS, sim_meross_device
from structiot.testing import MemoryNetwork
from tests.sim.meross.test_meross_models import NOT_ASKED, payload_of

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("model", sorted(MEROSS_MODELS))
async def test_what_has_no_feature_is_asked_for_all_the_same(model: str):
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=environment) as sim,
        open_meross_lan(HOST, key=KEY, environment=environment) as device,
    ):
        assert set(device.about.abilities) == set(sim.model.abilities)
        for namespace in set(device.about.abilities) - NOT_ASKED:
            name = namespace.removeprefix("Appliance.")
            question = {}
            if name == "Control.Sensor.LatestX":
                names = ["presence", "light"]
                question = {"latest": [{"channel": 0, "data": names}]}
            answer = await device.request(namespace, "GET", question)
            assert set(answer) == set(payload_of(sim.device, name))


async def test_what_is_set_by_hand_is_set():
    environment = Environment(network=MemoryNetwork())
    place = {"position": {"longitude": 9_190_000, "latitude": 45_460_000}}
    async with (
        sim_meross_device(HOST, key=KEY, environment=environment) as sim,
        open_meross_lan(HOST, key=KEY, environment=environment) as device,
    ):
        await device.request("Appliance.System.Position", "SET", place)
        assert payload_of(sim.device, "System.Position") == place
        assert await device.request("Appliance.System.Position") == place
        # It hangs up, which is how devices say that they do not know it.
        with pytest.raises(LinkLost):
            await device.request("Appliance.Control.Nothing")
