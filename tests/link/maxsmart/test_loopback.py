"""The same on real sockets: UDP and HTTP on loopback, in real time."""

from __future__ import annotations

import socket

import anyio
import pytest

from structiot._kit.net.memory import BROADCAST
from structiot.errors import ConnectFailed
from structiot.maxsmart import (
    DiscoveredMaxSmart,
    PowerChanged,
    StateChanged,
    discover_maxsmart,
    maxsmart_device,
)
from structiot.maxsmart.link.lenient_http import mended
from structiot.model import Availability
from structiot.sim import FAMILIES, sim_maxsmart, sim_maxsmart_fleet

pytestmark = pytest.mark.e2e

HOST = "127.0.0.2"


def free_udp_port() -> int:
    """Give a port that is free at the broadcast address, and so at the others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((BROADCAST, 0))
        return int(probe.getsockname()[1])


def can_broadcast() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        probe.bind(("127.0.0.1", 0))
        try:
            probe.sendto(b"", (BROADCAST, free_udp_port()))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211", "revogi_511"])
async def test_a_strip_is_opened_switched_and_metered(family):
    async with (
        sim_maxsmart(HOST, family=family, http_port=0, udp_port=0) as sim,
        maxsmart_device(
            HOST, http_port=sim.http_port or 80, udp_port=sim.udp_port
        ) as strip,
    ):
        await strip.turn_off(2)
        assert sim.ports[2] is False
        async with strip.readings() as readings:
            first = [await anext(readings) for _ in range(6)]
        assert [reading.is_on for reading in first] == [True, False, *[True] * 4]
        assert first[0].power_w == pytest.approx(sim.power_w(1), abs=0.5)


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_plug_130"])
async def test_a_strip_is_renamed_asked_for_its_statistics_and_watched(family):
    async with (
        sim_maxsmart(
            HOST,
            family=family,
            loads=[60.0] * FAMILIES[family].ports,
            http_port=0,
            udp_port=0,
        ) as sim,
        maxsmart_device(
            HOST, http_port=sim.http_port or 80, udp_port=sim.udp_port
        ) as strip,
    ):
        assert await strip.change_port_name(0, "Büro & Co") == sim.name == "Büro & Co"
        assert len((await strip.get_statistics(0, "daily")).points) == 31
        assert await strip.set_device_time() is not None
        assert (await strip.get_device_identifiers()).cpu_id is not None
        assert (await strip.health_check()).is_reachable
        async with strip.changes() as changes:
            await strip.turn_off(1)
            power, state = await anext(changes), await anext(changes)
        assert isinstance(power, PowerChanged)
        assert isinstance(state, StateChanged)


async def test_a_strip_that_goes_is_away_and_back_when_it_comes():
    async with (
        sim_maxsmart(HOST, http_port=0, udp_port=0) as sim,
        maxsmart_device(
            HOST, http_port=sim.http_port or 0, udp_port=sim.udp_port, poll_s=0.1
        ) as strip,
        strip.events() as events,
    ):
        # Taken before it goes, because only the latest waits.
        told = [
            e.is_available for e in [await anext(events)] if type(e) is Availability
        ]
        await sim.unplug()
        async for event in events:
            if isinstance(event, Availability):
                told.append(event.is_available)
                if told == [True, False]:
                    await sim.plug_in()
                if told == [True, False, True]:
                    break
        await strip.turn_off(1)
        assert sim.ports[1] is False


async def test_one_address_answers_at_once():
    async with sim_maxsmart(HOST, http_port=0, udp_port=0) as sim:
        with anyio.fail_after(2):
            (device,) = await discover_maxsmart(HOST, udp_port=sim.udp_port)
        assert (device.host, device.serial) == (HOST, sim.serial)


async def test_nobody_at_an_address_is_an_error():
    with pytest.raises(ConnectFailed):
        await discover_maxsmart(HOST, udp_port=free_udp_port(), window_s=0.2)


async def test_a_closed_port_and_a_silent_one_are_nobody():
    port = free_udp_port()
    with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.2 \(TCP {port}"):
        async with maxsmart_device(HOST, http_port=port, udp_port=port, reply_s=0.2):
            pass


async def test_a_name_is_looked_up():
    async with (
        sim_maxsmart("127.0.0.1", http_port=0, udp_port=0) as sim,
        maxsmart_device(
            "localhost", http_port=sim.http_port or 0, udp_port=sim.udp_port
        ) as strip,
    ):
        assert strip.info.serial == sim.serial


async def test_a_name_that_nobody_knows_is_an_error_that_names_it():
    with pytest.raises(ConnectFailed, match="no-such-strip"):
        async with maxsmart_device("no-such-strip.invalid"):
            pass
    with pytest.raises(ConnectFailed, match="no-such-strip"):
        await discover_maxsmart("no-such-strip.invalid", window_s=0.2)


async def discovered(how: str, udp_port: int) -> list[DiscoveredMaxSmart]:
    discovery = discover_maxsmart(
        window_s=0.6, broadcast=[BROADCAST], local_host="127.0.0.1", udp_port=udp_port
    )
    if how == "await":
        return await discovery
    if how == "for":
        return [device async for device in discovery]
    async with discovery as devices:
        return [device async for device in devices]


@pytest.mark.parametrize("how", ["await", "for", "with"])
async def test_a_broadcast_finds_every_strip(how):
    port = free_udp_port()
    async with sim_maxsmart_fleet(
        4, http_port=0, udp_port=port, broadcast=True
    ) as fleet:
        found = await discovered(how, port)
        serials = [sim.serial for sim in fleet.sims] if can_broadcast() else []
        assert sorted(device.serial or "" for device in found) == sorted(serials)


async def test_leaving_a_loop_early_leaves_no_socket():
    port = free_udp_port()
    async with sim_maxsmart_fleet(2, http_port=0, udp_port=port, broadcast=False):
        async for _ in discover_maxsmart(broadcast=[BROADCAST, HOST], udp_port=port):
            break


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"A : 1\r\nB\t: 2\r\n", b"A: 1\r\nB: 2\r\n"),
        (b"HTTP/1.1 200 OK : fine\r\nA: b : c\r\n", None),
        (b"A: 1\n  : 2\n", None),
    ],
)
def test_only_blanks_between_a_name_and_its_colon_are_taken_away(head, expected):
    assert mended(head) == (head if expected is None else expected)
