"""The clock and the meters of simulated strips."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from structiot import Environment
from structiot.sim import FAMILIES, CyclingLoad, SimClock, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.sim.asking import http_json, udp_asker

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"
NOON_UTC = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


async def time_of(network: MemoryNetwork) -> str:
    reply = await http_json(network, HOST, "/?cmd=502")
    return str(reply["data"]["time"])


async def statistics(
    network: MemoryNetwork, period: int
) -> tuple[str, list[list[float]]]:
    reply = await http_json(network, HOST, f"/?cmd=510&json=%7B%22type%22:{period}%7D")
    rows = reply["data"]["watt"]
    return reply["data"]["date"], [[float(figure) for figure in row] for row in rows]


# ---------------------------------------------------------------- the clock


async def test_the_clock_goes_by_the_time_of_the_simulation():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, clock=SimClock(NOON_UTC), environment=Environment(network=network)
    ):
        assert await time_of(network) == "2024-05-01,13:00:00"
        await anyio.sleep(3661)
        assert await time_of(network) == "2024-05-01,14:01:01"


async def test_a_fast_clock_makes_hours_of_seconds():
    clock = SimClock(NOON_UTC, speed=3600)
    assert clock.utc() == NOON_UTC
    await anyio.sleep(2)
    assert clock.utc() == NOON_UTC + timedelta(hours=2)
    clock.jump(60)
    assert clock.utc() == NOON_UTC + timedelta(hours=2, minutes=1)


async def test_without_a_start_the_clock_shows_wall_time():
    assert abs(SimClock().utc() - datetime.now(UTC)) < timedelta(seconds=60)


@pytest.mark.parametrize(
    ("request_text", "shown"),
    [
        # With a zone, the time is local and the zone is kept.
        ("00dv=all,2020-02-03,04:05:06,14;", "2020-02-03,04:05:06"),
        # Without one, it is taken for UTC and moved by the zone kept so far.
        ("00dv=all,2020-02-03,04:05:06;", "2020-02-03,05:05:06"),
        ("00sw=all,2020-02-03,04:05:06,-7", "2020-02-03,04:05:06"),
        # What cannot be read leaves the clock alone.
        ("00dv=all;", "2024-05-01,13:00:00"),
        ("00sw=all,,,;", "2024-05-01,13:00:00"),
        ("00dv=all,{datetime};", "2024-05-01,13:00:00"),
        ("00dv=all,2020-02-31,04:05:06;", "2024-05-01,13:00:00"),
    ],
)
async def test_discovery_sets_the_clock(request_text, shown):
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST, clock=SimClock(NOON_UTC), environment=Environment(network=network)
        ),
        udp_asker(network, HOST) as asker,
    ):
        await asker.ask(request_text)
        assert await time_of(network) == shown


async def test_the_zone_of_one_discovery_is_used_by_the_next():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST, clock=SimClock(NOON_UTC), environment=Environment(network=network)
        ),
        udp_asker(network, HOST) as asker,
    ):
        await asker.ask("00dv=all,2024-05-01,17:00:00,17;")
        await asker.ask("00dv=all,2024-05-01,12:00:00;")
        assert await time_of(network) == "2024-05-01,17:00:00"


async def test_a_discovery_for_another_strip_leaves_the_clock_alone():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST, clock=SimClock(NOON_UTC), environment=Environment(network=network)
        ),
        udp_asker(network, HOST) as asker,
    ):
        await asker.say("00dv=SWP6999999999999,2020-02-03,04:05:06,14;")
        assert await asker.hear(within_s=2) is None
        assert await time_of(network) == "2024-05-01,13:00:02"


async def test_nonsense_resets_the_clock_where_the_row_says_so():
    network = MemoryNetwork()
    family = replace(FAMILIES["mh_strip_130"], is_clock_reset_by_nonsense=True)
    async with (
        sim_maxsmart(
            HOST,
            family=family,
            clock=SimClock(NOON_UTC),
            environment=Environment(network=network),
        ),
        udp_asker(network, HOST) as asker,
    ):
        await asker.ask("00dv=all,{datetime};")
        assert await time_of(network) == "2000-01-01,00:00:00"


async def test_the_clock_can_be_set_by_hand():
    async with sim_maxsmart(
        HOST, environment=Environment(network=MemoryNetwork())
    ) as sim:
        sim.set_local_time(datetime(1999, 12, 31, 23, 59))  # noqa: DTZ001
        assert sim.local_time() == datetime(1999, 12, 31, 23, 59)  # noqa: DTZ001


# ---------------------------------------------------------------- the meters


async def test_hours_hold_the_energy_that_was_drawn():
    network = MemoryNetwork()
    clock = SimClock(NOON_UTC)
    async with sim_maxsmart(
        HOST,
        loads=[60, 0, 0, 0, 0, 30],
        clock=clock,
        environment=Environment(network=network),
    ):
        await anyio.sleep(5400)
        date, rows = await statistics(network, 0)
    assert date == "2024-05-01-14"
    assert rows[0] == [0.0] * 22 + [60.0, 30.0]
    assert rows[5] == [0.0] * 22 + [30.0, 15.0]
    assert rows[1:5] == [[0.0] * 24] * 4


async def test_days_and_months_hold_the_same_energy():
    network = MemoryNetwork()
    clock = SimClock(datetime(2024, 4, 30, 23, 0, tzinfo=UTC))
    loads = [100, 0, 0, 0, 0, 0]
    async with sim_maxsmart(
        HOST,
        loads=loads,
        clock=clock,
        utc_offset_h=0,
        environment=Environment(network=network),
    ):
        await anyio.sleep(25 * 3600 + 1800)
        assert (await statistics(network, 1))[1][0] == [0.0] * 28 + [
            100.0,
            2400.0,
            50.0,
        ]
        date, rows = await statistics(network, 2)
    assert date == "2024-05"
    assert rows[0] == [0.0] * 10 + [100.0, 2450.0]


async def test_nothing_is_drawn_while_a_port_is_off_or_the_load_is_gone():
    network = MemoryNetwork()
    clock = SimClock(NOON_UTC)
    async with sim_maxsmart(
        HOST, loads=[60] * 6, clock=clock, environment=Environment(network=network)
    ) as sim:
        await anyio.sleep(600)
        sim.ports[1] = False
        sim.set_load(2, 0)
        await anyio.sleep(600)
        await sim.press(1)
        sim.set_load(2, 120)
        await anyio.sleep(600)
        _, rows = await statistics(network, 0)
        assert [row[-1] for row in rows] == [20.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        assert sim.energy_wh(1) == pytest.approx(20)


async def test_a_lagging_relay_draws_until_it_switches():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, loads=[3600] * 6, environment=Environment(network=network)
    ) as sim:
        sim.faults.relay_lag_s = 10
        await http_json(
            network, HOST, "/?cmd=200&json=%7B%22port%22:1,%22state%22:0%7D"
        )
        await anyio.sleep(5)
        assert sim.energy_wh(1) == pytest.approx(5)
        await anyio.sleep(5)
        assert sim.energy_wh(1) == pytest.approx(10)
        await anyio.sleep(100)
        assert sim.energy_wh(1) == pytest.approx(10)


async def test_a_clock_set_forward_goes_on_in_another_bucket():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST,
            loads=[60] * 6,
            clock=SimClock(NOON_UTC),
            environment=Environment(network=network),
        ),
        udp_asker(network, HOST) as asker,
    ):
        await anyio.sleep(1800)
        await asker.ask("00dv=all,2024-05-01,16:00:00,14;")
        await anyio.sleep(900)
        date, rows = await statistics(network, 0)
    assert date == "2024-05-01-16"
    assert rows[0][-4:] == [30.0, 0.0, 0.0, 15.0]


async def test_a_history_fills_the_buckets_before_the_start():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST,
        loads=[100] * 6,
        clock=SimClock(NOON_UTC),
        utc_offset_h=0,
        history=timedelta(days=400),
        environment=Environment(network=network),
    ):
        assert (await statistics(network, 0))[1][0] == [100.0] * 23 + [0.0]
        assert (await statistics(network, 1))[1][0] == [2400.0] * 30 + [1200.0]
        months = (await statistics(network, 2))[1][0]
    assert months == [
        days * 2400.0 for days in (30, 31, 31, 30, 31, 30, 31, 31, 29, 31, 30)
    ] + [1200.0]


async def test_statistics_agree_with_the_power_that_was_reported():
    """A fridge and a television polled every 10 s for a day, within 0.5 %."""
    network = MemoryNetwork()
    clock = SimClock(datetime(2024, 5, 1, 0, 0, tzinfo=UTC))
    async with sim_maxsmart(
        HOST,
        seed=1,
        clock=clock,
        utc_offset_h=0,
        environment=Environment(network=network),
    ) as sim:
        summed_wh = [0.0] * 6
        for _ in range(8640):
            await anyio.sleep(5)
            for index in range(6):
                summed_wh[index] += sim.power_w(index + 1) * 10 / 3600
            await anyio.sleep(5)
        _, rows = await statistics(network, 1)
    assert [row[-2] for row in rows] == pytest.approx(summed_wh, rel=0.005)


async def test_power_varies_over_time_and_is_the_same_in_every_run():
    seen = []
    for _ in range(2):
        async with sim_maxsmart(
            HOST,
            clock=SimClock(NOON_UTC),
            environment=Environment(network=MemoryNetwork()),
        ) as sim:
            watts = []
            for _ in range(360):
                watts.append(round(sim.power_w(3), 2))
                await anyio.sleep(10)
            seen.append(watts)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 50
    assert max(seen[0]) > 60
    assert min(seen[0]) < 2


def test_the_energy_of_a_load_is_the_integral_of_its_power():
    load = CyclingLoad(
        high_w=90,
        low_w=2,
        period_s=2700,
        duty=0.35,
        phase_s=400,
        ripple=0.1,
        ripple_s=41,
    )
    begin, end, step = 1_700_000_000.0, 1_700_010_000.0, 0.5
    ticks = int((end - begin) / step)
    summed = (
        sum(load.power_w(begin + (tick + 0.5) * step) for tick in range(ticks)) * step
    )
    assert load.energy_wh(begin, end) == pytest.approx(summed / 3600, rel=1e-4)
    assert load.energy_wh(end, begin) == 0
    parts = [
        load.energy_wh(begin + i * 1000, begin + (i + 1) * 1000) for i in range(10)
    ]
    assert sum(parts) == pytest.approx(load.energy_wh(begin, end))
