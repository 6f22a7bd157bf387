"""Meters: power now, and energy by day and by hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from structiot._kit.zones import zone_of
from structiot.meross.features.electricity import (
    CircuitFactors,
    Electricity,
    MeterLimits,
)
from structiot.meross.features.energy_days import (
    DailyEnergy,
    DayConsumption,
    DayCounter,
    HourConsumption,
    HourlyEnergy,
    read_daily_energy,
    read_hourly_energy,
)
from structiot.model import Reading
from tests.wire.meross.features import NOW, UUID, about, entity, keys, questions, take

DAYS = {
    "consumptionx": [
        {"date": "2023-11-14", "time": 1700000000, "value": 96},
        {"date": "2023-11-12", "time": 1699830000, "value": 300},
        {"date": "2023-11-13", "time": 1699916380, "value": 412},
    ]
}
PLUG = {
    "electricity": {
        "channel": 0,
        "current": 430,
        "voltage": 2304,
        "power": 98200,
        "config": {"voltageRatio": 188, "electricityRatio": 100},
    }
}


def test_electricity_of_a_plug():
    digest = {"togglex": [{"channel": 0, "onoff": 1}]}
    meter = Electricity(about("Control.Electricity", "Control.ToggleX", digest=digest))
    assert questions(meter) == [
        ("GET", "Control.Electricity", {"electricity": {}}, "live")
    ]
    assert keys(meter) == ["power_w", "voltage_v", "current_a"]
    update = take(meter, "Control.Electricity", PLUG)
    assert update.states == {"power_w": 98.2, "voltage_v": 230.4, "current_a": 0.43}
    reading = Reading(
        device=UUID,
        channel=0,
        at_utc=NOW,
        is_on=True,
        power_w=98.2,
        current_a=0.43,
        voltage_v=230.4,
    )
    assert update.readings == (reading,)
    assert not update.entities_changed


def test_a_reading_tells_whether_it_is_on_and_what_was_counted_today():
    meter = Electricity(
        about("Control.Electricity", "Control.ToggleX", "Control.ConsumptionX")
    )
    assert take(meter, "Control.ConsumptionX", DAYS).states == {}
    off = {"togglex": {"channel": 0, "onoff": 0}}
    assert take(meter, "Control.ToggleX", off).states == {}
    (reading,) = take(meter, "Control.Electricity", PLUG).readings
    assert (reading.is_on, reading.energy_wh) == (False, 96.0)


def test_electricityx_of_a_meter_with_export():
    meter = Electricity(about("Control.ElectricityX", model="em06"))
    assert questions(meter) == [
        (
            "GET",
            "Control.ElectricityX",
            {"electricity": [{"channel": 65535}]},
            "live",
        )
    ]
    assert meter.entities == ()
    first = {
        "channel": 1,
        "current": 1234,
        "voltage": 231200,
        "power": -285000,
        "factor": -0.99,
        "mConsume": 5000,
    }
    payload = {"electricity": [first, {**first, "channel": 6, "power": 1000}]}
    update = take(meter, "Control.ElectricityX", payload)
    assert update.entities_changed
    assert keys(meter)[:5] == [
        "power_w_1",
        "voltage_v_1",
        "current_a_1",
        "power_factor_1",
        "energy_month_wh_1",
    ]
    assert update.states["power_w_1"] == -285.0
    assert update.states["voltage_v_1"] == 231.2
    assert update.states["power_factor_1"] == -0.99
    assert update.states["energy_month_wh_1"] == 5000.0
    assert update.states["power_w_6"] == 1.0
    assert [(r.channel, r.power_w, r.energy_wh) for r in update.readings] == [
        (1, -285.0, 5000.0),
        (6, 1.0, 5000.0),
    ]


def test_electricityx_wins_where_there_are_both():
    meter = Electricity(about("Control.ElectricityX", "Control.Electricity"))
    assert take(meter, "Control.Electricity", PLUG).states == {}


def test_what_no_meter_can_have_measured_is_not_reported():
    meter = Electricity(about("Control.Electricity"))
    absurd = {"power": 10**12, "voltage": -1, "current": "a lot"}
    update = take(meter, "Control.Electricity", {"electricity": absurd})
    assert update.states == {"power_w": None, "voltage_v": None, "current_a": None}
    (reading,) = update.readings
    assert (reading.power_w, reading.voltage_v, reading.current_a) == (None,) * 3


@pytest.mark.parametrize(
    ("ability", "key"),
    [
        ("Control.ConsumptionX", "consumptionx"),
        ("Control.Consumption", "consumption"),
    ],
)
def test_consumption_of_today_and_the_days_before(ability, key):
    meter = DayConsumption(about(ability))
    assert questions(meter) == [("GET", ability, {key: []}, "counting")]
    sensor = entity(meter, "energy_today_wh")
    assert (sensor.unit, sensor.state_class) == ("Wh", "total_increasing")
    update = take(meter, ability, {key: DAYS["consumptionx"]})
    assert update.states == {"energy_today_wh": 96.0}
    assert meter.days == (
        DailyEnergy(date=date(2023, 11, 12), energy_wh=300.0),
        DailyEnergy(date=date(2023, 11, 13), energy_wh=412.0),
        DailyEnergy(date=date(2023, 11, 14), energy_wh=96.0),
    )
    assert take(meter, ability, {key: []}).states == {}


def test_days_that_make_no_sense_are_left_out():
    rows = [
        {"date": "2023-13-40", "value": 1},
        {"date": "0001-01-01", "value": 1},
        {"date": "9999-12-31", "value": 1},
        {"date": 20231114, "value": 1},
        {"date": "2023-11-14", "value": -5},
        {"date": "2023-11-14", "value": 10**9},
        {"value": 1},
        "2023-11-14",
        None,
    ]
    assert read_daily_energy({"consumptionx": rows}) == ()
    many = [
        {"date": str(date(2023, 1, 1) + timedelta(days=n)), "value": 1}
        for n in range(300)
    ]
    assert len(read_daily_energy({"consumptionx": many})) == 62


ROME = ZoneInfo("Europe/Rome")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME).astimezone(UTC)


def days(**figures: float) -> tuple[DailyEnergy, ...]:
    return tuple(
        DailyEnergy(date=date(2023, 11, int(day[1:])), energy_wh=energy_wh)
        for day, energy_wh in figures.items()
    )


def test_a_day_is_the_devices_own_and_begins_at_nothing():
    counter = DayCounter(ROME)
    assert counter.today_wh(days(d13=412), local("2023-11-13T23:59")) == 412
    assert counter.today_wh(days(d13=412), local("2023-11-14T00:01")) == 0
    assert counter.today_wh(days(d13=412, d14=3), local("2023-11-14T00:30")) == 3
    assert DayCounter(ROME).today_wh((), NOW) is None


def test_a_day_that_goes_on_with_the_figure_of_the_day_before():
    counter = DayCounter(ROME)
    assert counter.today_wh(days(d13=412), local("2023-11-13T23:50")) == 412
    assert counter.today_wh(days(d13=412, d14=412), local("2023-11-14T00:01")) == 0
    assert counter.today_wh(days(d13=412, d14=450), local("2023-11-14T09:00")) == 38
    assert counter.today_wh(days(d14=500, d15=520), local("2023-11-15T12:00")) == 520


def test_a_day_that_is_set_back_a_little_after_midnight():
    counter = DayCounter(ROME)
    counter.today_wh(days(d13=412), local("2023-11-13T23:50"))
    assert counter.today_wh(days(d13=412, d14=413), local("2023-11-14T00:01")) == 1
    assert counter.today_wh(days(d13=412, d14=2), local("2023-11-14T00:11")) == 2
    assert counter.today_wh(days(d13=412, d14=500), local("2023-11-14T20:00")) == 500


def test_without_a_time_zone_the_newest_day_is_today():
    assert zone_of("Nowhere/Town") is zone_of("../etc/passwd") is zone_of(None) is None
    assert zone_of("") is zone_of("Europe") is zone_of("\0") is None
    counter = DayCounter(None)
    assert counter.today_wh(days(d12=7), local("2023-11-14T12:00")) == 7
    assert counter.today_wh(days(d12=7, d30=9), local("2023-11-14T12:00")) == 7


def test_a_clock_that_is_ahead_is_followed_day_by_day():
    counter, now = DayCounter(ROME), local("2023-11-14T12:00")
    told = [days(d14=5), days(d14=5, d15=2), days(d15=7, d16=1), days(d16=8, d17=3)]
    assert [counter.today_wh(one, now) for one in told] == [5, 2, 1, 3]
    assert counter.today_wh(days(d17=4, d30=9), now) == 4


def test_consumption_by_hour():
    meter = HourConsumption(about("Control.ConsumptionH"))
    request = meter.request(2)
    assert dict(request.payload) == {"consumptionH": [{"channel": 2}]}
    data = [
        {"timestamp": 1700003600, "value": 40},
        {"timestamp": 1700000000, "value": 30},
        {"timestamp": 5, "value": 1},
        {"timestamp": 1700007200, "value": None},
    ]
    payload = {"consumptionH": [{"channel": 2, "total": 70, "data": data}]}
    assert take(meter, "Control.ConsumptionH", payload).states == {}
    expected = (
        HourlyEnergy(at_utc=datetime.fromtimestamp(1700000000, UTC), energy_wh=30.0),
        HourlyEnergy(at_utc=datetime.fromtimestamp(1700003600, UTC), energy_wh=40.0),
    )
    assert meter.hours == {2: expected}
    assert read_hourly_energy(payload, 2) == expected
    assert read_hourly_energy(payload, 1) == ()


def test_the_limit_of_a_meter_where_it_tells_one():
    meter = MeterLimits(about("Control.ConsumptionConfig"))
    assert questions(meter) == [("GET", "Control.ConsumptionConfig", {}, "once")]
    ratios = {"voltageRatio": 188, "electricityRatio": 100}
    update = take(meter, "Control.ConsumptionConfig", {"config": ratios})
    assert (update.states, meter.entities) == ({}, ())
    limited = {"config": {**ratios, "maxElectricityCurrent": 11000}}
    update = take(meter, "Control.ConsumptionConfig", limited)
    assert update.states == {"max_current_a": 11.0}
    assert update.entities_changed


def test_circuit_factors():
    meter = CircuitFactors(about("Control.CircuitFactor", model="em06"))
    asked = {"circuitFactor": [{"channel": 65535}]}
    assert questions(meter) == [("GET", "Control.CircuitFactor", asked, "once")]
    told = {"circuitFactor": [{"channel": 1, "factor": 2}, {"channel": 2}]}
    update = take(meter, "Control.CircuitFactor", told)
    assert update.states == {"circuit_factor_1": 2.0}


def test_an_answer_for_all_channels_is_of_none():
    meter = Electricity(about("Control.ElectricityX", model="em06"))
    payload = {"electricity": [{"channel": 65535, "power": 1000, "voltage": 0}]}
    update = take(meter, "Control.ElectricityX", payload)
    assert (update.states, update.readings, meter.entities) == ({}, (), ())


def test_a_day_that_nobody_saw_begin_is_counted_as_it_stands():
    counter = DayCounter(ROME)
    counter.today_wh(days(d13=412), local("2023-11-13T18:00"))
    assert counter.today_wh(days(d13=412, d14=500), local("2023-11-14T08:00")) == 500
