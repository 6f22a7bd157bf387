"""A program for Meross devices, tested without any: alone, and with an account.

Run:
    python -m pytest examples/testing
"""

from __future__ import annotations

import pytest

from structiot import Environment, TransportError, open_meross, open_meross_lan
from structiot.meross import MerossDevice
from structiot.sim import MerossCloudSim, MerossSim, sim_meross_device


async def is_in_use(plug: MerossDevice) -> bool:
    """Tell whether what is plugged in draws more than standby."""
    async with plug.readings() as readings:
        reading = await anext(readings)
    return (reading.power_w or 0.0) > 5.0


async def test_a_plug_in_the_local_network(meross_device_sim: MerossSim) -> None:
    sim = meross_device_sim
    sim.set_load(1.5)
    async with open_meross_lan(sim.host, sim.http_port, key=sim.key) as plug:
        assert not await is_in_use(plug)


async def test_a_plug_that_was_pulled_out(meross_device_sim: MerossSim) -> None:
    sim = meross_device_sim
    async with open_meross_lan(sim.host, sim.http_port, key=sim.key) as plug:
        await sim.unplug()
        with pytest.raises(TransportError):
            await plug.turn_on()


@pytest.mark.usefixtures("virtual_time")
async def test_an_account_in_no_time(
    meross_cloud_sim: MerossCloudSim, environment: Environment
) -> None:
    cloud = meross_cloud_sim
    async with (
        sim_meross_device(
            "192.168.1.7", name="Desk", cloud=cloud, environment=environment
        ) as sim,
        open_meross(
            email=cloud.email,
            password=cloud.password,
            url=cloud.url,
            store=None,
            environment=environment,
        ) as meross,
    ):
        plug = meross.device("Desk")
        assert await is_in_use(plug)
        await plug.turn_off()
        assert sim.device.digest()["togglex"][0]["onoff"] == 0
        assert not cloud.is_banned
