"""Asking one device for everything that identifies it."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed
from structiot.maxsmart import identify_maxsmart
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.networks import Around
from tests.link.maxsmart.strips import HOST, SERIAL

pytestmark = pytest.mark.virtual_time

NEIGHBOUR = "2:0:0:0:0:7"


@pytest.mark.parametrize("family", FAMILIES)
async def test_each_family_tells_what_its_firmware_knows(family):
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, environment=Environment(network=network)
    ) as sim:
        found = await identify_maxsmart(
            HOST,
            environment=Environment(
                network=network, host_network=Around(macs={HOST: "02:00:00:00:00:07"})
            ),
        )
        tells_cpu_id = sim.family.identifiers == "yes"
        assert (found.cpu_id is not None) is tells_cpu_id
        assert (found.plc_mac is not None) is tells_cpu_id
        assert (found.serial, found.arp_mac) == (sim.serial, "020000000007")
        assert found.best.kind == ("cpu_id" if tells_cpu_id else "mac")
        assert [one.kind for one in found.ranked][-1] == "address"


async def test_a_device_that_is_silent_by_udp_is_known_by_its_hardware():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next(9, on="discovery")
        found = await identify_maxsmart(HOST, environment=Environment(network=network))
        assert (found.serial, found.mac, found.best.kind) == (None, None, "cpu_id")


async def test_a_device_that_hangs_up_on_the_question_is_known_by_what_it_says():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.hang_up_next(1, on="124")
        found = await identify_maxsmart(HOST, environment=Environment(network=network))
        assert (found.serial, found.cpu_id) == (SERIAL, None)


async def test_a_device_without_udp_and_cpu_id_has_but_its_address_and_its_neighbours():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family="revogi_349", environment=Environment(network=network)
    ) as sim:
        sim.faults.drop_next(9, on="discovery")
        around = Around(macs={HOST: "00:00:00:00:00:00"})
        found = await identify_maxsmart(
            HOST,
            environment=Environment(network=network, host_network=around),
        )
        assert around.asked == [HOST]
        assert [one.text for one in found.ranked] == ["ip_127_0_0_2"]


async def test_nobody_at_the_address_is_an_error_that_names_it():
    started_at = anyio.current_time()
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.2: .*refused") as caught:
        await identify_maxsmart(HOST, environment=Environment(network=MemoryNetwork()))
    assert caught.value.host == HOST
    assert anyio.current_time() - started_at < 2
