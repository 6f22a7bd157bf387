"""What is old goes, and the names of devices that have come and gone go with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.gateway.history.answers import Kind, RecordedSeries
from structiot.gateway.history.backlog import Occurred, Part, Stretch
from structiot.gateway.history.retention import Keep
from structiot.gateway.history.store import Batch, Store
from structiot.model import Occurrence
from tests.gateway.history_house import House, of, plug

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
START_MS = 1_767_225_600_000


def series(device: str, entity: str, kind: Kind, unit: str = "") -> RecordedSeries:
    return RecordedSeries(
        system="manager", device=device, entity=entity, kind=kind, unit=unit
    )


LAMP = series("lamp", "is_on", "text")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "history.sqlite")
    yield store
    store.close()


def apply(
    store: Store, at_ms: int, *told: RecordedSeries, raw_days: int = 1, **more: int
) -> None:
    """Write an hour in which each tells one value, and let go of what is old."""
    part = Part(Stretch(at_ms, at_ms, at_ms + HOUR_MS), at_ms, at_ms + HOUR_MS)
    for one in told:
        if one.kind == "event":
            part.happened(Occurred(one, at_ms, "ring", "{}"))
        else:
            value = "on" if one.kind == "text" else float(at_ms % 1000 + 7)
            part.add((one, at_ms, value))
    part.is_last = True
    keep = Keep(
        raw_ms=at_ms - raw_days * DAY_MS,
        fives_ms=at_ms - DAY_MS,
        hours_ms=at_ms - more["hours_days"] * DAY_MS if more else None,
    )
    store.apply(Batch(parts=[part]), keep=keep)


def asked(store: Store, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store.path)) as file:
        return file.execute(query).fetchall()


def devices(store: Store) -> set[object]:
    return {one for (one,) in asked(store, "SELECT device FROM series")}


def orphans(store: Store) -> int:
    """Count rows of series that there are not."""
    tables = ("figures", "steps", "hours", "marks", "meters", "occurrences")
    known = "(SELECT number FROM series)"
    return sum(
        len(asked(store, f"SELECT 1 FROM {one} WHERE series NOT IN {known}"))
        for one in tables
    )


@pytest.mark.parametrize("kind", ["figure", "energy", "switch", "text", "event"])
def test_a_series_of_which_nothing_is_left_goes(store: Store, kind: Kind):
    gone = series("gone", "key", kind, "Wh" if kind == "energy" else "")
    apply(store, START_MS, gone, LAMP, hours_days=3)
    apply(store, START_MS + HOUR_MS, LAMP, hours_days=3)
    assert devices(store) == {"gone", "lamp"}
    for day in range(1, 8):
        apply(store, START_MS + day * DAY_MS, LAMP, hours_days=3)
    assert devices(store) == {"lamp"}
    assert orphans(store) == 0
    # What comes again is known anew, also where another has got its number.
    at_ms = START_MS + 8 * DAY_MS
    apply(store, at_ms, replace(gone, device="other"), LAMP, hours_days=3)
    apply(store, at_ms + HOUR_MS, gone, LAMP, hours_days=3)
    assert devices(store) == {"lamp", "gone", "other"}
    assert orphans(store) == 0


def test_what_is_kept_for_ever_keeps_its_series(store: Store):
    power = series("gone", "power", "figure", "W")
    apply(store, START_MS, power, LAMP)
    for day in range(1, 9):
        apply(store, START_MS + day * DAY_MS, LAMP)
    assert devices(store) == {"gone", "lamp"}


def test_names_that_come_and_go_do_not_fill_the_file(store: Store):
    sizes = []
    for day in range(12):
        names = [f"{day}-{number}" for number in range(400)]
        told = [series(name, "is_on", "text") for name in names]
        apply(store, START_MS + day * DAY_MS, *told, LAMP)
        sizes.append(asked(store, "PRAGMA page_count")[0][0])
    assert len(devices(store)) <= 3 * 400 + 1
    assert sizes[-1] <= sizes[4] * 1.2
    assert orphans(store) == 0


def test_of_too_many_those_go_that_were_silent_longest(store: Store, monkeypatch):
    monkeypatch.setattr("structiot.gateway.history.retention._MOST_SERIES", 300)
    for day in range(12):
        names = [f"{day}-{number}" for number in range(100)]
        told = [series(name, "power", "figure", "W") for name in names]
        apply(store, START_MS + day * DAY_MS, *told, LAMP)
    found = devices(store)
    assert "lamp" in found
    # Those with readings stay anyway.
    assert {f"{day}-0" for day in (9, 10, 11)} <= found
    assert len(found) <= 401
    assert not [one for one in found if str(one).startswith(("1-", "2-", "5-"))]
    assert orphans(store) == 0


@pytest.mark.virtual_time
async def test_the_history_of_a_device_that_has_taken_a_place_is_its_own(
    tmp_path: Path,
):
    house = House(tmp_path / "history.sqlite")
    settings = {"commit_s": 300, "raw_days": 1, "five_minutes_days": 1, "hours_days": 1}
    async with house.gateway(**settings):
        await house.tell(100, energy=100.0, power=900.0, mode="old")
        house.plug.tell(
            Occurrence(key="bell", event_type="ring", data={}, at_utc=house.now)
        )
    house.plug = plug("P2")
    async with house.gateway(**settings) as gateway:
        for _ in range(4):
            house.clock.by += timedelta(days=1)
            await house.tell(100, mode="new")
            await anyio.sleep(700)
        house.plug.tell_state("energy", None)
        begun = house.now
        await house.tell(200, energy=5000.0, power=20.0)
        await house.tell(200, energy=5010.0)
        found = await of(gateway).energy("plug/energy", begun, house.now)
        course = await of(gateway).series("plug/power", begun, house.now)
    with closing(sqlite3.connect(house.path)) as file:
        rows = file.execute("SELECT DISTINCT device FROM series").fetchall()
    assert rows == [("P2",)]
    assert sum(bar.energy_wh or 0.0 for bar in found.bars) == 10.0
    assert {one for one in course.mean if one is not None} == {20.0}
