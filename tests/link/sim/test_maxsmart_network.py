"""Simulated strips on and off the network, their arguments, and fleets of them."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed, UsageError
from structiot.sim import sim_maxsmart, sim_maxsmart_fleet
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.sim.asking import all_of, data_of, udp_asker

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"


# ---------------------------------------------------------------- mains, addresses


async def test_an_unplugged_strip_is_gone_and_comes_back_as_it_was():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.ports[2] = False
        await sim.unplug()
        await sim.unplug()
        assert not sim.is_plugged_in
        assert await asker.ask("00dv=all;") is None
        await sim.hear(b"00dv=all;", ("10.0.0.1", 5000))
        with pytest.raises(ConnectFailed):
            await network.connect_tcp(HOST, 80)
        await sim.plug_in()
        assert (await data_of(network, HOST))["switch"] == [1, 0, 1, 1, 1, 1]
        with pytest.raises(UsageError, match="is plugged in"):
            await sim.plug_in()


async def test_a_reboot_takes_its_time_and_cuts_connections():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        async with await network.connect_tcp(HOST, 80) as stream:
            await anyio.wait_all_tasks_blocked()
            began_at = anyio.current_time()
            await sim.reboot(3)
            assert anyio.current_time() == began_at + 3
            assert await all_of(stream) == b""
        assert len((await data_of(network, HOST))["switch"]) == 6


async def test_a_strip_may_come_back_at_another_address():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await sim.unplug()
        await sim.plug_in("10.0.0.8")
        assert sim.host == "10.0.0.8"
        assert len((await data_of(network, "10.0.0.8"))["switch"]) == 6


async def test_an_address_that_is_taken_is_said_at_once():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)):
        with pytest.raises(ConnectFailed, match=r"10\.0\.0\.7:8888: address already"):
            async with sim_maxsmart(HOST, environment=Environment(network=network)):
                pass


async def test_free_ports_are_told_and_kept():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, http_port=0, udp_port=0, environment=Environment(network=network)
    ) as sim:
        assert sim.http_port
        ports = (sim.http_port, sim.udp_port)
        await sim.reboot()
        assert (sim.http_port, sim.udp_port) == ports
        assert await data_of(network, HOST, sim.http_port)


# ---------------------------------------------------------------- arguments


async def test_same_arguments_give_the_same_strip_and_others_another():
    network = MemoryNetwork()
    serials = set()
    for host, seed in [(HOST, 0), (HOST, 0), (HOST, 1), ("10.0.0.8", 0)]:
        async with sim_maxsmart(
            host, seed=seed, environment=Environment(network=network)
        ) as sim:
            serials.add(sim.serial)
            assert sim.serial.startswith("SWP6")
            assert len(sim.serial) == 16
    assert len(serials) == 3


async def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="mh_strip_130, mh_plug_130"):
        async with sim_maxsmart(
            HOST,
            family="mh_strip_131",
            environment=Environment(network=MemoryNetwork()),
        ):
            pass


async def test_a_wrong_number_of_loads_is_refused():
    with pytest.raises(UsageError, match="has 6 ports, not 2"):
        async with sim_maxsmart(
            HOST, loads=[1, 2], environment=Environment(network=MemoryNetwork())
        ):
            pass


async def test_requests_are_kept_with_who_and_when():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await anyio.sleep(2)
        before = sim.clock.utc()
        await data_of(network, HOST)
        request = sim.requests[-1]
    assert (request.channel, request.number) == ("http", 511)
    assert request.peer[0] == "127.0.0.1"
    assert request.data.startswith(b"GET /?cmd=511 HTTP/1.1\r\n")
    assert request.at_utc == before


# ---------------------------------------------------------------- fleets


async def test_a_fleet_has_consecutive_addresses_and_families_in_turn():
    network = MemoryNetwork()
    async with (
        sim_maxsmart_fleet(
            4,
            family=["mh_strip_130", "revogi_511"],
            first_host="10.0.0.254",
            names=["Desk"],
            environment=Environment(network=network),
        ) as fleet,
        udp_asker(network, "255.255.255.255") as asker,
    ):
        assert [sim.host for sim in fleet.sims] == [
            "10.0.0.254",
            "10.0.0.255",
            "10.0.1.0",
            "10.0.1.1",
        ]
        assert [sim.name for sim in fleet.sims] == [
            "Desk",
            "Strip 2",
            "Strip 3",
            "Strip 4",
        ]
        assert [sim.family.ports for sim in fleet.sims] == [6, 6, 6, 6]
        assert fleet.hears_broadcasts
        await asker.say("00dv=all;")
        sources = set()
        while await asker.hear() is not None:
            sources.add(asker.source)
        assert sources == {(sim.host, 8888) for sim in fleet.sims}
        assert len({sim.serial for sim in fleet.sims}) == 4


async def test_a_fleet_lives_by_the_clock_of_its_environment():
    at = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    environment = Environment(network=MemoryNetwork(), clock=lambda: at)
    async with sim_maxsmart_fleet(2, environment=environment) as fleet:
        assert [sim.clock.utc() for sim in fleet.sims] == [at, at]


async def test_an_empty_fleet_is_refused():
    with pytest.raises(UsageError, match="at least one strip"):
        async with sim_maxsmart_fleet(
            0, environment=Environment(network=MemoryNetwork())
        ):
            pass


async def test_a_strip_leaves_nothing_behind_wherever_it_is_cancelled():
    async def flow() -> None:
        network = MemoryNetwork()
        async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
            await data_of(network, HOST)
            await sim.reboot(1)
            async with udp_asker(network, HOST) as asker:
                sim.faults.delay_s = 1
                await asker.ask("00dv=all;")

    assert await cancel_sweep(flow) > 10
