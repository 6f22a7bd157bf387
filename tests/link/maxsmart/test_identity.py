"""Addresses at which another device answers: never its data under the old name."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    DeviceReplaced,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
)
from structiot.maxsmart import maxsmart_device
from structiot.maxsmart.link.strip import replaced
from structiot.maxsmart.wire.messages import HttpNumber, Request
from structiot.model import Availability, EntitiesChanged
from structiot.sim import FAMILIES, Fault, FaultKind, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import HOST, SERIAL, bench, is_there, waiting

pytestmark = pytest.mark.virtual_time

OTHER = "SWP6000000000077"


async def test_another_device_at_the_address_is_never_taken_for_the_strip():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(
                HOST,
                serial=SERIAL,
                loads=[10.0] * 6,
                environment=Environment(network=network),
            )
        )
        strip = await stack.enter_async_context(
            maxsmart_device(HOST, environment=Environment(network=network))
        )
        readings = await stack.enter_async_context(strip.readings())
        await anyio.sleep(7)
        await first.unplug()
        async with sim_maxsmart(
            HOST,
            serial=OTHER,
            loads=[99.0] * 6,
            environment=Environment(network=network),
        ) as other:
            # Away for 3 s: two polls would have shown nothing.
            await anyio.sleep(200)
            assert not is_there(strip)
            with pytest.raises(DeviceReplaced) as caught:
                await strip.turn_off(1)
            assert (caught.value.expected, caught.value.found) == (SERIAL, OTHER)
            assert caught.value.host == HOST
            assert other.ports[1] is True
        await first.plug_in()
        await anyio.sleep(90)
        assert is_there(strip)
        powers = {(await anext(readings)).power_w for _ in range(len(readings))}
        assert powers == {10.0}
        await strip.turn_off(1)
        assert first.ports[1] is False


def test_what_stands_in_the_place_of_a_serial_is_cut_in_the_error():
    assert len(str(replaced(HOST, SERIAL, 60_000 * "9"))) < 200


async def replaced_at_once(
    family: str,
    *,
    by: str | None = None,
    loads: tuple[float, float] = (10.0, 10.0),
    presses: int | None = None,
) -> tuple[float, list[float | None], str]:
    """Put another strip in the place of one that is polled, between two polls.

    Returns:
        After how many seconds that was found out, what power was told meanwhile, and
        the reason given.
    """
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(
                HOST,
                family=family,
                loads=[loads[0]] * 6,
                environment=Environment(network=network),
            )
        )
        strip = await stack.enter_async_context(
            maxsmart_device(HOST, environment=Environment(network=network))
        )
        readings = await stack.enter_async_context(strip.readings())
        events = await stack.enter_async_context(strip.events())
        await anyio.sleep(7)
        await first.unplug()
        await waiting(readings)
        ports = FAMILIES[by or family].ports
        other = await stack.enter_async_context(
            sim_maxsmart(
                HOST,
                family=by or family,
                serial=OTHER,
                loads=[loads[1]] * ports,
                environment=Environment(network=network),
            )
        )
        if presses is not None:
            await other.press(presses)
        since = anyio.current_time()
        async for event in events:
            if isinstance(event, Availability) and not event.is_available:
                after_s = anyio.current_time() - since
                powers = [reading.power_w for reading in await waiting(readings)]
                return after_s, powers, event.reason
    raise AssertionError


@pytest.mark.parametrize("by", ["mh_plug_130", "mh_strip_211", "revogi_349"])
async def test_data_of_another_kind_are_not_given_out_even_once(by):
    after_s, powers, reason = await replaced_at_once("mh_strip_130", by=by)
    assert after_s < 5
    assert powers == []
    assert OTHER in reason


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211", "revogi_511"])
async def test_switches_that_nobody_moved_make_it_say_who_it_is(family):
    after_s, powers, reason = await replaced_at_once(family, presses=3)
    assert after_s < 5
    assert powers == []
    assert OTHER in reason


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211"])
async def test_power_that_jumps_makes_it_say_who_it_is(family):
    after_s, powers, _ = await replaced_at_once(family, loads=(10.0, 99.0))
    assert after_s < 5
    assert powers == []


@pytest.mark.parametrize(
    ("family", "within_s"), [("mh_strip_130", 31), ("revogi_511", 305)]
)
async def test_its_twin_is_found_out_in_time(family, within_s):
    after_s, _, reason = await replaced_at_once(family)
    assert after_s < within_s
    assert OTHER in reason


async def test_a_command_after_a_long_silence_asks_first_who_it_is():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(HOST, serial=SERIAL, environment=Environment(network=network))
        )
        strip = await stack.enter_async_context(
            maxsmart_device(HOST, environment=Environment(network=network))
        )
        await anyio.sleep(61)
        await strip.turn_off(1)
        await first.unplug()
        async with sim_maxsmart(
            HOST, serial=OTHER, environment=Environment(network=network)
        ) as other:
            await anyio.sleep(61)
            with pytest.raises(DeviceReplaced):
                await strip.turn_off(2)
            assert set(other.ports.values()) == {True}


async def test_a_serial_that_is_garbled_now_and_then_harms_nothing():
    async with bench() as b, b.strip.events():
        b.sim.faults.is_serial_corrupted = True
        await anyio.sleep(1000)
        assert is_there(b.strip)
        assert b.strip.info.serial == SERIAL
        assert b.questions >= 4


async def test_a_serial_that_is_garbled_at_first_is_replaced_by_the_mac():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.is_serial_corrupted = True
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert strip.info.serial is None
            assert strip.info.id == strip.info.mac
            await strip.turn_off(1)
            assert sim.ports[1] is False


async def test_a_serial_that_is_garbled_for_a_moment_is_asked_for_again():
    network = MemoryNetwork()

    def garbled(content: bytes) -> bytes:
        return content.replace(SERIAL.encode(), rb"\u0001\u0002")

    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.add(
            Fault(kind=FaultKind.CHANGE, on="discovery", change=garbled), times=2
        )
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert (strip.info.id, strip.info.serial) == (SERIAL, SERIAL)
            assert anyio.current_time() < 0.1


async def test_after_an_absence_data_count_only_with_a_name_to_them():
    async with bench() as b, b.strip.events():
        b.sim.faults.drop_next(100_000, on="discovery")
        await anyio.sleep(1000)
        # As long as it answers polls, its name may get lost on the way.
        assert is_there(b.strip)
        b.sim.faults.hang_up_next(3, on="511")
        await anyio.sleep(100)
        assert not is_there(b.strip)
        with pytest.raises(ReplyTimeout, match="does not say who it is"):
            await b.strip.turn_on(1)
        b.sim.faults.clear()
        await anyio.sleep(61)
        assert is_there(b.strip)


async def test_a_strip_that_never_said_who_it_is_is_believed():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.drop_next(3, on="discovery")
        async with (
            maxsmart_device(HOST, environment=Environment(network=network)) as strip,
            strip.events() as events,
        ):
            assert strip.info.id == HOST
            sim.faults.hang_up_next(4, on="511")
            await anyio.sleep(60)
            assert is_there(strip)
            # It has said so meanwhile, and has its lasting id.
            assert isinstance(sim.requests[-1].asked, Request)
            assert sim.requests[-1].asked.serial == SERIAL
            assert strip.info.serial == SERIAL
            assert strip.info.id == SERIAL
            assert EntitiesChanged in map(type, await waiting(events))


async def test_new_names_are_told():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        b.sim.rename(1, "Kettle")
        await anyio.sleep(310)
        assert EntitiesChanged in map(type, await waiting(events))
        assert b.strip.info.port_names[0] == "Kettle"
        assert b.strip.entities[0].name == "Kettle"


async def test_the_cpu_id_vouches_for_a_strip_whose_discovery_is_blocked():
    async with bench() as b, b.strip.events():
        await anyio.sleep(60)
        b.sim.faults.drop_next(100_000, on="discovery")
        b.sim.faults.hang_up_next(3, on="511")
        await anyio.sleep(60)
        assert is_there(b.strip)
        assert b.asked(HttpNumber.IDENTIFIERS)


async def test_the_cpu_id_gives_away_another_strip_whose_discovery_is_blocked():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(
                HOST,
                serial=SERIAL,
                loads=[10.0] * 6,
                environment=Environment(network=network),
            )
        )
        strip = await stack.enter_async_context(
            maxsmart_device(HOST, environment=Environment(network=network))
        )
        await stack.enter_async_context(strip.events())
        await anyio.sleep(60)
        await first.unplug()
        async with sim_maxsmart(
            HOST,
            serial=OTHER,
            loads=[10.0] * 6,
            environment=Environment(network=network),
        ) as other:
            other.faults.drop_next(100_000, on="discovery")
            await anyio.sleep(60)
            with pytest.raises(DeviceReplaced, match="CPU") as caught:
                await strip.get_data()
            assert caught.value.expected == SERIAL


async def test_neither_serial_nor_cpu_id_is_no_identity():
    async with bench() as b, b.strip.events():
        await anyio.sleep(60)
        b.sim.faults.drop_next(100_000, on="discovery")
        b.sim.faults.hang_up_next(100_000, on="124")
        b.sim.faults.hang_up_next(3, on="511")
        await anyio.sleep(60)
        assert not is_there(b.strip)
        with pytest.raises(ReplyTimeout, match="discovery, CPU id"):
            await b.strip.get_data()


async def test_discovery_replies_that_cannot_be_read_are_no_identity():
    async with bench() as b:
        b.sim.faults.garble_next(100, on="discovery")
        b.sim.faults.hang_up_next(2, on="511")
        with pytest.raises(LinkLost):
            await b.strip.get_data()
        with pytest.raises(ReplyTimeout, match="does not say who it is"):
            await b.strip.get_data()


async def test_ports_that_vanish_from_the_same_strip_are_a_violation():
    def without_the_last(content: bytes) -> bytes:
        reply = json.loads(content)
        for name in ("switch", "watt", "amp"):
            reply["data"][name].pop()
        return json.dumps(reply).encode()

    async with bench() as b:
        b.sim.faults.change_next(without_the_last, on="511")
        with pytest.raises(ProtocolViolation, match="5 ports reported, 6 exist"):
            await b.strip.get_data()
        assert len((await b.strip.get_data()).is_on) == 6


async def test_a_strip_that_is_away_and_then_another_one_is_told_as_both():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(HOST, serial=SERIAL, environment=Environment(network=network))
        )
        strip = await stack.enter_async_context(
            maxsmart_device(HOST, environment=Environment(network=network))
        )
        events = await stack.enter_async_context(strip.events())
        await first.unplug()
        await anyio.sleep(60)
        async with sim_maxsmart(
            HOST, serial=OTHER, environment=Environment(network=network)
        ):
            (gone,) = [e for e in await waiting(events) if isinstance(e, Availability)]
            assert "refused" in gone.reason
            await anyio.sleep(60)
            (other,) = await waiting(events)
            assert isinstance(other, Availability)
            assert not other.is_available
            assert OTHER in other.reason


async def test_one_answer_with_another_serial_is_no_proof():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        b.sim.faults.change_next(
            lambda reply: reply.replace(SERIAL.encode(), OTHER.encode()),
            on="discovery",
        )
        await anyio.sleep(400)
        assert b.sim.faults.shown == 1
        assert Availability not in map(type, await waiting(events))


async def test_a_cpu_id_is_not_forgotten_for_answers_that_were_lost():
    async with bench(identify_s=60) as b, b.strip.readings():
        await anyio.sleep(50)
        b.sim.faults.drop_next(2, on="124")
        await anyio.sleep(100)
        asked = len(b.asked(HttpNumber.IDENTIFIERS))
        await anyio.sleep(600)
        # Every 30 s, and with each discovery.
        assert len(b.asked(HttpNumber.IDENTIFIERS)) - asked >= 20
