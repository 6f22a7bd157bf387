"""Energy, clocks that jump, and the calendar of the house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.energy import EnergyMeter
from structiot.errors import UsageError
from structiot.gateway.history.hours import HOUR_MS, House, at_utc, ms_of
from structiot.model import Reading
from tests.gateway.history_house import House as Home
from tests.gateway.history_house import of

ZONES = (
    "UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Adelaide", "Australia/Lord_Howe",
    "America/St_Johns", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia",
)  # fmt: skip
DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "history.sqlite")


@pytest.mark.virtual_time
async def test_energy_is_what_a_counter_has_gained(home: Home):
    async with home.gateway() as gateway:
        start = home.now
        for total in (1000.0, 1010.0, 1030.0):
            await home.tell(200, energy=total)
        found = await of(gateway).energy("plug/energy", start, home.now, "hour")
    (bar,) = found.bars
    assert bar.energy_wh == 30.0
    assert bar.known_s == pytest.approx(600, abs=70)
    assert found.gaps == found.resets == ()


@pytest.mark.virtual_time
async def test_energy_of_a_gap_is_one_bar_over_the_whole_gap(home: Home):
    start = home.now
    async with home.gateway():
        await home.tell(100, energy=1000.0)
    ended = home.now
    await anyio.sleep(2 * 86_400)
    begun = home.now
    # The gateway's own total would begin anew without a state file.
    async with home.gateway() as gateway:
        await home.tell(100, energy=5000.0)
        await home.tell(100, energy=5001.0)
        found = await of(gateway).energy("plug/energy", start, home.now)
    (gap,) = found.gaps
    assert gap.energy_wh == 4000.0
    assert abs((gap.from_utc - ended).total_seconds()) < 2
    assert abs((gap.until_utc - begun).total_seconds()) < 2
    assert [bar.energy_wh for bar in found.bars] == [0.0, None, 1.0]


@pytest.mark.virtual_time
async def test_a_counter_that_began_anew_is_marked_and_no_bar_is_negative(home: Home):
    start = home.now
    async with home.gateway():
        await home.tell(60, energy=1000.0)
    async with home.gateway() as gateway:
        await home.tell(60, energy=5.0)
        found = await of(gateway).energy("plug/energy", start, home.now)
    assert len(found.resets) == 1
    assert all(bar.energy_wh is None or bar.energy_wh >= 0 for bar in found.bars)
    assert sum(gap.energy_wh or 0 for gap in found.gaps) == 5.0


@pytest.mark.virtual_time
async def test_power_is_energy_for_as_long_as_it_was_heard(home: Home):
    meter = EnergyMeter()

    def read(power_w: float | None) -> None:
        meter.add(Reading(device="P1", channel=1, at_utc=home.now, power_w=power_w))

    async with home.gateway() as gateway:
        start = home.now
        for power_w in (1200.0, 1200.0, 600.0, 600.0, None, None, 300.0, 300.0):
            home.plug.tell_state("power", power_w)
            read(power_w)
            await home.tell(30)
            read(power_w)
        await anyio.sleep(25)
        found = await of(gateway).energy("plug/power", start, home.now)
    (bar,) = found.bars
    assert bar.energy_wh == pytest.approx(meter.energy_wh(), abs=3)
    assert bar.known_s == pytest.approx(180, abs=30)


@pytest.mark.virtual_time
async def test_what_is_no_energy_has_none(home: Home):
    async with home.gateway() as gateway:
        await home.tell(60, relay=True)
        with pytest.raises(UsageError, match="no energy"):
            await of(gateway).energy("plug/relay", home.now - DAY, home.now)


@pytest.mark.virtual_time
@pytest.mark.parametrize("days", [1, -1])
async def test_nothing_is_integrated_over_a_clock_that_jumps(home: Home, days: int):
    async with home.gateway() as gateway:
        start = home.now
        await home.tell(600, power=1000.0, energy=100.0)
        home.clock.by += timedelta(days=days)
        await home.tell(600, power=1000.0, energy=150.0)
        begin, end = sorted([start - DAY, home.now + DAY])
        power = await of(gateway).energy("plug/power", begin, end)
        course = await of(gateway).series("plug/power", begin, end)
    energy_wh = sum(bar.energy_wh or 0 for bar in power.bars)
    assert energy_wh == pytest.approx(1000 * 1200 / 3600, rel=0.12)
    assert list(course.t) == sorted(set(course.t))


@pytest.mark.virtual_time
async def test_what_a_counter_gains_in_time_that_was_recorded_already_is_counted(
    home: Home,
):
    hour = timedelta(hours=1)
    async with home.gateway(commit_s=60) as gateway:
        start = home.now
        await home.tell(3600, energy=1000.0)
        home.clock.by -= hour - timedelta(minutes=5)
        # More than a house takes in a minute, which is all that the clock will go on.
        for total in range(2000, 8000, 1000):
            await home.tell(600, energy=float(total))
        await home.tell(120, energy=7010.0)
        # Of the hour that is not over, and of one that is.
        for _ in range(2):
            found = await of(gateway).energy("plug/energy", start, home.now)
            (gap,) = found.gaps
            assert abs(gap.until_utc - gap.from_utc - hour) < timedelta(minutes=7)
            bars_wh = sum(bar.energy_wh or 0 for bar in found.bars)
            assert bars_wh + (gap.energy_wh or 0) == 6010.0
            await home.tell(3600)


@pytest.mark.virtual_time
async def test_what_was_told_first_stands_when_the_clock_is_set_back(
    home: Home, caplog: pytest.LogCaptureFixture
):
    async with home.gateway(commit_s=1) as gateway:
        start = home.now
        await home.tell(600, power=1.0)
        home.clock.by -= timedelta(seconds=300)
        await home.tell(280, power=2.0)
        assert of(gateway).status().lost > 0
        await home.tell(200, power=3.0)
        await home.tell(20, power=4.0)
        await anyio.sleep(3)
        course = await of(gateway).series("plug/power", start, home.now)
    shown = [one for one in course.mean if one is not None]
    assert set(shown) == {1.0, 3.0, 4.0}
    assert "was set back" in caplog.text


@pytest.mark.parametrize("zone", ZONES)
def test_days_have_as_many_hours_as_they_have(zone: str):
    house = House(zone)
    begin = ms_of(datetime(2025, 12, 31, tzinfo=UTC))
    days = list(house.spans(begin, begin + 400 * 24 * HOUR_MS, "day"))
    tz = ZoneInfo(zone)
    for start, end in days:
        local = at_utc(start).astimezone(tz)
        assert (local.hour, local.minute) == (0, 0)
        assert end - start in {23 * HOUR_MS, 23.5 * HOUR_MS, 24 * HOUR_MS,
                               24.5 * HOUR_MS, 25 * HOUR_MS}  # fmt: skip
    assert all(end == begin for (_, end), (begin, _) in pairwise(days))
    months = list(house.spans(begin, begin + 400 * 24 * HOUR_MS, "month"))
    assert all(at_utc(start).astimezone(tz).day == 1 for start, _ in months)


def test_the_days_of_a_change_in_berlin_have_23_and_25_hours():
    house = House("Europe/Berlin")
    berlin = ZoneInfo("Europe/Berlin")
    for month, day, hours in ((3, 29, 23), (10, 25, 25)):
        noon = ms_of(datetime(2026, month, day, 12, tzinfo=berlin))
        begin = house.begin(noon, "day")
        assert house.after(begin, "day") - begin == hours * HOUR_MS
        assert len(list(house.spans(begin, house.after(begin, "day"), "hour"))) == hours


@given(st.sampled_from(ZONES), st.integers(1_735_000_000, 1_800_000_000))
def test_hours_begin_at_the_full_hour_of_the_house(zone: str, at_s: int):
    house = House(zone)
    ms = at_s * 1000
    begin, end = house.hour_of(ms), house.hour_end(ms)
    assert begin <= ms < end <= begin + HOUR_MS
    assert at_utc(begin).astimezone(ZoneInfo(zone)).minute == 0 or (
        zone == "Australia/Lord_Howe"
    )
    assert house.hour_of(end - 1) == begin
    assert house.hour_of(end) != begin


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("key", "more"),
    [
        (7, {}),
        ("plug/power", {"points": 0}),
        ("plug/power", {"points": 1001}),
        ("plug/power", {"points": "many"}),
    ],
)
async def test_arguments_that_mean_nothing(home: Home, key, more):
    async with home.gateway() as gateway:
        history, now = of(gateway), home.now
        with pytest.raises(UsageError):
            await history.series(key, now - DAY, now, **more)
        with pytest.raises(UsageError, match="ends after"):
            await history.series("plug/power", now, now)
        with pytest.raises(UsageError, match="time zone"):
            await history.series("plug/power", now.replace(tzinfo=None), now)
        with pytest.raises(UsageError, match="period"):
            await history.energy("plug/power", now - DAY, now, "week")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="more than"):
            await history.energy("plug/power", now - 60 * DAY, now, "hour")
        with pytest.raises(UsageError):
            await history.recent([], hours=25)
        with pytest.raises(UsageError):
            await history.occurrences("plug", 0)
