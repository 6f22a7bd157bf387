"""What a gateway has of the past, as its page asks for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from structiot.gateway import Gateway
from structiot.gateway.history import Series
from structiot.model import Occurrence
from tests.gateway.history_house import House, of

pytestmark = pytest.mark.virtual_time

MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "history.sqlite")


async def last(gateway: Gateway, house: House, key: str, back: timedelta) -> Series:
    return await of(gateway).series(f"plug/{key}", house.now - back, house.now)


def mean(series: Series) -> list[float | None]:
    return list(series.mean)


async def test_figures_are_drawn_level_for_as_long_as_they_were(house: House):
    async with house.gateway() as gateway:
        start = house.now
        await house.tell(100, power=10.0)
        await house.tell(20, power=30.04)
        await anyio.sleep(15)
        series = await of(gateway).series("plug/power", start, house.now)
    assert series.unit == "W"
    assert series.resolution_s == 0
    assert not series.is_step
    assert mean(series)[:3] == [10.0, 10.0, 30.0]
    at = [round(one - start.timestamp()) for one in series.t]
    assert at[:3] == [0, 99, 100]


async def test_switches_and_texts_are_steps(house: House):
    async with house.gateway() as gateway:
        await house.tell(30, relay=True, mode="eco")
        await house.tell(40, relay=False, mode="boost")
        relay = await last(gateway, house, "relay", 2 * MINUTE)
        mode = await last(gateway, house, "mode", 2 * MINUTE)
    assert relay.is_step
    assert mean(relay) == [1.0, 0.0, 0.0]
    assert mode.texts == ("eco", "boost", "boost")
    assert mean(mode) == [None, None, None]


async def test_what_is_not_heard_is_a_gap(house: House):
    async with house.gateway() as gateway:
        start = house.now
        await house.tell(120, power=5.0)
        await anyio.sleep(200)  # silent for longer than its limit
        await house.tell(100, power=5.0)
        series = await of(gateway).series("plug/power", start, house.now)
    assert mean(series) == [5.0, 5.0, None, 5.0, 5.0]
    at = [round(one - start.timestamp()) for one in series.t]
    assert at[1] == 120
    assert at[3] == 320


async def test_a_device_that_is_away_is_a_gap_from_when_it_was_heard_last(house: House):
    async with house.gateway() as gateway:
        start = house.now
        await house.tell(50, power=5.0)
        await anyio.sleep(12)
        house.away()
        await anyio.sleep(100)
        house.away(is_available=True)
        await house.tell(50, power=6.0)
        series = await of(gateway).series("plug/power", start, house.now)
    assert mean(series) == [5.0, 5.0, None, 6.0, 6.0]
    assert round(series.t[1] - start.timestamp()) == 50


async def test_the_time_without_a_gateway_is_a_gap(house: House):
    start = house.now
    async with house.gateway():
        await house.tell(60, power=5.0, relay=True)
    ended = house.now
    await anyio.sleep(600)
    async with house.gateway() as gateway:
        await house.tell(60, power=5.0, relay=True)
        series = await of(gateway).series("plug/power", start, house.now)
    assert mean(series) == [5.0, 5.0, None, 5.0, 5.0]
    assert series.t[1] == pytest.approx(ended.timestamp(), abs=1)


async def test_a_month_has_hours_and_days_have_five_minutes(house: House):
    async with house.gateway(commit_s=600) as gateway:
        start = house.now
        for hour in range(3):
            await house.tell(1800, power=float(hour))
            await house.tell(1800, power=float(hour) + 10)
        day = await last(gateway, house, "power", timedelta(hours=24))
        month = await of(gateway).series(
            "plug/power", start, start + timedelta(days=30), 800
        )
        few = await of(gateway).series(
            "plug/power", start, start + timedelta(days=30), 100
        )
    assert day.resolution_s == 300
    assert 280 <= len(day.t) <= 290
    assert month.resolution_s == 3600
    assert month.mean[1] == pytest.approx(6.0, abs=0.1)
    assert (month.min[1], month.max[1]) == (1.0, 11.0)
    assert month.mean[100] is None
    assert month.min[100] is None
    assert month.max[100] is None
    assert few.resolution_s == 8 * 3600
    assert len(few.t) <= 100


async def test_what_happened_the_latest_first(house: House):
    async with house.gateway() as gateway:
        for number in range(3):
            data = {"number": number}
            bell = Occurrence(
                key="bell", event_type="ring", at_utc=house.now, data=data
            )
            house.plug.tell(bell)
            await anyio.sleep(20)
        seen = await of(gateway).occurrences("plug", 2)
    assert [one.data["number"] for one in seen] == [2, 1]
    assert {one.entity for one in seen} == {"bell"}


async def test_the_last_hour_of_many_by_one_question(house: House):
    async with house.gateway() as gateway:
        await house.tell(600, power=1.0)
        await house.tell(600, power=2.0)
        house.away()
        await anyio.sleep(600)
        found = await of(gateway).recent(["plug/power", "plug/relay", "no/such"])
    (series,) = found.values()
    assert len(series.t) in {60, 61}
    shown = [one for one in series.mean if one is not None]
    assert 9 <= shown.count(1.0) <= 11
    assert 9 <= shown.count(2.0) <= 11
    assert series.mean[-1] is None


async def test_a_renamed_device_keeps_its_history(house: House):
    start = house.now
    async with house.gateway():
        await house.tell(60, power=5.0)
    house.name = "kettle"
    async with house.gateway() as gateway:
        await house.tell(60, power=6.0)
        assert list(gateway.devices) == ["kettle"]
        series = await of(gateway).series("kettle/power", start, house.now)
    assert {5.0, 6.0} <= set(series.mean)


async def test_secrets_are_not_recorded_and_patterns_decide(house: House):
    async with house.gateway(include=["plug/*"], exclude=["*/mode"]) as gateway:
        house.plug.tell_state("secret", "1234")
        await house.tell(60, power=5.0, mode="eco")
        assert (await last(gateway, house, "secret", MINUTE)).t == ()
        assert (await last(gateway, house, "mode", MINUTE)).t == ()
        assert (await last(gateway, house, "power", MINUTE)).t != ()
    assert b"1234" not in house.path.read_bytes()


async def test_all_is_committed_when_the_block_ends_also_when_cancelled(house: House):
    with anyio.CancelScope() as scope:
        async with house.gateway(commit_s=3600):
            await house.tell(60, power=7.0)
            scope.cancel()
            await anyio.sleep(1)
    async with house.gateway() as gateway:
        status = of(gateway).status()
        assert status.rows > 0
        assert (await last(gateway, house, "power", 2 * MINUTE)).t != ()
