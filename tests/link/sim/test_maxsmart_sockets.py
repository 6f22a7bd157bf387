"""Simulated strips on real loopback sockets, each at an address of its own."""

from __future__ import annotations

import json
import socket

import anyio
import pytest

from structiot._kit.net.network import REAL_NETWORK
from structiot.errors import ConnectFailed
from structiot.sim import (
    FAMILIES,
    sim_maxsmart,
    sim_maxsmart_broadcast,
    sim_maxsmart_fleet,
)
from tests.link.sim.asking import all_of, ask_http, body_of, data_of, udp_asker

pytestmark = pytest.mark.e2e

BROADCAST = "255.255.255.255"


def free_udp_port() -> int:
    """Give a port that is free at the broadcast address, and so at the others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((BROADCAST, 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_strip_answers_udp_and_tcp_from_its_own_address():
    async with (
        sim_maxsmart("127.0.0.52", http_port=0, udp_port=0) as sim,
        udp_asker(REAL_NETWORK, sim.host, sim.udp_port, "127.0.0.1") as asker,
    ):
        reply = json.loads(await asker.ask("00dv=all;") or b"")
        assert asker.source == ("127.0.0.52", sim.udp_port)
        assert reply["data"]["sn"] == sim.serial
        assert sim.http_port is not None
        await ask_http(
            REAL_NETWORK,
            sim.host,
            "/?cmd=200&json=%7B%22port%22:2,%22state%22:0%7D",
            sim.http_port,
        )
        data = await data_of(REAL_NETWORK, sim.host, sim.http_port)
        assert data["switch"] == [1, 0, 1, 1, 1, 1]
        assert sim.requests[-1].peer[0] == "127.0.0.1"


async def test_an_unplugged_strip_refuses_and_comes_back_at_the_same_ports():
    async with sim_maxsmart("127.0.0.52", http_port=0, udp_port=0) as sim:
        assert sim.http_port is not None
        await sim.unplug()
        with pytest.raises(ConnectFailed):
            await REAL_NETWORK.connect_tcp(sim.host, sim.http_port)
        await sim.plug_in()
        assert await data_of(REAL_NETWORK, sim.host, sim.http_port)


async def test_an_open_connection_does_not_outlive_the_simulator():
    async with sim_maxsmart("127.0.0.52", http_port=0, udp_port=0) as sim:
        assert sim.http_port is not None
        stream = await REAL_NETWORK.connect_tcp(sim.host, sim.http_port)
        await stream.send(b"GET /?cmd")
        await anyio.sleep(0.05)  # until the other side has read it
    async with stream:
        assert await all_of(stream) == b""


async def test_a_family_without_http_refuses_connections():
    async with sim_maxsmart(
        "127.0.0.52", family="revogi_511", http_port=80, udp_port=0
    ) as sim:
        assert sim.http_port is None
        with pytest.raises(ConnectFailed):
            await REAL_NETWORK.connect_tcp(sim.host, 80)


# uvloop's cache of addresses compares the bound one, bytes, with the text here.
@pytest.mark.filterwarnings("ignore::BytesWarning")
async def test_every_strip_of_a_fleet_answers_a_broadcast_once():
    port = free_udp_port()
    async with (
        sim_maxsmart_fleet(
            len(FAMILIES),
            family=list(FAMILIES),
            first_host="127.0.0.60",
            http_port=0,
            udp_port=port,
            broadcast=True,
        ) as fleet,
        REAL_NETWORK.open_udp("127.0.0.1", may_broadcast=True) as udp,
    ):
        await udp.send(b"00dv=all,2024-05-01,13:45:10,13;", BROADCAST, port)
        heard: dict[tuple[str, int], str] = {}
        with anyio.fail_after(5):
            while len(heard) < len(fleet.sims):
                data, source = await udp.receive()
                assert source not in heard
                heard[source] = json.loads(data)["data"]["sn"]
        assert heard == {(sim.host, port): sim.serial for sim in fleet.sims}
        assert all(len(sim.requests) == 1 for sim in fleet.sims)


# uvloop forgets to close a datagram endpoint whose bind failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_second_listener_for_broadcasts_is_refused_or_done_without(caplog):
    port = free_udp_port()
    async with sim_maxsmart_broadcast([], udp_port=port):
        with pytest.raises(ConnectFailed, match=rf"255\.255\.255\.255:{port}"):
            async with sim_maxsmart_fleet(
                1, first_host="127.0.0.70", http_port=0, udp_port=port, broadcast=True
            ):
                pass
        async with sim_maxsmart_fleet(
            1, first_host="127.0.0.70", http_port=0, udp_port=port
        ) as fleet:
            assert not fleet.hears_broadcasts
        assert "will hear no broadcast" in caplog.text


async def test_a_fleet_may_do_without_broadcasts():
    async with sim_maxsmart_fleet(
        2, first_host="127.0.0.70", http_port=0, udp_port=0, broadcast=False
    ) as fleet:
        assert not fleet.hears_broadcasts
        for sim in fleet.sims:
            assert sim.http_port is not None
            reply = await ask_http(REAL_NETWORK, sim.host, "/?cmd=502", sim.http_port)
            assert body_of(reply)["code"] == 200
