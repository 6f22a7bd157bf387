"""Which device is which: the same twice, found and listed, replaced by another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

SERIAL = "SWP6000000000001"
OTHER = "SWP6000000000002"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@asynccontextmanager
async def serving(network: MemoryNetwork, **section: Any) -> AsyncIterator[Gateway]:
    """Serve without a broker: what devices are called does not need one."""
    config = load_config({"maxsmart": section, "gateway": {"retry_max_s": 1}})
    async with open_gateway(
        config, environment=Environment(network=network)
    ) as gateway:
        yield gateway


def available(gateway: Gateway) -> set[str]:
    return {slug for slug, kept in gateway.devices.items() if kept.is_available}


async def test_nothing_to_serve_is_said(network, caplog):
    async with open_gateway(load_config({}), environment=Environment(network=network)):
        await anyio.sleep(1)
    assert "no system is configured: there is nothing to serve" in caplog.messages


async def test_what_is_listed_takes_over_from_what_was_found(network):
    listed = [{"host": "desk.local", "name": "Desk"}]
    async with (
        sim_maxsmart(
            "10.0.0.7", serial=SERIAL, environment=Environment(network=network)
        ) as sim,
        serving(network, discover_every_s=3600, devices=listed) as gateway,
    ):
        await anyio.sleep(30)
        assert available(gateway) == {f"maxsmart_{SERIAL.lower()}"}
        await sim.unplug()
        await sim.plug_in("desk.local")
        await anyio.sleep(30)
        assert available(gateway) == {"desk"}
        assert set(gateway.devices) == {"desk"}
        wanted = gateway.publisher.wanted
        assert not [topic for topic in wanted if SERIAL.lower() in topic]


async def test_what_is_found_gives_way_to_what_is_listed(network):
    # The search cannot know that both are one before the listed one was opened.
    listed = [{"host": "desk.local", "name": "Desk"}]
    async with (
        sim_maxsmart(
            "desk.local", serial=SERIAL, environment=Environment(network=network)
        ),
        serving(network, devices=listed) as gateway,
    ):
        await anyio.sleep(600)
        assert available(gateway) == {"desk"}
        assert set(gateway.devices) == {"desk"}


async def test_a_strip_without_a_name_that_is_replaced_takes_another_place(network):
    listed = [{"host": "10.0.0.7"}]
    async with serving(network, discover=False, devices=listed) as gateway:
        async with sim_maxsmart(
            "10.0.0.7", serial=SERIAL, environment=Environment(network=network)
        ):
            await anyio.sleep(30)
            (kept,) = gateway.devices.values()
            assert kept.slug == f"maxsmart_{SERIAL.lower()}"
        async with sim_maxsmart(
            "10.0.0.7", serial=OTHER, environment=Environment(network=network)
        ):
            await anyio.sleep(60)
            assert available(gateway) == {f"maxsmart_{OTHER.lower()}"}
            wanted = gateway.publisher.wanted
            old = f"structiot/maxsmart_{SERIAL.lower()}/availability"
            assert wanted[old] == "offline"


async def test_a_strip_with_a_name_that_is_replaced_keeps_its_place(network):
    listed = [{"host": "10.0.0.7", "name": "Desk"}]
    async with serving(network, discover=False, devices=listed) as gateway:
        async with sim_maxsmart(
            "10.0.0.7", serial=SERIAL, environment=Environment(network=network)
        ):
            await anyio.sleep(30)
            assert available(gateway) == {"desk"}
        async with sim_maxsmart(
            "10.0.0.7", serial=OTHER, environment=Environment(network=network)
        ):
            await anyio.sleep(60)
            assert available(gateway) == {"desk"}
            info = gateway.devices["desk"].info
            assert info is not None
            assert info.serial == OTHER


@pytest.mark.parametrize("discover", [False, True])
@pytest.mark.parametrize("order", [1, -1])
async def test_strips_that_swap_their_addresses_are_served_again(
    network, discover, order
):
    environment = Environment(network=network)
    listed = [
        {"host": "10.0.0.7", "name": "Desk"},
        {"host": "10.0.0.8", "name": "Sofa"},
    ]
    serials = (SERIAL, OTHER)

    def strip(host: str, serial: str) -> Any:
        return sim_maxsmart(host, serial=serial, environment=environment)

    options = {"discover": discover, "devices": listed[::order]}
    async with serving(network, **options) as gateway:
        async with strip("10.0.0.7", SERIAL), strip("10.0.0.8", OTHER):
            await anyio.sleep(60)
            assert available(gateway) == {"desk", "sofa"}
        async with strip("10.0.0.7", OTHER), strip("10.0.0.8", SERIAL):
            await anyio.sleep(300)
            assert available(gateway) == {"desk", "sofa"}
            infos = [gateway.devices[slug].info for slug in ("desk", "sofa")]
            told = tuple(info.serial for info in infos if info is not None)
            # With a search it is followed by its serial, else it is who is there.
            assert told == (serials if discover else serials[::-1])


async def test_a_strip_that_takes_the_address_of_one_that_is_gone_is_served(network):
    environment = Environment(network=network)
    listed = [
        {"host": "10.0.0.7", "name": "Desk"},
        {"host": "10.0.0.8", "name": "Sofa"},
    ]

    def strip(host: str, serial: str) -> Any:
        return sim_maxsmart(host, serial=serial, environment=environment)

    async with serving(network, discover=False, devices=listed) as gateway:
        async with strip("10.0.0.7", SERIAL), strip("10.0.0.8", OTHER):
            await anyio.sleep(60)
        async with strip("10.0.0.7", OTHER):
            await anyio.sleep(300)
            assert available(gateway) == {"desk"}
            info = gateway.devices["desk"].info
            assert info is not None
            assert info.serial == OTHER


async def test_the_same_strip_listed_twice_is_kept_once(network):
    listed = [{"host": "10.0.0.7", "name": "Desk"}, {"host": "a", "name": "Twice"}]
    async with (
        sim_maxsmart(
            "10.0.0.7", serial=SERIAL, environment=Environment(network=network)
        ) as one,
        sim_maxsmart("a", serial=SERIAL, environment=Environment(network=network)),
        serving(network, discover=False, devices=listed) as gateway,
    ):
        await anyio.sleep(30)
        assert len(available(gateway)) == 1
        (away,) = set(gateway.devices) - available(gateway)
        reason = gateway.devices[away].availability.reason
        assert reason.startswith("it is the same device as ")
        assert one.serial == SERIAL
