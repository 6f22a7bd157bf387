"""Discovery: awaited, iterated, entered; and whoever sends nonsense harms nobody."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import anyio
import pytest
from _pytest.mark import ParameterSet

from structiot import Environment
from structiot.errors import ConnectFailed, UsageError
from structiot.maxsmart import DiscoveredMaxSmart, discover_maxsmart
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests._support.golden import golden_files
from tests.link.maxsmart.networks import (
    ALL_FAMILIES,
    NoRoute,
    fleet,
    hosts,
    nothing_is_open,
)
from tests.link.maxsmart.strips import HOST, SERIAL, WallClock

pytestmark = pytest.mark.virtual_time


def ignored_datagrams() -> list[ParameterSet]:
    found = []
    for path in golden_files("maxsmart/malformed_discovery", ".json"):
        sample = json.loads(path.read_text("utf-8"))
        if sample["expected"]["client"] == "ignores":
            datagram = sample["bytes_text"].encode()
            found.append(pytest.param(datagram, id=path.stem))
    return found


async def answer_badly(network: MemoryNetwork, host: str, datagram: bytes) -> None:
    """Answer every question with the same datagram."""
    async with network.open_udp(host, 8888) as udp:
        while True:
            _, (peer, port) = await udp.receive()
            await udp.send(datagram, peer, port)


# ---------------------------------------------------------------- everybody


async def test_every_family_is_found_once_with_all_it_says():
    async with fleet(len(ALL_FAMILIES)) as (network, sims):
        devices = await discover_maxsmart(environment=Environment(network=network))
        assert len(devices) == len(sims)
        by_host = {device.host: device for device in devices}
        for sim in sims:
            device = by_host[sim.host]
            assert (device.serial, device.name) == (sim.serial, sim.name)
            assert device.firmware == sim.family.firmware
            assert device.port_count == sim.family.ports
            assert device.mac is not None
            expected = sim.port_names if sim.family.port_names == "names" else ()
            assert device.port_names == expected


async def test_everybody_is_asked_four_times_within_one_window():
    async with fleet() as (network, sims):
        started_at = anyio.current_time()
        assert (
            len(await discover_maxsmart(environment=Environment(network=network))) == 5
        )
        assert anyio.current_time() - started_at == pytest.approx(2.5)
        for sim in sims:
            assert len(sim.requests) == 4


async def test_the_question_tells_the_local_time_with_its_zone():
    async with fleet(1) as (network, (sim,)):
        clock = WallClock()
        await discover_maxsmart(
            environment=Environment(network=network, clock=clock), rounds=1
        )
        assert sim.requests[0].data == b"00dv=all,2024-05-01,13:45:10,14;"


async def test_nobody_is_an_empty_list():
    assert (
        await discover_maxsmart(environment=Environment(network=MemoryNetwork())) == []
    )


async def test_a_datagram_that_got_lost_is_made_up_for_by_the_next_round():
    async with fleet(3) as (network, sims):
        sims[1].faults.drop_next(3)
        assert (
            len(await discover_maxsmart(environment=Environment(network=network))) == 3
        )


@pytest.mark.parametrize("datagram", ignored_datagrams())
async def test_whoever_sends_nonsense_hides_nobody(datagram):
    async with fleet(2) as (network, sims), anyio.create_task_group() as tg:
        tg.start_soon(answer_badly, network, "127.0.0.99", datagram)
        await anyio.wait_all_tasks_blocked()
        discovery = discover_maxsmart(environment=Environment(network=network))
        devices = await discovery
        assert hosts(devices) == [sim.host for sim in sims]
        assert discovery.malformed == 4
        tg.cancel_scope.cancel()


async def test_one_device_that_answers_from_two_addresses_is_one_device():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        for host in ("127.0.0.2", "127.0.0.3"):
            await stack.enter_async_context(
                sim_maxsmart(
                    host, serial=SERIAL, environment=Environment(network=network)
                )
            )
        assert (
            len(await discover_maxsmart(environment=Environment(network=network))) == 1
        )


# ---------------------------------------------------------------- one by one


async def test_each_device_is_given_as_it_answers():
    async with fleet(3) as (network, sims):
        sims[1].faults.delay_s = 0.3
        sims[2].faults.delay_s = 1.2
        started_at = anyio.current_time()
        async with discover_maxsmart(
            environment=Environment(network=network)
        ) as devices:
            found = [
                (device.host, anyio.current_time() - started_at)
                async for device in devices
            ]
        assert [host for host, _ in found] == [sim.host for sim in sims]
        assert [when for _, when in found] == pytest.approx([0, 0.3, 1.2])
        assert anyio.current_time() - started_at == pytest.approx(2.5)


async def test_the_loop_itself_gives_each_device_soon_after_it_answers():
    async with fleet(3) as (network, sims):
        sims[2].faults.delay_s = 0.4
        started_at = anyio.current_time()
        found = [
            (device.host, anyio.current_time() - started_at)
            async for device in discover_maxsmart(
                environment=Environment(network=network)
            )
        ]
        assert sorted(host for host, _ in found) == [sim.host for sim in sims]
        assert found[2][0] == sims[2].host
        assert found[0][1] < 0.1
        assert found[2][1] < 1.0
        assert anyio.current_time() - started_at < 2.7


@pytest.mark.parametrize("pause_s", [0.0, 0.7])
async def test_a_loop_whose_body_takes_time_misses_nobody(pause_s):
    async with fleet(9) as (network, sims):
        for index, sim in enumerate(sims):
            sim.faults.delay_s = index * 0.05
        found = []
        async for device in discover_maxsmart(environment=Environment(network=network)):
            found.append(device)
            await anyio.sleep(pause_s)
        assert hosts(found) == sorted(sim.host for sim in sims)


async def test_devices_that_answer_together_are_not_asked_again_for_each():
    async with fleet(9) as (network, sims):
        assert (
            len(
                [
                    d
                    async for d in discover_maxsmart(
                        environment=Environment(network=network)
                    )
                ]
            )
            == 9
        )
        # Four rounds, and one more because the loop listened on two sockets.
        assert {len(sim.requests) for sim in sims} <= {4, 5}


async def test_a_loop_that_goes_on_at_the_last_moment_still_hears_who_is_left():
    async with fleet(2) as (network, sims):
        sims[0].faults.delay_s = 2.4
        sims[1].faults.delay_s = 0.3
        sims[1].faults.drop_next(4)
        found = [
            device
            async for device in discover_maxsmart(
                environment=Environment(network=network)
            )
        ]
        assert hosts(found) == hosts(sims)


async def test_leaving_the_loop_early_keeps_what_was_found_and_leaves_nothing_open():
    async with fleet(3) as (network, sims):
        discovery = discover_maxsmart(environment=Environment(network=network))
        async for _ in discovery:
            break
        assert discovery.found
        assert await nothing_is_open(network, but=sims)


async def test_leaving_the_block_early_ends_the_search():
    async with fleet(3) as (network, sims):
        started_at = anyio.current_time()
        discovery = discover_maxsmart(environment=Environment(network=network))
        async with discovery as devices:
            async for _ in devices:
                break
        assert anyio.current_time() - started_at < 0.1
        assert discovery.found
        assert await nothing_is_open(network, but=sims)


# ---------------------------------------------------------------- one address


@pytest.mark.parametrize("family", FAMILIES)
async def test_one_address_is_answered_as_soon_as_it_answers(family):
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, environment=Environment(network=network)
    ) as sim:
        sim.faults.delay_s = 0.2
        started_at = anyio.current_time()
        (device,) = await discover_maxsmart(
            HOST, environment=Environment(network=network)
        )
        assert anyio.current_time() - started_at == pytest.approx(0.2)
        assert (device.host, device.serial) == (HOST, sim.serial)


async def find(how: str, network: MemoryNetwork) -> list[DiscoveredMaxSmart]:
    discovery = discover_maxsmart(HOST, environment=Environment(network=network))
    if how == "await":
        return await discovery
    if how == "for":
        return [device async for device in discovery]
    async with discovery as devices:
        return [device async for device in devices]


@pytest.mark.parametrize("how", ["await", "for", "with"])
async def test_nobody_at_an_address_is_an_error_that_names_it(how):
    with pytest.raises(ConnectFailed, match=HOST) as caught:
        await find(how, MemoryNetwork())
    assert caught.value.host == HOST


@pytest.mark.parametrize("how", ["await", "for", "with"])
async def test_somebody_at_an_address_ends_the_search(how):
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        assert [device.serial for device in await find(how, network)] == [sim.serial]
        assert anyio.current_time() < 0.1


async def test_an_answer_from_another_address_than_was_asked_does_not_count():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.reply_from = "127.0.0.66"
        with pytest.raises(ConnectFailed):
            await discover_maxsmart(HOST, environment=Environment(network=network))


async def test_an_address_that_cannot_be_sent_to_is_an_error_with_the_reason():
    with pytest.raises(ConnectFailed, match="network is unreachable"):
        await discover_maxsmart(HOST, environment=Environment(network=NoRoute(HOST)))


# ---------------------------------------------------------------- usage


async def test_a_discovery_is_used_once():
    discovery = discover_maxsmart(environment=Environment(network=MemoryNetwork()))
    await discovery
    with pytest.raises(UsageError, match="used once"):
        await discovery
    with pytest.raises(UsageError, match="used once"):
        async for _ in discovery:
            pass
    with pytest.raises(UsageError, match="used once"):
        async with discovery:
            pass


@pytest.mark.parametrize("options", [{"window_s": 0}, {"rounds": 0}])
async def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(UsageError):
        await discover_maxsmart(**options)


async def test_a_device_that_tells_its_name_alone_is_found():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, name="Desk", environment=Environment(network=network)
    ) as sim:
        sim.faults.is_serial_corrupted = True
        (device,) = await discover_maxsmart(environment=Environment(network=network))
        assert (device.serial, device.name) == (None, "Desk")


async def test_a_thousand_devices_are_found_at_once():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        udp = await stack.enter_async_context(network.open_udp("127.0.0.9", 8888))
        tg = await stack.enter_async_context(anyio.create_task_group())

        async def crowd() -> None:
            while True:
                _, (peer, port) = await udp.receive()
                for number in range(1000):
                    serial = f"SWP6{number:012d}"
                    await udp.send(
                        b'{"data":{"sn":"%s"}}' % serial.encode(), peer, port
                    )

        tg.start_soon(crowd)
        await anyio.wait_all_tasks_blocked()
        found = await discover_maxsmart(environment=Environment(network=network))
        assert len({device.serial for device in found}) == 1000
        tg.cancel_scope.cancel()


# ---------------------------------------------------------------- floods


async def test_an_answer_from_another_port_than_was_asked_is_dropped():
    answer = json.dumps({"data": {"sn": "SWP6000000000099", "name": "x"}}).encode()

    async def answer_from_elsewhere() -> None:
        async with (
            network.open_udp("127.0.0.99", 8888) as asked,
            network.open_udp("127.0.0.99", 9999) as udp,
        ):
            while True:
                _, peer = await asked.receive()
                await udp.send(answer, *peer)

    async with fleet(2) as (network, sims), anyio.create_task_group() as tg:
        tg.start_soon(answer_from_elsewhere)
        await anyio.wait_all_tasks_blocked()
        devices = await discover_maxsmart(environment=Environment(network=network))
        assert hosts(devices) == [sim.host for sim in sims]
        tg.cancel_scope.cancel()


async def test_of_one_address_only_so_much_is_read():
    async def flood() -> None:
        async with network.open_udp("127.0.0.99", 8888) as udp:
            _, peer = await udp.receive()
            for _ in range(50):
                for _ in range(20):
                    await udp.send(b"nonsense", *peer)
                await anyio.sleep(0.01)

    async with fleet(2) as (network, sims), anyio.create_task_group() as tg:
        tg.start_soon(flood)
        await anyio.wait_all_tasks_blocked()
        discovery = discover_maxsmart(environment=Environment(network=network))
        assert hosts(await discovery) == [sim.host for sim in sims]
        assert discovery.malformed == 64
