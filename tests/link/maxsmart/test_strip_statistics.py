"""Statistics of a strip: asked for, dated, summed, and not believed of another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    DeviceReplaced,
    ProtocolViolation,
    UsageError,
)
from structiot.maxsmart.wire.messages import (
    HttpNumber,
    ReadStatistics,
    StatisticsPeriod,
)
from structiot.sim import FAMILIES, SimClock, sim_maxsmart
from tests.link.maxsmart.strips import (
    HOST,
    SERIAL,
    WallClock,
    at,
    bench,
    is_there,
)

pytestmark = pytest.mark.virtual_time


def past(days: int = 40) -> dict[str, Any]:
    """Let a strip have drawn power for so long, by the same clock as its client's."""
    clock = SimClock(WallClock().start)
    return {"history": timedelta(days=days), "clock": clock, "utc_offset_h": 2}


@pytest.mark.parametrize(
    ("period", "number", "newest", "count"),
    [
        ("hourly", 0, at(2024, 5, 1, 13), 24),
        ("daily", 1, at(2024, 5, 1), 31),
        ("monthly", 2, at(2024, 5, 1), 12),
    ],
)
async def test_statistics_are_those_of_the_device(period, number, newest, count):
    async with bench(sim=past()) as b:
        found = await b.strip.get_statistics(5, period)
        assert (found.device, found.port, found.period) == (SERIAL, 5, period)
        assert len(found.points) == count
        assert found.points[-1].start == newest
        assert found.dated_by == "reply"
        assert (found.price_per_kwh, found.currency) == (0.21, "CHF")
        assert found.energy_wh is not None
        assert 0 < found.energy_wh <= b.sim.energy_wh(5) + 0.1
        assert found.cost == round(found.energy_wh / 1000 * 0.21, 4)
        assert await b.strip.get_statistics(5, number) == found
        (asked, _) = b.asked(HttpNumber.STATISTICS)
        assert asked.command == ReadStatistics(period=StatisticsPeriod(number))


async def test_port_zero_is_the_sum_of_all():
    async with bench(sim=past()) as b:
        total = await b.strip.get_statistics(period="daily")
        ports = [await b.strip.get_statistics(port, "daily") for port in range(1, 7)]
        for together, *points in zip(
            total.points, *(one.points for one in ports), strict=True
        ):
            expected = sum(point.energy_wh or 0.0 for point in points)
            assert together.energy_wh == pytest.approx(expected, abs=0.001)


async def test_a_plug_without_dates_is_dated_by_its_own_clock():
    async with bench("mh_plug_130", sim=past()) as b:
        b.sim.set_local_time(at(2023, 3, 1, 0, 30))
        found = await b.strip.get_statistics(0, "monthly")
        assert found.dated_by == "device_clock"
        assert found.points[-1].start == at(2023, 3, 1)
        assert found == replace(await b.strip.get_statistics(1, "monthly"), port=0)


async def test_without_any_date_the_clock_of_this_machine_has_to_do():
    family = replace(FAMILIES["mh_plug_130"], clock="hang_up")
    async with bench(family) as b:
        found = await b.strip.get_statistics(1, "hourly")
        assert found.dated_by == "client_clock"
        assert found.points[-1].start == at(2024, 5, 1, 13)


async def test_statistics_dated_by_the_clock_of_another_device_are_not_believed():
    def of_another(content: bytes) -> bytes:
        return content.replace(b'"code"', b'"sn":"SWP1000000000099","code"')

    async with bench("mh_plug_130") as b:
        b.sim.faults.change_next(of_another, on="502")
        with pytest.raises(DeviceReplaced):
            await b.strip.get_statistics(1, "hourly")
        assert not is_there(b.strip)


async def test_a_clock_that_was_never_set_dates_nothing():
    async with bench("mh_plug_130") as b:
        b.sim.set_local_time(at(1970, 1, 1))
        found = await b.strip.get_statistics(1, "monthly")
        assert found.dated_by == "client_clock"
        assert found.points[-1].start == at(2024, 5, 1)


async def test_statistics_read_while_the_hour_turns_are_read_again():
    async with bench("mh_plug_130") as b:
        b.sim.set_local_time(at(2024, 5, 1, 13, 59, 59, 500_000))
        b.sim.faults.delay_s = 0.6
        found = await b.strip.get_statistics(1, "hourly")
        assert len(b.asked(HttpNumber.STATISTICS)) == 2
        assert found.points[-1].start == at(2024, 5, 1, 14)


@pytest.mark.parametrize("lie", ["data_missing", "data_null", "watt_missing", "half"])
async def test_statistics_that_cannot_be_read_are_a_violation(lie):
    async with bench() as b:
        b.sim.faults.lie_next(lie, on="510")
        with pytest.raises(ProtocolViolation):
            await b.strip.get_statistics(1, "daily")
        assert b.strip.supports("statistics")


@pytest.mark.parametrize("lie", ["watt_short", "watt_long", "watt_empty"])
async def test_rows_for_another_number_of_ports_are_a_violation(lie):
    async with bench() as b:
        b.sim.faults.lie_next(lie, on="510")
        with pytest.raises(ProtocolViolation, match="rows"):
            await b.strip.get_statistics(1, "daily")


@pytest.mark.parametrize("port", [7, -1, 1.0, "1", None, True])
async def test_no_such_port_is_told_before_anything_is_sent(port):
    async with bench() as b:
        sent = len(b.sim.requests)
        with pytest.raises(UsageError):
            await b.strip.get_statistics(port)
        with pytest.raises(UsageError):
            await b.strip.change_port_name(port, "Lamp")
        with pytest.raises(UsageError, match="a period is"):
            await b.strip.get_statistics(1, "weekly")  # type: ignore[arg-type]
        assert len(b.sim.requests) == sent


async def test_statistics_of_another_device_are_not_believed():
    async with bench() as b:
        await anyio.sleep(120)
        await b.sim.unplug()
        async with sim_maxsmart(
            HOST, environment=Environment(network=b.network), serial="SWP6000000000099"
        ):
            with pytest.raises(DeviceReplaced):
                await b.strip.get_statistics()
