"""Statistics: which hour, day or month each figure belongs to, and what it adds up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import ProtocolViolation, UsageError
from structiot.maxsmart import StripStatistics
from structiot.maxsmart.statistics import (
    bucket_start,
    newest_start,
    period_of,
    statistics_from,
)
from structiot.maxsmart.wire.codec import decode_reply
from structiot.maxsmart.wire.codec_data import read_statistics
from structiot.maxsmart.wire.messages import Reply, Statistics, StatisticsPeriod

HOUR, DAY, MONTH = StatisticsPeriod
ZURICH = ZoneInfo("Europe/Zurich")


def at(year: int, month: int, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour)  # noqa: DTZ001


def statistics(
    *rows: list[float | None],
    date: str = "2024-05",
    period: StatisticsPeriod = MONTH,
    port: int = 1,
    price: str | None = "0.21",
    currency: int | None = 3,
) -> StripStatistics:
    newest = newest_start(period, date)
    assert newest is not None
    wire = Statistics(
        period=period,
        date=date,
        price=price,
        currency=currency,
        energy_raw=tuple(tuple(row) for row in rows),
    )
    return statistics_from(wire, device="S", port=port, newest=newest, dated_by="reply")


def test_the_last_of_twelve_months_is_the_one_of_the_date():
    found = statistics([*range(12)])
    assert [point.start for point in found.points] == [
        *(at(2023, month) for month in range(6, 13)),
        *(at(2024, month) for month in range(1, 6)),
    ]
    assert [point.energy_wh for point in found.points] == [*range(12)]
    assert (found.start, found.end) == (at(2023, 6), at(2024, 6))
    assert [point.is_complete for point in found.points] == [True] * 11 + [False]


def test_days_go_over_the_end_of_february_in_a_leap_year():
    found = statistics([0.0] * 31, date="2024-03-02", period=DAY)
    starts = [point.start for point in found.points]
    assert starts[0] == at(2024, 2, 1)
    assert starts[-4:] == [
        at(2024, 2, 28),
        at(2024, 2, 29),
        at(2024, 3, 1),
        at(2024, 3, 2),
    ]


def test_hours_go_over_the_end_of_the_year():
    found = statistics([0.0] * 24, date="2024-01-01-05", period=HOUR)
    assert found.points[0].start == at(2023, 12, 31, 6)
    assert found.points[-1].end == at(2024, 1, 1, 6)


@given(
    st.sampled_from(StatisticsPeriod),
    st.datetimes(at(1995, 1), at(2150, 1)),
    st.integers(0, 400),
)
def test_points_follow_each_other_without_gap_up_to_the_one_of_the_clock(
    period, now, count
):
    label = now.strftime("%Y-%m-%d-%H")
    found = statistics([1.0] * count, date=label, period=period)
    ends = [point.end for point in found.points]
    starts = [point.start for point in found.points]
    assert starts[1:] == ends[:-1]
    assert len(starts) == count
    if count:
        assert starts[-1] == bucket_start(period, now) <= now < ends[-1]


@pytest.mark.parametrize(
    ("period", "label", "expected"),
    [
        (HOUR, "2024-05-01-13", at(2024, 5, 1, 13)),
        (HOUR, "2024-05-01,13:45:10", at(2024, 5, 1, 13)),
        (HOUR, "2024-5-1-3", at(2024, 5, 1, 3)),
        (DAY, "2024-05-01", at(2024, 5, 1)),
        (DAY, "2024-05-01-13", at(2024, 5, 1)),
        (MONTH, "2024-05", at(2024, 5)),
        (MONTH, "2024-05-31", at(2024, 5)),
        (HOUR, "2024-05-01", None),
        (DAY, "2024-05", None),
        (MONTH, "2024", None),
        (MONTH, "2024-13", None),
        (DAY, "2023-02-29", None),
        (DAY, "0000-00-00", None),
        (MONTH, "1970-01", None),
        (MONTH, "9999-12", None),
        (MONTH, "today", None),
        (MONTH, "", None),
        (MONTH, None, None),
    ],
)
def test_a_date_is_read_or_told_to_be_none(period, label, expected):
    assert newest_start(period, label) == expected


def spans(date: str, period: StatisticsPeriod, count: int) -> list[timedelta]:
    found = statistics([1.0] * count, date=date, period=period)
    utc = [point.utc_span(ZURICH) for point in found.points]
    assert [begin for begin, _ in utc[1:]] == [end for _, end in utc[:-1]]
    return [end - begin for begin, end in utc]


def test_a_day_has_23_hours_in_march_and_25_in_october():
    hours = [23, 25]
    for date, expected in zip(["2024-03-31", "2024-10-27"], hours, strict=True):
        assert spans(date, DAY, 3) == [
            timedelta(hours=24),
            timedelta(hours=24),
            timedelta(hours=expected),
        ]


def test_the_hour_left_out_in_march_takes_no_time_and_the_one_in_october_two():
    march = spans("2024-03-31-04", HOUR, 4)
    october = spans("2024-10-27-04", HOUR, 4)
    assert march == [timedelta(hours=n) for n in (1, 0, 1, 1)]
    assert october == [timedelta(hours=n) for n in (1, 2, 1, 1)]


def test_a_point_knows_when_it_was_in_utc():
    (point,) = statistics([1.0], date="2024-07-01", period=DAY).points
    begin, end = point.utc_span(ZURICH)
    assert begin == datetime(2024, 6, 30, 22, tzinfo=UTC)
    assert end == datetime(2024, 7, 1, 22, tzinfo=UTC)


def test_the_sum_of_all_ports_is_port_zero():
    found = statistics([1.1, 2.0], [0.1, 0.2], port=0)
    assert [point.energy_wh for point in found.points] == [1.2, 2.2]
    assert found.energy_wh == 3.4


def test_a_sum_with_a_gap_is_none_and_so_is_the_total():
    found = statistics([1.0, None, 3.0], [1.0, 2.0, 3.0], port=0)
    assert [point.energy_wh for point in found.points] == [2.0, None, 6.0]
    assert found.energy_wh is None
    assert found.cost is None


def test_rows_of_different_lengths_end_together_in_the_newest():
    found = statistics([7.0], [1.0, 2.0, 3.0], port=0)
    assert [point.energy_wh for point in found.points] == [None, None, 10.0]
    assert found.points[-1].start == at(2024, 5)
    short = statistics([7.0], [1.0, 2.0, 3.0], port=1)
    assert [point.start for point in short.points] == [at(2024, 5)]


def test_no_figures_are_no_points():
    found = statistics([], port=0)
    assert (found.points, found.start, found.end) == ((), None, None)
    assert (found.energy_wh, found.cost) == (None, None)


def test_cost_is_price_times_kilowatt_hours():
    found = statistics([1200.0, 800.0], price="0.21")
    assert found.price_per_kwh == 0.21
    assert found.cost == 0.42


@pytest.mark.parametrize(
    ("number", "code", "symbol"),
    [
        (0, "EUR", "€"),
        (1, "USD", "$"),
        (2, "JPY", "¥"),
        (3, "CHF", "CHF"),
        (4, None, None),
        (None, None, None),
    ],
)
def test_currencies_have_code_and_symbol_unknown_ones_none(number, code, symbol):
    found = statistics([1.0], currency=number)
    assert (found.currency, found.currency_symbol) == (code, symbol)
    assert found.currency_number == number


@pytest.mark.parametrize("price", [None, "free", "", "nan"])
def test_a_price_that_is_no_number_is_none(price):
    found = statistics([1.0], price=price)
    assert found.price_per_kwh is None
    assert found.cost is None


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("hourly", HOUR),
        ("daily", DAY),
        ("monthly", MONTH),
        (0, HOUR),
        (1, DAY),
        (2, MONTH),
    ],
)
def test_a_period_has_a_name_and_a_number(period, expected):
    assert period_of(period) is expected


@pytest.mark.parametrize("period", ["weekly", "", 3, -1, None, True, False, [0], 0.5])
def test_what_is_no_period_is_an_error_of_usage(period):
    with pytest.raises(UsageError, match="'hourly', 'daily' or 'monthly'"):
        period_of(period)


# ---------------------------------------------------------------- the reply


def reply(data: str) -> Reply:
    return decode_reply(f'{{"response":510,"code":200,"data":{data}}}'.encode())


def test_a_reply_need_not_repeat_the_period_but_shall_not_say_another():
    silent = reply('{"watt":[["1"]]}')
    assert read_statistics(silent, asked=DAY).period is DAY
    other = reply('{"type":2,"watt":[["1"]]}')
    with pytest.raises(ProtocolViolation, match="period 2 instead of 1"):
        read_statistics(other, asked=DAY)


@pytest.mark.parametrize(
    "data",
    [
        "{}",
        '{"type":1}',
        '{"type":1,"watt":null}',
        '{"type":1,"watt":[]}',
        '{"type":1,"watt":"5"}',
        '{"type":1,"watt":["1","2"]}',
        '{"type":1,"watt":[null]}',
        '{"type":"daily","watt":[["1"]]}',
        '{"type":7,"watt":[["1"]]}',
    ],
)
def test_statistics_without_rows_or_period_are_a_violation(data):
    with pytest.raises(ProtocolViolation):
        read_statistics(reply(data), asked=DAY)


def test_figures_are_text_or_numbers_and_none_where_they_are_neither():
    found = read_statistics(
        reply('{"type":1,"watt":[["1.5",2,3.25,"",null,"n/a",true,[1],NaN]]}'),
        asked=DAY,
    )
    assert found.energy_raw == ((1.5, 2.0, 3.25, *[None] * 6),)


@pytest.mark.parametrize(
    ("period", "most_wh"), [(HOUR, 6250), (DAY, 150_000), (MONTH, 4_650_000)]
)
@pytest.mark.parametrize("figure", [-0.5, 1e30, 4294967295.0])
def test_energy_that_cannot_be_is_none_and_noted(period, most_wh, figure):
    rows = [[figure, most_wh], [0, 1]]
    data = {"type": int(period), "watt": rows, "cost": "0.21"}
    found = read_statistics(Reply(response=510, data=data))
    assert [[*row] for row in found.energy_raw] == [[None, most_wh], [0, 1]]
    assert [text.split(" ", 1)[1] for text in found.impossible] == ["Wh of port 1"]
    data["watt"] = [[most_wh + 1.0], [1]]
    found = read_statistics(Reply(response=510, data=data))
    assert [[*row] for row in found.energy_raw] == [[None], [1]]


@pytest.mark.parametrize("price", ["-0.21", "1e30", "10001"])
def test_a_price_that_cannot_be_makes_no_cost(price):
    data = {"type": 2, "watt": [[1000.0]], "cost": price}
    found = read_statistics(Reply(response=510, data=data))
    assert found.price is None
    assert found.impossible == (f"a price of {float(price):g}",)
    told = statistics([1000.0], price=found.price)
    assert (told.price_per_kwh, told.cost) == (None, None)
