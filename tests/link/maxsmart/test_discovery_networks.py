"""Discovery by every interface, ended early, and with all that identifies a device."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot._kit.net.memory import BROADCAST
from structiot.maxsmart import DiscoveredMaxSmart, Discovery, discover_maxsmart
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.networks import (
    ALL_FAMILIES,
    Around,
    NoRoute,
    fleet,
    hosts,
    nothing_is_open,
)
from tests.link.maxsmart.strips import HOST

pytestmark = pytest.mark.virtual_time

HOME, WORKSHOP = "192.168.1.0/24", "10.7.0.0/16"
BOTH = ("192.168.1.5/24", "10.7.0.5/16")
HOWS = ["await", "for", "with"]


async def found_by(how: str, discovery: Discovery) -> list[DiscoveredMaxSmart]:
    if how == "await":
        return await discovery
    if how == "for":
        return [device async for device in discovery]
    async with discovery as devices:
        return [device async for device in devices]


# ---------------------------------------------------------------- every interface


async def test_each_interface_reaches_the_devices_of_its_network():
    # The general broadcast leaves by one interface alone; here by none.
    network = NoRoute(BROADCAST, subnets=(HOME, WORKSHOP))
    async with (
        sim_maxsmart(
            "192.168.1.20",
            serial="SWP6000000000020",
            environment=Environment(network=network),
        ),
        sim_maxsmart(
            "10.7.3.1",
            serial="SWP6000000000031",
            environment=Environment(network=network),
        ),
    ):
        discovery = discover_maxsmart(
            environment=Environment(network=network, host_network=Around(BOTH)),
        )
        assert hosts(await discovery) == ["10.7.3.1", "192.168.1.20"]
        assert list(discovery.problems) == [BROADCAST]


async def test_an_interface_that_cannot_send_costs_only_itself(caplog):
    caplog.set_level("DEBUG", "structiot.maxsmart")
    network = NoRoute("10.7.255.255", BROADCAST, subnets=(HOME, WORKSHOP))
    async with sim_maxsmart("192.168.1.20", environment=Environment(network=network)):
        discovery = discover_maxsmart(
            environment=Environment(network=network, host_network=Around(BOTH)),
        )
        assert hosts(await discovery) == ["192.168.1.20"]
        assert "unreachable" in discovery.problems["10.7.255.255"]
        assert "cannot ask 10.7.255.255" in caplog.text


async def test_a_device_that_several_interfaces_reach_is_found_once():
    network = MemoryNetwork(subnets=(HOME,))
    around = Around(["192.168.1.5/24", "192.168.1.6/24"])
    async with sim_maxsmart(
        "192.168.1.20", environment=Environment(network=network)
    ) as sim:
        assert (
            len(
                await discover_maxsmart(
                    environment=Environment(network=network, host_network=around),
                )
            )
            == 1
        )
        # Both interfaces are in one network; and there is the general broadcast.
        assert len(sim.requests) == 4 * 2


async def test_without_a_route_the_list_is_empty_and_the_reason_is_told(caplog):
    discovery = discover_maxsmart(environment=Environment(network=NoRoute(BROADCAST)))
    assert await discovery == []
    assert "unreachable" in discovery.problems[BROADCAST]
    assert "could not ask everywhere" in caplog.text


async def test_one_address_without_a_route_does_not_keep_the_others_from_being_asked():
    async with fleet(2, NoRoute("10.0.0.255")) as (network, _):
        discovery = discover_maxsmart(
            environment=Environment(network=network),
            broadcast=["10.0.0.255", BROADCAST],
        )
        assert len(await discovery) == 2
        assert list(discovery.problems) == ["10.0.0.255"]


# ---------------------------------------------------------------- ended early


@pytest.mark.parametrize("how", HOWS)
async def test_what_was_found_outlives_a_search_that_is_cancelled(how):
    async with fleet(3) as (network, sims):
        sims[2].faults.delay_s = 2.0
        discovery = discover_maxsmart(environment=Environment(network=network))
        with anyio.move_on_after(1.0):
            await found_by(how, discovery)
        assert hosts(discovery.found) == hosts(sims[:2])
        assert await nothing_is_open(network, but=sims)


@pytest.mark.parametrize("how", HOWS)
async def test_what_was_found_outlives_being_cancelled_while_it_is_identified(how):
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next(1, on="124")
        discovery = discover_maxsmart(
            HOST, environment=Environment(network=network), identify=True
        )
        with anyio.move_on_after(1.0) as scope:
            await found_by(how, discovery)
        assert scope.cancelled_caught
        assert hosts(discovery.found) == [HOST]


# ---------------------------------------------------------------- who it is


@pytest.mark.parametrize("how", HOWS)
async def test_enhanced_discovery_tells_what_identifies_each_device(how):
    async with fleet(len(ALL_FAMILIES)) as (network, sims):
        around = Around(macs={sims[0].host: "2:0:0:0:0:99"})
        discovery = discover_maxsmart(
            environment=Environment(network=network, host_network=around),
            identify=True,
        )
        devices = {device.host: device for device in await found_by(how, discovery)}
        assert sorted(around.asked) == hosts(sims)
        for sim in sims:
            device = devices[sim.host]
            kinds = [one.kind for one in device.identifiers.ranked]
            has_cpu_id = sim.family.identifiers == "yes"
            assert (kinds[0] == "cpu_id") is has_cpu_id, sim.family.name
            assert kinds[-2:] == ["serial", "address"]
            assert device.identifiers.mac == device.mac
        assert set(discovery.found) == set(devices.values())


async def test_a_plain_discovery_asks_nobody_for_more_than_they_say():
    async with fleet(3) as (network, sims):
        around = Around()
        devices = await discover_maxsmart(
            environment=Environment(network=network, host_network=around),
        )
        assert [device.identifiers.best.kind for device in devices] == ["mac"] * 3
        assert around.asked == []
        channels = {request.channel for sim in sims for request in sim.requests}
        assert channels == {"discovery"}


async def test_devices_that_keep_silent_about_their_cpu_id_do_so_together():
    async with fleet(20) as (network, sims):
        for sim in sims:
            sim.faults.drop_next(1, on="http")
        started_at = anyio.current_time()
        devices = await discover_maxsmart(
            environment=Environment(network=network), identify=True
        )
        assert len(devices) == 20
        assert {device.identifiers.cpu_id for device in devices} == {None}
        assert anyio.current_time() - started_at == pytest.approx(2.5 + 2.0)
