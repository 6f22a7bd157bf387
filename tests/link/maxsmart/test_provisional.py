"""Strips that keep silent about who they are: known by a makeshift, then for good."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import pytest

from structiot import Environment
from structiot.errors import DeviceReplaced
from structiot.maxsmart import maxsmart_device
from structiot.model import EntitiesChanged
from structiot.sim import Fault, FaultKind, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import HOST, SERIAL, bench, is_there

pytestmark = pytest.mark.virtual_time

SILENT = Fault(kind=FaultKind.DROP, on="discovery")


@asynccontextmanager
async def silent_bench(family: str = "mh_strip_130", **options):
    """Open a strip that answers everything but the question who it is."""
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.always(SILENT)
        async with maxsmart_device(
            HOST, environment=Environment(network=network), **options
        ) as strip:
            yield sim, strip


async def test_a_strip_that_tells_its_serial_is_known_for_good():
    async with bench() as at:
        assert (at.strip.info.id, at.strip.info.is_provisional) == (SERIAL, False)


async def test_a_silent_strip_is_known_by_its_address_until_it_has_told():
    async with silent_bench() as (sim, strip):
        assert (strip.info.id, strip.info.is_provisional) == (HOST, True)
        async with strip.events() as events:
            await anyio.sleep(31)
            sim.faults.clear()
            async for event in events:
                is_known = not strip.info.is_provisional
                if isinstance(event, EntitiesChanged) and is_known:
                    break
            assert anyio.current_time() < 80
        info = strip.info
        assert (info.id, info.is_provisional, info.serial) == (SERIAL, False, SERIAL)
        assert info.name == sim.name
        assert (await strip.get_data()).device == SERIAL


async def test_a_silent_strip_is_asked_less_and_less_often():
    async with silent_bench(identify_s=300) as (sim, strip):
        async with strip.readings():
            await anyio.sleep(3600)
            asked = [r.at_utc for r in sim.requests if r.channel == "discovery"]
        rounds = [
            (later - earlier).total_seconds()
            for earlier, later in pairwise(asked)
            if (later - earlier).total_seconds() > 2
        ]
        assert rounds[0] < 15
        assert rounds == sorted(rounds)
        assert 290 < rounds[-1] < 310
        assert strip.info.is_provisional


async def test_an_identity_that_the_user_gives_is_never_provisional():
    async with silent_bench(device_id="kitchen-strip") as (sim, strip):
        assert (strip.info.id, strip.info.is_provisional) == ("kitchen-strip", False)
        sim.faults.clear()
        async with strip.readings():
            await anyio.sleep(60)
        assert (strip.info.id, strip.info.serial) == ("kitchen-strip", SERIAL)


async def test_a_serial_among_the_data_is_as_good_as_one_that_is_told():
    network = MemoryNetwork()

    def named(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "sn": SERIAL}).encode()

    async with sim_maxsmart(
        HOST,
        family="revogi_349",
        serial=SERIAL,
        environment=Environment(network=network),
    ) as sim:
        sim.faults.always(SILENT)
        sim.faults.always(Fault(kind=FaultKind.CHANGE, on="511", change=named))
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert (strip.info.id, strip.info.is_provisional) == (SERIAL, False)
            sim.faults.clear()
            async with strip.readings():
                await anyio.sleep(30)
            # The names are not forgotten over it.
            assert strip.info.firmware == "3.49"


async def test_another_device_in_the_place_of_a_silent_one_is_told_by_its_cpu():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as first:
        first.faults.always(SILENT)
        async with (
            maxsmart_device(HOST, environment=Environment(network=network)) as strip,
            strip.readings(),
        ):
            await anyio.sleep(30)
            await first.unplug()
            async with sim_maxsmart(
                HOST,
                serial="SWP6000000000077",
                environment=Environment(network=network),
            ) as other:
                await anyio.sleep(60)
                assert not is_there(strip)
                with pytest.raises(DeviceReplaced, match="CPU"):
                    await strip.turn_off(1)
                assert set(other.ports.values()) == {True}
                assert strip.info.is_provisional
