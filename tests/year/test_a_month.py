"""A month of virtual time: all troubles each day, and nothing grows or is forgotten.

A strip, a Meross device by the cloud and one by the local network, a lamp and a meter that
dial in and a Tasmota are served with a history, and offered to a platform; `TROUBLES` of
the house comes over them every day. Takes 15 minutes of processor time for each backend:
`nox -s month`. STRUCTIOT_MONTH_DAYS sets another length.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from tests.gateway.endurance_devices import CLOUD_LOAD, LAN_LOAD, now_s
from tests.gateway.endurance_house import EnduranceHouse, endurance_house
from tests.gateway.history_house import of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(6 * 3600)]

DAYS = int(os.environ.get("STRUCTIOT_MONTH_DAYS", "30"))
DAY_S = 86_400.0
# Tables that are bounded fill in the first days. Before that, less is seen.
SETTLED_AFTER = 9


def rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def held(house: EnduranceHouse) -> dict[str, int]:
    return {**house.held(), "rss": rss_bytes()}


def kinds_held() -> Counter[str]:
    # What is over is not held.
    gc.collect()
    return Counter(type(one).__qualname__ for one in gc.get_objects())


def check_flat(days: list[dict[str, int]]) -> None:
    is_settled = len(days) > SETTLED_AFTER + 1
    first, last = days[SETTLED_AFTER if is_settled else 0], days[-1]
    # A poll, or a commit, may be under way.
    assert abs(last["tasks"] - first["tasks"]) <= 4, days
    # In a month, three objects for each trouble and day are too many.
    for what in ("objects", "blocks"):
        room = 0.02 if is_settled else 0.1
        assert last[what] <= (1 + room) * first[what], (what, days)
    assert last["rss"] <= first["rss"] + 8_000_000, days


async def check_energy(house: EnduranceHouse, began_s: float, own_wh: float) -> None:
    """Compare the history with the simulators' own account."""
    until_s = now_s()
    # Plugs have no counter that goes on: theirs is of power, for as long as it was heard.
    # The one in the local network is away when the strip is.
    counted_wh, _ = await house.energy("local/energy")
    heard_wh = LAN_LOAD.high_w * (until_s - began_s - house.unheard_s) / 3600
    sys.stdout.write(f"local: {counted_wh:.0f} of {heard_wh:.0f} Wh that were heard\n")
    assert counted_wh == pytest.approx(heard_wh, rel=0.005)
    counted_wh, _ = await house.energy(f"{house.plug_slug}/energy")
    drawn_wh = CLOUD_LOAD.energy_wh(began_s, until_s)
    sys.stdout.write(f"by the cloud: {counted_wh:.0f} of {drawn_wh:.0f} Wh\n")
    assert 0.5 * drawn_wh < counted_wh <= 1.005 * drawn_wh
    # Asked every three minutes, it is known to change up to so much later than it does.
    began_utc = datetime.fromtimestamp(began_s, UTC)
    hours = await house.whole_hours(f"{house.plug_slug}/power_w", began_utc)
    counted_wh = sum(bar.energy_wh or 0.0 for bar in hours)
    heard_wh = sum(
        CLOUD_LOAD.energy_wh(bar.from_utc.timestamp(), bar.until_utc.timestamp())
        for bar in hours
    )
    sys.stdout.write(f"of it in {len(hours)} hours that were heard: ")
    sys.stdout.write(f"{counted_wh:.0f} of {heard_wh:.0f} Wh\n")
    assert len(hours) > 8 * DAYS
    # Early and late cancel each other out with time.
    within = 0.005 if DAYS >= 30 else 0.02
    assert counted_wh == pytest.approx(heard_wh, rel=within)
    power_wh, heard_s = await house.energy("local/power_w")
    assert power_wh == pytest.approx(LAN_LOAD.high_w * heard_s / 3600, rel=0.005)
    for key, counter in house.counters.items():
        counted_wh, _ = await house.energy(key)
        sys.stdout.write(f"{key}: {counted_wh:.0f} of {counter.own_wh:.0f} Wh, ")
        sys.stdout.write(f"{counter.resets} resets\n")
        assert counted_wh == pytest.approx(counter.own_wh, rel=0.005)
    strip_wh, _ = await house.energy("strip/total_energy")
    heard_wh = house.strip_wh() - own_wh - house.unheard_wh
    sys.stdout.write(f"strip: {strip_wh:.0f} of {heard_wh:.0f} Wh that were heard\n")
    assert strip_wh == pytest.approx(heard_wh, rel=0.005)


async def test_a_month_leaves_no_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    # What is logged is kept by pytest, and would be what grows.
    caplog.set_level(logging.CRITICAL, logger="structiot")
    days: list[dict[str, int]] = []
    named: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    async with endurance_house(tmp_path, commit_s=300, raw_days=1) as house:
        began_s, own_wh = now_s(), house.strip_wh()
        for number in range(DAYS):
            await house.day(DAY_S, number)
            days.append({"seconds": round(time.process_time()), **held(house)})
            before, named = (
                named,
                Counter(one.name or "" for one in anyio.get_running_tasks()),
            )
            sys.stdout.write(f"day {number + 1}: {days[-1]}\n")
            if number and named != before:
                sys.stdout.write(f"begun: {named - before}, over: {before - named}\n")
            if number == SETTLED_AFTER:
                kinds = kinds_held()
            sys.stdout.flush()
            assert house.wrong() == []
            assert of(house.gateway).status().is_writing
        # In time that it has already, after a clock was set back, a history writes nothing;
        # what counters have gained meanwhile it has when that is over.
        await anyio.sleep(DAY_S if DAYS % 2 == 0 else 600)
        sys.stdout.write(f"more: {(kinds_held() - kinds).most_common(12)}\n")
        await check_energy(house, began_s, own_wh)
    check_flat(days)


@pytest.mark.parametrize("what", ["objects", "blocks", "tasks", "rss"])
def test_growth_is_seen(what: str):
    flat = {"objects": 120_000, "blocks": 500_000, "tasks": 146, "rss": 100_000_000}
    a_day = {"objects": 150, "blocks": 600, "tasks": 1, "rss": 500_000}
    check_flat([flat] * 30)
    with pytest.raises(AssertionError):
        check_flat([{**flat, what: flat[what] + n * a_day[what]} for n in range(30)])
