"""Changes: from a baseline, beyond a threshold, never for what is only missing."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.maxsmart import PowerChanged, StateChanged
from structiot.sim import FAMILIES, sim_maxsmart
from tests.link.maxsmart.strips import HOST, Bench, bench, is_there, waiting

pytestmark = pytest.mark.virtual_time

LOADS: dict[str, Any] = {"loads": [5.0, 0, 0, 0, 60.0, 0]}


def powers(
    changes: list[StateChanged | PowerChanged],
) -> list[tuple[int, float, float]]:
    return [
        (c.port, c.previous_w, c.power_w)
        for c in changes
        if isinstance(c, PowerChanged)
    ]


def states(changes: list[StateChanged | PowerChanged]) -> list[tuple[int, bool, bool]]:
    return [
        (c.port, c.previous, c.is_on) for c in changes if isinstance(c, StateChanged)
    ]


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_family_tells_changes_plugs_too(family):
    loads = [5.0, 60.0, 0, 0, 0, 0][: FAMILIES[family].ports]
    async with bench(family, sim={"loads": loads}) as b, b.strip.changes() as changes:
        await anyio.sleep(6)
        assert await waiting(changes) == []
        await b.sim.press(1)
        await anyio.sleep(5)
        power, state = await waiting(changes)
        assert power == PowerChanged(
            device=b.sim.serial,
            channel=1,
            power_w=0.0,
            previous_w=5.0,
            at_utc=power.at_utc,
        )
        assert power.change_w == -5.0
        assert state == StateChanged(
            device=b.sim.serial,
            channel=1,
            is_on=False,
            previous=True,
            at_utc=power.at_utc,
        )


async def test_the_first_poll_is_the_baseline():
    async with bench(sim=LOADS) as b:
        await anyio.sleep(30)
        b.sim.set_load(5, 99.0)
        async with b.strip.changes() as changes:
            await anyio.sleep(11)
            assert await waiting(changes) == []


async def test_a_command_right_after_the_strip_was_opened_is_a_change():
    async with bench("mh_plug_130") as b, b.strip.changes() as changes:
        await b.strip.turn_off(1)
        assert states(await waiting(changes)) == [(1, True, False)]


async def test_who_joins_others_starts_from_the_latest_data():
    async with bench(sim=LOADS) as b, b.strip.readings():
        await anyio.sleep(1)
        b.sim.set_load(5, 99.0)
        async with b.strip.changes() as changes:
            await anyio.sleep(6)
            assert powers(await waiting(changes)) == [(5, 60.0, 99.0)]


@pytest.mark.parametrize("step_w", [1.0, -1.0])
async def test_a_change_of_exactly_the_threshold_is_none(step_w):
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        b.sim.set_load(5, 60.0 + step_w)
        await anyio.sleep(6)
        assert await waiting(changes) == []
        b.sim.set_load(5, 60.0 + 1.01 * step_w)
        await anyio.sleep(6)
        assert powers(await waiting(changes)) == [(5, 60.0, 60.0 + 1.01 * step_w)]


async def test_power_that_creeps_is_told_when_it_has_crept_far_enough():
    async with bench(sim=LOADS) as b, b.strip.changes(min_power_w=1.0) as changes:
        await anyio.sleep(1)
        for tenths in range(1, 22):
            b.sim.set_load(5, 60.0 + tenths / 10)
            await anyio.sleep(5)
        assert powers(await waiting(changes)) == [(5, 60.0, 61.1)]
        b.sim.set_load(5, 62.2)
        await anyio.sleep(5)
        assert powers(await waiting(changes)) == [(5, 61.1, 62.2)]


async def test_every_watcher_has_a_threshold_of_its_own_and_one_poll_serves_all():
    async with bench(sim=LOADS) as b:
        polls = b.polls
        async with (
            b.strip.changes(min_power_w=0) as fine,
            b.strip.changes(min_power_w=10) as coarse,
        ):
            await anyio.sleep(1)
            b.sim.set_load(1, 5.5)
            b.sim.set_load(5, 80.0)
            await anyio.sleep(5)
            assert powers(await waiting(fine)) == [(1, 5.0, 5.5), (5, 60.0, 80.0)]
            assert powers(await waiting(coarse)) == [(5, 60.0, 80.0)]
        assert b.polls - polls == 2


async def test_a_command_is_seen_at_once_and_all_power_comes_before_all_states():
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        await b.strip.turn_off()
        found = await waiting(changes)
        assert powers(found) == [(1, 5.0, 0.0), (5, 60.0, 0.0)]
        assert states(found) == [(port, True, False) for port in range(1, 7)]
        assert [type(change) for change in found] == [PowerChanged] * 2 + [
            StateChanged
        ] * 6


@pytest.mark.parametrize(
    "lie", ["watt_missing", "watt_empty", "watt_null", "watt_words"]
)
async def test_figures_that_are_missing_are_no_change(lie):
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        b.sim.faults.lie_next(lie, 2, on="511")
        await anyio.sleep(20)
        assert await waiting(changes) == []
        b.sim.faults.lie_next(lie, 1, on="511")
        b.sim.set_load(1, 50.0)
        await anyio.sleep(10)
        assert powers(await waiting(changes)) == [(1, 5.0, 50.0)]


async def test_a_state_that_cannot_be_read_is_no_change():
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        b.sim.faults.lie_next("switch_words", 2, on="511")
        await anyio.sleep(20)
        assert states(await waiting(changes)) == []


async def outage(b: Bench, seconds: float) -> None:
    await b.sim.unplug()
    await anyio.sleep(seconds)
    assert not is_there(b.strip)


async def test_an_outage_is_no_change_and_what_differs_after_it_is_told_once():
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        await outage(b, 300)
        assert await waiting(changes) == []
        await b.sim.plug_in()
        await anyio.sleep(90)
        assert is_there(b.strip)
        assert await waiting(changes) == []
        await outage(b, 300)
        b.sim.ports[5] = False
        await b.sim.plug_in()
        await anyio.sleep(90)
        found = await waiting(changes)
        assert powers(found) == [(5, 60.0, 0.0)]
        assert states(found) == [(5, True, False)]


async def test_another_device_at_the_address_changes_nothing():
    async with bench(sim=LOADS) as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        await b.sim.unplug()
        other: dict[str, Any] = {
            "serial": "SWP6000000000099",
            "loads": [1, 2, 3, 400, 500, 600],
        }
        async with sim_maxsmart(
            HOST, environment=Environment(network=b.network), **other
        ) as impostor:
            impostor.ports[1] = False
            await anyio.sleep(600)
            assert not is_there(b.strip)
        await b.sim.plug_in()
        await anyio.sleep(90)
        assert is_there(b.strip)
        assert await waiting(changes) == []


async def test_a_slow_consumer_loses_the_oldest_and_is_told_how_many():
    async with bench(sim=LOADS) as b, b.strip.changes(max_items=3) as changes:
        await anyio.sleep(1)
        for watts in range(10, 60, 10):
            b.sim.set_load(1, float(watts))
            await anyio.sleep(5)
        assert [change[2] for change in powers(await waiting(changes))] == [30, 40, 50]
        assert changes.dropped == 2


@pytest.mark.parametrize("threshold", [-1, float("nan"), float("inf"), "1", None, True])
async def test_a_threshold_that_makes_no_sense_is_an_error_of_usage(threshold):
    async with bench() as b:
        with pytest.raises(UsageError, match="min_power_w is 0 W or more"):
            async with b.strip.changes(min_power_w=threshold):
                pass
        with pytest.raises(UsageError, match="at least one item"):
            async with b.strip.changes(max_items=0):
                pass


async def test_changes_end_with_the_block_of_the_strip():
    async with bench() as b:
        watching = b.strip.changes()
        changes = await watching.__aenter__()
    assert [change async for change in changes] == []
    await watching.__aexit__(None, None, None)
    with pytest.raises(UsageError, match="closed"):
        async with b.strip.changes():
            pass
