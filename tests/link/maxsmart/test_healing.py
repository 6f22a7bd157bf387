"""Strips that go away and come back, and addresses at which another one answers."""

from __future__ import annotations

import itertools
import logging

import anyio
import pytest

from structiot.errors import ReplyTimeout, TransportError
from structiot.model import Availability
from tests.link.maxsmart.strips import Bench, bench, is_there, waiting

pytestmark = pytest.mark.virtual_time


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


@pytest.mark.parametrize(
    ("family", "reason"), [("mh_strip_130", "refused"), ("revogi_511", "no reply")]
)
async def test_an_hour_away_is_one_line_when_it_goes_and_one_when_it_is_back(
    caplog, family, reason
):
    caplog.set_level(logging.INFO, logger="structiot.maxsmart")
    async with bench(family, sim={"name": "Desk"}) as b, b.strip.readings() as readings:
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
    assert reason in why
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


async def test_delays_begin_anew_after_an_absence():
    async with bench() as b, b.strip.events():
        for _ in range(3):
            await b.sim.unplug()
            await anyio.sleep(400)
            await b.sim.plug_in()
            await anyio.sleep(70)
            assert is_there(b.strip)
            await b.sim.unplug()
            # The rest of a period, what the questions take, and two short delays.
            await anyio.sleep(5 + 3 * 1.5 + 1 + 1.5)
            assert not is_there(b.strip)
            await b.sim.plug_in()
            await anyio.sleep(10)


async def test_a_command_that_fails_is_followed_by_a_poll_at_once():
    async with bench(poll_s=60.0) as b, b.strip.events():
        await anyio.sleep(1)
        b.sim.faults.drop_next(2, on="200")
        with pytest.raises(ReplyTimeout):
            await b.strip.turn_off(1)
        polls = b.polls
        await anyio.sleep(0.1)
        assert b.polls == polls + 1


async def test_who_begins_to_read_while_the_strip_is_away_is_given_nothing_old():
    async with bench() as b, b.strip.events():
        await anyio.sleep(1)
        await b.sim.unplug()
        await anyio.sleep(60)
        async with b.strip.readings() as readings:
            assert await waiting(readings) == []
