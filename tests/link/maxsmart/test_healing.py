"""Strips that go away and come back, and addresses at which another one answers."""

from __future__ import annotations

import itertools
import logging
from contextlib import AsyncExitStack

import anyio
import pytest

from structiot._kit.memory_network import MemoryNetwork
from structiot.errors import ReplyTimeout, TransportError
from structiot.maxsmart import DeviceReplaced, maxsmart_device
from structiot.model import Availability, EntitiesChanged
from structiot.sim import FAMILIES, sim_maxsmart
from tests.link.maxsmart.strips import HOST, SERIAL, Bench, bench, is_there, waiting

pytestmark = pytest.mark.virtual_time

OTHER = "SWP6000000000077"


class Diary:
    """Notes when a strip was told to be there or not."""

    def __init__(self, b: Bench) -> None:
        self.entries: list[tuple[float, bool, str]] = []
        self._b = b

    async def write(self) -> None:
        async with self._b.strip.events() as events:
            async for event in events:
                if isinstance(event, Availability):
                    now = anyio.current_time()
                    self.entries.append((now, event.is_available, event.reason))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.INFO and "maxsmart" in record.name
    ]


async def test_an_hour_away_is_one_line_when_it_goes_and_one_when_it_is_back(caplog):
    caplog.set_level(logging.INFO, logger="structiot.maxsmart")
    async with bench(sim={"name": "Desk"}) as b, b.strip.readings() as readings:
        async with anyio.create_task_group() as tg:
            diary = Diary(b)
            tg.start_soon(diary.write)
            await anyio.sleep(12)
            await b.sim.unplug()
            gone_at = anyio.current_time()
            await anyio.sleep(3600)
            await b.sim.plug_in()
            back_at = anyio.current_time()
            while len(readings):
                await anext(readings)
            with anyio.fail_after(90):
                await anext(readings)
            await anyio.sleep(0.1)
            tg.cancel_scope.cancel()
    _, (away, is_away, why), (back, is_back, _) = diary.entries
    assert (is_away, is_back) == (False, True)
    assert gone_at < away < gone_at + 15
    assert "refused" in why
    assert back_at < back < back_at + 61
    went, came = lines(caplog)
    assert went.startswith("Desk (127.0.0.2) is away: ")
    assert came.startswith("Desk (127.0.0.2) is back after 3")


async def test_one_failed_poll_is_no_absence_and_is_repeated_soon():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        await anyio.sleep(1)
        b.sim.faults.hang_up_next(on="511")
        polls = b.polls
        await anyio.sleep(2.5)
        assert b.polls == polls
        await anyio.sleep(5)
        assert b.polls == polls + 2
        assert is_there(b.strip)


async def test_the_delays_between_retries_grow_up_to_a_minute():
    async with bench() as b, b.strip.events():
        await anyio.sleep(1)
        b.sim.faults.hang_up_next(10_000, on="511")
        b.sim.requests.clear()
        await anyio.sleep(900)
        asked = [r.at_utc.timestamp() for r in b.sim.requests if r.number == 511]
        gaps = [after - before for before, after in itertools.pairwise(asked)]
        assert gaps[0] <= 1.0
        assert max(gaps) <= 61.5
        assert all(gap > 40 for gap in gaps[12:])
        assert len(asked) < 30


async def test_a_strip_that_accepts_and_says_nothing_is_away():
    async with bench() as b, b.strip.events():
        await anyio.sleep(1)
        b.sim.faults.is_silent = True
        await anyio.sleep(20)
        assert not is_there(b.strip)
        b.sim.faults.is_silent = False
        await anyio.sleep(20)
        assert is_there(b.strip)


async def test_a_command_to_a_strip_that_is_away_fails_and_hurries_the_next_poll():
    async with bench() as b, b.strip.events():
        await anyio.sleep(1)
        await b.sim.unplug()
        await anyio.sleep(600)
        with pytest.raises(TransportError):
            await b.strip.turn_on(1)
        await b.sim.plug_in()
        await b.strip.turn_off(1)
        assert is_there(b.strip)
        assert b.sim.ports[1] is False


async def test_a_reboot_restores_what_is_told():
    async with bench() as b, b.strip.events() as events:
        await b.strip.turn_off(2)
        await b.sim.reboot(60.0)
        await anyio.sleep(30)
        told = [e for e in await waiting(events) if isinstance(e, Availability)]
        assert told[-1].is_available
        assert await b.strip.check_state(2) is False


# ---------------------------------------------------------------- who it is


async def test_another_device_at_the_address_is_never_taken_for_the_strip():
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            sim_maxsmart(HOST, serial=SERIAL, loads=[10.0] * 6, network=network)
        )
        strip = await stack.enter_async_context(maxsmart_device(HOST, network=network))
        readings = await stack.enter_async_context(strip.readings())
        await anyio.sleep(7)
        await first.unplug()
        async with sim_maxsmart(
            HOST, serial=OTHER, loads=[99.0] * 6, network=network
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
            sim_maxsmart(HOST, family=family, loads=[loads[0]] * 6, network=network)
        )
        strip = await stack.enter_async_context(maxsmart_device(HOST, network=network))
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
                network=network,
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
            sim_maxsmart(HOST, serial=SERIAL, network=network)
        )
        strip = await stack.enter_async_context(maxsmart_device(HOST, network=network))
        await anyio.sleep(61)
        await strip.turn_off(1)
        await first.unplug()
        async with sim_maxsmart(HOST, serial=OTHER, network=network) as other:
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
    async with sim_maxsmart(HOST, serial=SERIAL, network=network) as sim:
        sim.faults.is_serial_corrupted = True
        async with maxsmart_device(HOST, network=network) as strip:
            assert strip.info.serial is None
            assert strip.info.id == strip.info.mac
            await strip.turn_off(1)
            assert sim.ports[1] is False


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
    async with sim_maxsmart(HOST, serial=SERIAL, network=network) as sim:
        sim.faults.drop_next(3, on="discovery")
        async with (
            maxsmart_device(HOST, network=network) as strip,
            strip.events() as events,
        ):
            assert strip.info.id == HOST
            sim.faults.hang_up_next(4, on="511")
            await anyio.sleep(60)
            assert is_there(strip)
            # It has said so meanwhile, but keeps the id it was opened with.
            assert strip.info.serial == SERIAL
            assert strip.info.id == HOST
            assert EntitiesChanged in map(type, await waiting(events))


async def test_new_names_are_told():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        b.sim._strip.port_names[0] = "Kettle"
        await anyio.sleep(310)
        assert EntitiesChanged in map(type, await waiting(events))
        assert b.strip.info.port_names[0] == "Kettle"
        assert b.strip.entities[0].name == "Kettle"
