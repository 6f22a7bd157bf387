"""Power over time is energy, as far as it is known."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.energy import EnergyMeter, EnergyTotal
from structiot.errors import UsageError
from structiot.model import Reading

START = datetime(2024, 5, 1, tzinfo=UTC)


def reading(
    at_s: float,
    power_w: float | None,
    *,
    is_on: bool | None = True,
    port: int = 1,
    device: str = "strip",
) -> Reading:
    at_utc = START + timedelta(seconds=at_s)
    return Reading(
        device=device, channel=port, at_utc=at_utc, is_on=is_on, power_w=power_w
    )


def metered(*readings: Reading, max_gap_s: float = 60.0) -> EnergyMeter:
    meter = EnergyMeter(max_gap_s=max_gap_s)
    for one in readings:
        meter.add(one)
    return meter


def test_an_hour_of_a_kilowatt_is_a_kilowatt_hour():
    meter = metered(*(reading(at_s, 1000.0) for at_s in range(0, 3601, 5)))
    assert meter.energy_wh() == pytest.approx(1000)
    assert (meter.measured_s(), meter.unknown_s()) == (3600, 0)


def test_one_reading_is_no_energy():
    assert metered(reading(0, 1000.0)).energy_wh() == 0
    assert EnergyMeter().energy_wh() == 0


def test_power_changes_evenly_between_readings():
    assert metered(reading(0, 0.0), reading(36, 200.0)).energy_wh() == pytest.approx(1)


def test_an_outlet_that_was_switched_was_as_before_until_then():
    off = metered(reading(0, 100.0), reading(36, 0.0, is_on=False))
    assert off.energy_wh() == pytest.approx(1)
    on = metered(reading(0, 0.0, is_on=False), reading(36, 100.0))
    assert on.energy_wh() == 0


def test_what_is_fed_back_counts_as_negative():
    assert metered(reading(0, -100.0), reading(36, -100.0)).energy_wh() == (
        pytest.approx(-1)
    )


def test_each_reading_gives_what_came_with_it():
    meter = EnergyMeter()
    assert meter.add(reading(0, 100.0)) == 0
    assert meter.add(reading(36, 100.0)) == pytest.approx(1)
    assert meter.add(reading(54, 100.0)) == pytest.approx(0.5)


def test_a_gap_is_unknown_and_no_energy():
    meter = metered(
        reading(0, 100.0), reading(60, 100.0), reading(121, 100.0), reading(157, 100.0)
    )
    assert meter.energy_wh() == pytest.approx(100 * 96 / 3600)
    assert (meter.measured_s(), meter.unknown_s()) == (96, 61)


def test_a_reading_without_power_ends_what_is_known():
    meter = metered(
        reading(0, 100.0), reading(36, None), reading(50, 100.0), reading(86, 100.0)
    )
    assert meter.energy_wh() == pytest.approx(1)
    assert meter.unknown_s() == 50


def test_a_clock_that_was_set_back_begins_anew():
    meter = metered(reading(100, 100.0), reading(10, 100.0), reading(46, 100.0))
    assert meter.energy_wh() == pytest.approx(1)
    assert (meter.measured_s(), meter.unknown_s()) == (36, 0)


def test_outlets_and_devices_are_kept_apart_and_added_up():
    meter = metered(
        *(reading(at_s, 100.0) for at_s in (0, 36)),
        *(reading(at_s, 200.0, port=2) for at_s in (0, 36)),
        *(reading(at_s, 400.0, device="plug") for at_s in (0, 36)),
        *(reading(at_s, None, device="other") for at_s in (0, 36)),
    )
    assert meter.energy_wh("strip", 1) == pytest.approx(1)
    assert meter.energy_wh(device="strip") == pytest.approx(3)
    assert meter.energy_wh(channel=1) == pytest.approx(5)
    assert meter.energy_wh() == pytest.approx(7)
    assert meter.energy_wh("nobody") == 0
    assert meter.measured_s("plug") == 36
    assert meter.unknown_s("other", 1) == 36


@pytest.mark.parametrize("max_gap_s", [0.0, -1.0, float("nan")])
def test_a_longest_gap_that_makes_no_sense_is_refused(max_gap_s: float):
    with pytest.raises(UsageError, match="max_gap_s is above 0"):
        EnergyMeter(max_gap_s=max_gap_s)


@given(
    st.lists(
        st.tuples(st.floats(-500, 500), st.none() | st.floats(-5000, 5000)), max_size=30
    )
)
def test_time_is_either_measured_or_unknown_and_energy_is_bounded(steps):
    meter = EnergyMeter()
    at_s, forward_s, added_wh = 0.0, 0.0, 0.0
    meter.add(reading(at_s, 0.0))
    for step, power_w in steps:
        step_s = round(step, 3)
        at_s = round(at_s + step_s, 3)
        forward_s += max(0.0, step_s)
        added_wh += meter.add(reading(at_s, power_w))
    assert meter.measured_s() + meter.unknown_s() == pytest.approx(forward_s)
    assert meter.energy_wh() == pytest.approx(added_wh)
    assert abs(meter.energy_wh()) <= 5000 * meter.measured_s() / 3600 + 1e-9


@pytest.mark.parametrize("power_w", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_none_is_no_energy(power_w):
    meter = metered(reading(0, 100.0), reading(5, power_w), reading(10, 100.0))
    assert meter.energy_wh() == 0
    assert meter.unknown_s() == 10


# ------------------------------------------------------------------------------- totals


def after(at_s: float) -> datetime:
    return START + timedelta(seconds=at_s)


def totals(*counters: float | None, every_s: float = 60.0) -> list[float | None]:
    total = EnergyTotal()
    return [
        total.add(counter, after(index * every_s))
        for index, counter in enumerate(counters)
    ]


def test_a_total_begins_as_the_counter_stands_and_goes_with_it():
    assert totals(5.0, 5.0, 7.5) == [5.0, 5.0, 7.5]


def test_a_counter_that_begins_anew_is_counted_on():
    assert totals(0.0, 10.0, 2.0, 3.0, 0.0, 1.0) == [0.0, 10.0, 12.0, 13.0, 13.0, 14.0]


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -1.0])
def test_what_is_no_figure_changes_nothing(nothing):
    assert totals(nothing) == [None]
    assert totals(1.0, nothing, 2.0) == [1.0, 1.0, 2.0]


def test_a_glitch_of_the_counter_is_not_counted():
    # Down and up again: more than 100 kW in a minute is nothing that was taken.
    assert totals(50_000.0, 3.0, 50_001.0, 50_002.0) == [
        50_000.0,
        50_003.0,
        50_003.0,
        50_004.0,
    ]
    assert totals(50_000.0, 4e9, 50_001.0) == [50_000.0] * 3


def test_what_a_device_counted_while_nobody_asked_counts():
    total = EnergyTotal(1000.0, counter_wh=200.0, at_utc=START)
    assert total.add(5200.0, after(86_400)) == 6000.0


def test_a_total_goes_on_where_the_one_before_ended():
    first = EnergyTotal()
    first.add(3.0, after(0))
    first.add(8.0, after(60))
    again = EnergyTotal(
        first.total_wh, counter_wh=first.counter_wh, at_utc=first.at_utc
    )
    assert again.add(0.0, after(120)) == 8.0
    assert again.add(1.0, after(180)) == 9.0


@given(st.lists(st.floats() | st.none()), st.lists(st.integers(-9999, 9999)))
def test_a_total_never_decreases(counters, times):
    total, before = EnergyTotal(), -math.inf
    for index, counter in enumerate(counters):
        at_s = times[index % len(times)] if times else index
        now = total.add(counter, after(at_s))
        if now is not None:
            assert now >= before
            before = now
