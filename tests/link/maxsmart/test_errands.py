"""Clock, identifiers, health, and what a firmware cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    DeviceReplaced,
    ReplyTimeout,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart import CAPABILITIES, StripHealth
from structiot.maxsmart.wire.messages import (
    HttpNumber,
)
from structiot.sim import FAMILIES, sim_maxsmart
from tests.link.maxsmart.strips import (
    HOST,
    HTTP_FAMILIES,
    SERIAL,
    V3_FAMILIES,
    WallClock,
    at,
    bench,
    is_there,
)

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- capabilities


async def test_capabilities_are_data():
    async with bench() as b:
        assert dict(b.strip.capabilities) == dict.fromkeys(CAPABILITIES, True)
    async with bench("revogi_511") as b:
        assert dict(b.strip.capabilities) == dict.fromkeys(CAPABILITIES, False)
        with pytest.raises(UsageError, match="no capability 'flying'"):
            b.strip.supports("flying")  # type: ignore[arg-type]


async def test_what_nobody_knows_is_tried_and_remembered():
    async with bench("mh_strip_211") as b:
        assert b.strip.supports("statistics") is None
        assert b.strip.supports("clock") is None
        with pytest.raises(UnsupportedDevice):
            await b.strip.get_statistics()
        await b.strip.get_device_time()
        assert b.strip.supports("statistics") is False
        assert b.strip.supports("clock") is True
        asked = len(b.asked(HttpNumber.STATISTICS))
        with pytest.raises(UnsupportedDevice):
            await b.strip.get_statistics()
        assert len(b.asked(HttpNumber.STATISTICS)) == asked


@pytest.mark.parametrize("family", ["revogi_349", *V3_FAMILIES])
async def test_what_is_known_not_to_work_is_refused_before_anything_is_sent(family):
    async with bench(family) as b:
        sent = len(b.sim.requests)
        with pytest.raises(
            UnsupportedDevice, match=r"known to have them: firmware 1\.30$"
        ) as e:
            await b.strip.get_statistics()
        assert e.value.firmware == FAMILIES[family].firmware
        assert e.value.model == b.strip.info.model
        assert e.value.supported == ("1.30",)
        assert len(b.sim.requests) == sent


async def test_an_owner_who_knows_better_is_believed():
    family = replace(FAMILIES["revogi_349"], statistics="yes")
    async with bench(family, assume_supported=["statistics"]) as b:
        assert b.strip.supports("statistics") is True
        assert (await b.strip.get_statistics()).points
    with pytest.raises(UsageError, match="no capability 'flying'"):
        async with bench(assume_supported=["flying"]):
            pass


async def test_a_firmware_that_says_nothing_to_unknown_commands_lacks_them_too():
    async with bench("mh_strip_211") as b:
        b.sim.faults.drop_next(2, on="510")
        with pytest.raises(UnsupportedDevice):
            await b.strip.get_statistics()
        # Requests do get lost: that is not remembered.
        assert b.strip.supports("statistics") is None


async def test_a_device_that_is_silent_altogether_lacks_nothing():
    async with bench("mh_strip_211") as b:
        b.sim.faults.drop_next(9)
        with pytest.raises(ReplyTimeout):
            await b.strip.get_statistics()
        assert b.strip.supports("statistics") is None


async def test_a_lost_request_is_sent_once_more_and_silence_is_a_timeout():
    async with bench() as b:
        b.sim.faults.drop_next(1, on="510")
        assert (await b.strip.get_statistics()).points
        b.sim.faults.drop_next(2, on="510")
        with pytest.raises(ReplyTimeout):
            await b.strip.get_statistics()
        assert b.strip.supports("statistics") is True


# ---------------------------------------------------------------- clock


@pytest.mark.parametrize("family", HTTP_FAMILIES)
async def test_the_clock_is_set_to_local_time_and_shown(family):
    async with bench(family) as b:
        b.sim.set_local_time(at(2001, 1, 1))
        assert await b.strip.get_device_time() == at(2001, 1, 1)
        assert await b.strip.set_device_time() == at(2024, 5, 1, 13, 45, 10)
        asked = [r.data for r in b.sim.requests if r.channel == "discovery"]
        assert asked == [b"00dv=all,2024-05-01,13:45:10,14;"] * 2


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_a_clock_that_cannot_be_read_can_be_set(family):
    async with bench(family) as b:
        b.sim.set_local_time(at(2001, 1, 1))
        assert await b.strip.set_device_time() is None
        assert b.sim.local_time() == at(2024, 5, 1, 13, 45, 10)
        with pytest.raises(UnsupportedDevice, match=r"firmware 1\.30, 3\.36$"):
            await b.strip.get_device_time()


async def test_a_device_that_does_not_say_who_it_is_sets_no_clock():
    async with bench() as b:
        b.sim.faults.drop_next(9, on="discovery")
        with pytest.raises(ReplyTimeout, match="does not say who it is"):
            await b.strip.set_device_time()


async def test_a_clock_of_this_machine_that_jumps_moves_stamps_and_nothing_else():
    clock = WallClock()
    async with bench(clock=clock) as b, b.strip.readings() as readings:
        first = await anext(readings)
        for jump in (timedelta(days=-400), timedelta(days=800)):
            clock.start += jump
            polls = b.polls
            await anyio.sleep(62)
            assert b.polls - polls in {12, 13}
            assert is_there(b.strip)
        latest = [reading async for reading in _buffered(readings)][-1]
        assert (latest.at_utc - first.at_utc) > timedelta(days=399)


async def _buffered(readings):
    while len(readings):
        yield readings.receive_nowait()


# ---------------------------------------------------------------- identifiers


async def test_identifiers_come_in_the_order_of_trust():
    async with bench() as b:
        found = await b.strip.get_device_identifiers()
        assert [one.kind for one in found.ranked] == [
            "cpu_id",
            "mac",
            "serial",
            "address",
        ]
        assert found.serial == SERIAL
        assert found.mac == b.strip.info.mac
        assert found.host == HOST
        assert found.server == "www.maxsmart.ch"
        assert found.plc_mac is not None
        assert found.plc_key is not None
        assert found.plc_key.reveal() not in repr(found)


@pytest.mark.parametrize("family", ["cocoso_106", "revogi_336", *V3_FAMILIES])
async def test_identifiers_are_what_there_is_where_the_firmware_tells_less(family):
    async with bench(family) as b:
        found = await b.strip.get_device_identifiers()
        assert found.cpu_id is None
        assert found.best.kind == "mac"
        assert found.serial == b.sim.serial


async def test_identifiers_of_another_device_are_not_mixed_with_those_of_the_first():
    async with bench() as b:
        await b.strip.get_device_identifiers()
        await b.sim.unplug()
        async with sim_maxsmart(
            HOST, environment=Environment(network=b.network), serial="SWP6000000000099"
        ):
            with pytest.raises(DeviceReplaced, match="CPU"):
                await b.strip.get_device_identifiers()
            assert not is_there(b.strip)
        await b.sim.plug_in()
        assert (await b.strip.get_device_identifiers()).serial == SERIAL
        assert is_there(b.strip)


# ---------------------------------------------------------------- health


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_healthy_strip_says_how_quick_it_is(family):
    async with bench(family) as b:
        b.sim.faults.delay_s = 0.25
        health = await b.strip.health_check()
        assert health == StripHealth(
            is_reachable=True,
            latency_s=health.latency_s,
            transport="http" if FAMILIES[family].has_http else "udp_v3",
            is_polled=False,
            name=b.sim.name,
            host=HOST,
            firmware=FAMILIES[family].firmware,
            error=None,
        )
        assert health.latency_s == pytest.approx(0.25, abs=0.01)


async def test_a_strip_that_is_gone_is_told_and_not_raised():
    async with bench() as b, b.strip.readings():
        await anyio.sleep(1)
        await b.sim.unplug()
        health = await b.strip.health_check()
        assert (health.is_reachable, health.latency_s) == (False, None)
        assert health.is_polled
        assert health.error
        await b.sim.plug_in()
        await anyio.sleep(10)
        assert (await b.strip.health_check()).is_reachable


async def test_another_device_in_its_place_is_not_healthy():
    async with bench() as b:
        await anyio.sleep(120)
        await b.sim.unplug()
        async with sim_maxsmart(
            HOST, environment=Environment(network=b.network), serial="SWP6000000000099"
        ):
            health = await b.strip.health_check()
            assert not health.is_reachable
            assert "another device answers" in (health.error or "")


async def test_nothing_is_asked_of_a_strip_whose_block_has_ended():
    async with bench() as b:
        strip = b.strip
    for call in (
        strip.get_statistics(),
        strip.retrieve_port_names(),
        strip.change_port_name(1, "Lamp"),
        strip.get_device_time(),
        strip.set_device_time(),
        strip.get_device_identifiers(),
        strip.health_check(),
    ):
        with pytest.raises(UsageError, match="closed"):
            await call
