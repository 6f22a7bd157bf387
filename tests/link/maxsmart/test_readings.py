"""Readings: one poll on the wire for all, on a grid, quicker after a command."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from structiot import Environment
from structiot.maxsmart import maxsmart_device
from structiot.model import (
    Availability,
    DeviceEvent,
    EntitiesChanged,
    Reading,
    State,
    StateChange,
)
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import HOST, Bench, WallClock, bench, waiting

pytestmark = pytest.mark.virtual_time


def poll_times(b: Bench, since: float) -> list[float]:
    """Give when the strip was polled, in seconds from `since`."""
    clock_start = b.sim.clock.now_s() - anyio.current_time()
    return [
        round(request.at_utc.timestamp() - clock_start - since, 3)
        for request in b.sim.requests
        if request.number in {511, 90}
    ]


def states(events: list[DeviceEvent]) -> dict[str, State | None]:
    return {e.key: e.state for e in events if isinstance(e, StateChange)}


async def take(readings: AsyncIterator[Reading], count: int) -> list[Reading]:
    return [await anext(readings) for _ in range(count)]


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211", "revogi_511"])
async def test_each_poll_gives_one_reading_a_port(family):
    async with bench(family, sim={"loads": [5.2, 0, 0, 0, 61.4, 0]}) as b:
        async with b.strip.readings() as readings:
            found = await take(readings, 12)
        assert [reading.port for reading in found] == [*range(1, 7)] * 2
        assert [reading.power_w for reading in found[:6]] == [5.2, 0, 0, 0, 61.4, 0]
        assert {reading.device for reading in found} == {b.sim.serial}
        assert all(reading.is_on for reading in found)
        assert found[4].current_a == pytest.approx(61.4 / 230, abs=0.01)
        assert found[0].voltage_v is None
        assert found[0].energy_wh is None


async def test_readings_are_stamped_with_the_time_at_which_they_were_read():
    clock = WallClock()
    async with bench(clock=clock) as b, b.strip.readings() as readings:
        first = await anext(readings)
        assert first.at_utc == clock.utc()
        await take(readings, 5)
        later = await anext(readings)
        assert (later.at_utc - first.at_utc).total_seconds() == pytest.approx(5.0)


async def test_nobody_polls_while_nobody_watches():
    async with bench() as b:
        polls = b.polls
        await anyio.sleep(3600)
        assert b.polls == polls
        async with b.strip.readings() as readings:
            await anext(readings)
        polls = b.polls
        await anyio.sleep(3600)
        assert b.polls == polls


async def test_the_first_poll_is_at_once_and_the_others_do_not_drift():
    async with bench(identify_s=1e6) as b:
        await anyio.sleep(100.5)
        b.sim.faults.delay_s = 0.4
        since = anyio.current_time()
        async with b.strip.readings():
            await anyio.sleep(3600.9)
        times = [when for when in poll_times(b, since) if when >= 0]
        assert times == [5.0 * n for n in range(721)]


async def test_a_command_is_followed_by_four_quick_polls():
    async with bench() as b, b.strip.readings():
        await anyio.sleep(6)
        since = anyio.current_time()
        await b.strip.turn_off(1)
        await anyio.sleep(19.5)
        times = [when for when in poll_times(b, since) if when >= 0]
        assert times == [0, 2, 4, 6, 8, 13, 18]


async def test_pace_and_burst_can_be_set():
    async with (
        bench(poll_s=60.0, burst_s=0.5, burst_polls=2) as b,
        b.strip.readings(),
    ):
        await anyio.sleep(70)
        since = anyio.current_time()
        await b.strip.turn_off(1)
        await anyio.sleep(62)
        times = [when for when in poll_times(b, since) if when >= 0]
        assert times == [0, 0.5, 1, 61]


async def test_what_a_command_reads_back_reaches_who_watches():
    async with bench() as b, b.strip.readings() as readings:
        await take(readings, 6)
        await b.strip.turn_off(3)
        found = await take(readings, 6)
        assert [reading.is_on for reading in found] == [True, True, False, *[True] * 3]


async def test_any_number_of_consumers_share_one_poll():
    async with bench() as b:
        polls = b.polls
        seen: list[int] = []

        async def consume() -> None:
            async with b.strip.readings() as readings:
                seen.append(len(await take(readings, 18)))

        async with anyio.create_task_group() as tg:
            for _ in range(20):
                tg.start_soon(consume)
        assert seen == [18] * 20
        # Those that came while the first poll was under way began with the data
        # of the opening, so that nobody needed a fourth poll.
        assert b.polls - polls == 3


async def test_a_later_consumer_is_given_the_latest_readings_at_once():
    async with bench() as b, b.strip.readings() as first:
        await take(first, 6)
        await anyio.sleep(2)
        polls, now = b.polls, anyio.current_time()
        async with b.strip.readings() as second:
            found = await take(second, 6)
        assert (b.polls, anyio.current_time()) == (polls, now)
        assert [reading.port for reading in found] == [*range(1, 7)]


async def test_a_slow_consumer_loses_the_oldest_and_nobody_waits_for_it():
    async with (
        bench() as b,
        b.strip.readings(max_items=6) as slow,
        b.strip.readings(max_items=600) as quick,
    ):
        await anyio.sleep(50.5)
        assert slow.dropped > 0
        assert quick.dropped == 0
        newest = await take(slow, 6)
        everything = await take(quick, len(quick))
        assert newest == everything[-6:]


async def test_data_asked_for_by_hand_reach_who_watches():
    async with bench() as b, b.strip.readings() as readings:
        await take(readings, 6)
        await anyio.sleep(1)
        data = await b.strip.get_data()
        assert tuple(await take(readings, 6)) == data.readings


async def test_iterators_end_with_the_strip():
    async with anyio.create_task_group() as tg:
        ended = anyio.Event()

        async def consume(b: Bench) -> None:
            async with b.strip.readings() as readings, b.strip.events() as events:
                async for _ in readings:
                    pass
                async for _ in events:
                    pass
                ended.set()

        async with bench() as b:
            tg.start_soon(consume, b)
            await anyio.sleep(12)
        await ended.wait()


async def test_a_block_that_ends_as_a_poll_is_due_ends_quietly():
    # Whether the poll or the block comes first is up to the backend.
    for _ in range(20):
        async with bench() as b, b.strip.readings():
            await anyio.sleep(5)


# ---------------------------------------------------------------- events


async def test_events_begin_with_availability_and_every_state():
    async with bench(sim={"loads": [5.2, 0, 0, 0, 61.4, 0]}) as b:
        async with b.strip.events() as events:
            found = [await anext(events) for _ in range(27)]
        assert isinstance(found[0], Availability)
        assert found[0].is_available
        told = states(found)
        assert set(told) == {entity.key for entity in b.strip.entities}
        assert told["port_1"] is True
        assert told["port_5_power"] == 61.4
        assert told["total_power"] == pytest.approx(66.6)


async def test_only_what_changes_is_told():
    async with bench(sim={"loads": [5.0] * 6}) as b, b.strip.events() as events:
        await waiting(events)
        await anyio.sleep(60)
        assert await waiting(events) == []
        await b.strip.turn_off(2)
        assert states(await waiting(events)) == {
            "port_2": False,
            "port_2_power": 0.0,
            "port_2_current": 0.0,
            "total_power": 25.0,
        }


async def test_a_button_pressed_on_the_strip_is_told_at_the_next_poll():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        await anyio.sleep(1)
        await b.sim.press(4)
        with anyio.fail_after(4.5):
            async for event in events:
                if isinstance(event, StateChange) and event.key == "port_4":
                    assert event.state is False
                    break


async def test_whoever_is_slow_with_events_misses_what_was_but_not_what_is():
    async with bench() as b, b.strip.events() as events:
        for _ in range(20):
            await b.strip.turn_off(1)
            await b.strip.turn_on(1)
        await b.strip.turn_off(1)
        told = states(await waiting(events))
        assert len(told) == 26
        assert told["port_1"] is False


async def test_power_that_is_not_reported_any_more_is_none():
    async with bench(sim={"loads": [5.0] * 6}) as b, b.strip.events() as events:
        await waiting(events)
        b.sim.faults.lie_next("watt_null", on="511")
        await b.strip.get_data()
        expected = {"port_1_power": None, "total_power": None}
        assert states(await waiting(events)) == expected


async def test_current_that_begins_to_be_reported_adds_entities():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.lie_next("amp_missing", on="511")
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert not any("current" in entity.key for entity in strip.entities)
            async with strip.events() as events:
                async for event in events:
                    if isinstance(event, EntitiesChanged):
                        break
            assert any("current" in entity.key for entity in strip.entities)
