"""Devices, files and servers that mean no good: the history and the gateway go on."""

from __future__ import annotations

import gc
import math
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import pytest

from structiot._kit.flow.backoff import Backoff
from structiot._kit.http.messages import HttpReply
from structiot.errors import ConfigError, RateLimited
from structiot.gateway.history.backlog import Backlog, Part, Stretch
from structiot.gateway.history.known import MOST_HAPPENED
from structiot.gateway.history.reader import asked
from structiot.gateway.retrying import Retrying
from structiot.model import (
    EntitiesChanged,
    Event,
    Light,
    LightState,
    Occurrence,
    Sensor,
    Switch,
)
from tests.gateway.history_house import House, of
from tests.gateway.influx_server import InfluxServer
from tests.gateway.notebook import POWER

pytestmark = pytest.mark.virtual_time

V2 = {"url": "http://127.0.0.1:8086", "org": "o", "bucket": "b", "token": "secret!"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "store" / "history.sqlite")


def all_in(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute(query).fetchall()


NAMES = ["\ud800", "=cmd()", "a\r\nb", "x" * 500_000, "'; DROP TABLE series;--", "\0"]


async def test_any_name_and_unit_is_written(house: House):
    house.plug.entities = tuple(
        Sensor(
            key=f"s{number}",
            name=name,
            unit=name,
            state_class="measurement",
            decimals=10**30,
        )
        for number, name in enumerate(NAMES)
    )
    async with house.gateway(commit_s=1) as gateway:
        await house.tell(30, **{f"s{number}": 1 for number in range(len(NAMES))})
        assert of(gateway).status().is_writing
    rows = all_in(house.path, "SELECT label, unit, decimals FROM series")
    assert len(rows) == len(NAMES)
    for label, unit, decimals in rows:
        assert str(label).isprintable()
        assert len(str(label)) <= 100
        assert len(str(unit)) <= 32
        assert decimals == 15


EXTREMES = [1e308, -1e308, math.inf, math.nan, 10**400, 1e308, -1.7e308, 5.0]


async def test_figures_without_an_end_cost_nobody_the_history(house: House, caplog):
    async with house.gateway(commit_s=1) as gateway:
        begin = house.now
        for figure in EXTREMES:
            house.plug.tell_state("power", figure)
            house.plug.tell_state("energy", figure)
            await house.tell(400)
        await house.tell(4000)
        course = await of(gateway).series("plug/power", begin, house.now)
        bars = await of(gateway).energy("plug/energy", begin, house.now, "hour")
    told = [one for one in (*course.mean, *course.max) if one is not None]
    assert set(told) == {5.0}
    assert all(math.isfinite(one.energy_wh or 0.0) for one in bars.bars)
    assert "damaged" not in caplog.text


class Strange(BaseException):
    """What no device should raise."""


@pytest.mark.parametrize("silent_s", [Strange("no"), math.nan, math.inf, -1e9, 1e300])
async def test_a_device_that_cannot_say_how_long_it_is_silent(
    house: House, silent_s: BaseException | float, monkeypatch
):
    def odd(_: str) -> float:
        if isinstance(silent_s, BaseException):
            raise silent_s
        return silent_s

    async with house.gateway(commit_s=1, heartbeat_s=10) as gateway:
        await house.tell(30, power=1.0)
        monkeypatch.setattr(house.plug, "silent_s", odd)
        await house.tell(60, power=2.0)
        house.away()
        await anyio.sleep(30)
        monkeypatch.undo()
        house.away(is_available=True)
        await house.tell(60, power=3.0)
        begin = house.now
        await house.tell(60)
        course = await of(gateway).series("plug/power", begin, house.now)
    assert set(course.mean) == {3.0}


async def test_what_no_file_takes_goes_and_the_rest_is_written(
    house: House, caplog, monkeypatch
):
    def unwritable(_: object) -> bytes:
        raise RuntimeError("nobody thought of that")

    server = InfluxServer()
    async with server.on(house.network), house.gateway(influxdb=V2) as gateway:
        await house.tell(60, power=1.0)
        lines = "structiot.gateway.history.history.lines_of"
        monkeypatch.setattr(lines, lambda *_: unwritable(None))
        await house.tell(60, power=2.0)
        assert not of(gateway).status().is_writing
        monkeypatch.undo()
        await house.tell(400, power=3.0)
        begin = house.now
        await house.tell(60)
        assert of(gateway).status().is_writing
        assert of(gateway).status().lost > 0
        course = await of(gateway).series("plug/power", begin, house.now)
    assert set(course.mean) == {3.0}
    assert caplog.text.count("is not written: nobody thought of that") == 1


def test_what_is_given_up_takes_the_rest_of_its_stretch_along():
    backlog, stretch = Backlog(1_000_000), Stretch(0, 0, 3_600_000)
    first, second = Part(stretch, 0, 1), Part(stretch, 1, 2)
    other = Part(Stretch(2, 0, 3_600_000), 2, 3)
    for part in (first, second, other):
        part.add((POWER, part.from_ms, 1.0))
    for part in (second, other):
        backlog.put(part)
    backlog.give_up([first])
    assert backlog.take() == [other]
    assert (backlog.lost, backlog.gone) == (2, stretch)


async def test_entities_that_come_and_go_leave_nothing_behind(house: House):
    def known() -> int:
        return sum(type(one).__name__ == "Known" for one in gc_objects())

    async with house.gateway(commit_s=1, heartbeat_s=10):
        for turn in range(20):
            keys = [f"k{turn}_{number}" for number in range(20)]
            house.plug.entities = tuple(Switch(key=key) for key in keys)
            house.plug.states.clear()
            house.plug.tell(EntitiesChanged(at_utc=house.now))
            await anyio.lowlevel.checkpoint()
            await house.tell(1, **dict.fromkeys(keys, True))
        await house.tell(30)
        assert known() <= 40


def gc_objects() -> list[object]:
    gc.collect()
    return gc.get_objects()


async def test_a_device_of_many_lamps_does_not_hold_the_loop(
    house: House, watched_loop
):
    lamps = [f"l{number}" for number in range(512)]
    house.plug.entities = tuple(
        Light(key=key, color_modes=frozenset({"brightness", "color_temp"}))
        for key in lamps
    )
    shining = LightState(is_on=True, brightness_percent=50.0, color_temp_k=3000)
    async with house.gateway(commit_s=1, heartbeat_s=10):
        for key in lamps:
            house.plug.tell_state(key, shining)
            await anyio.lowlevel.checkpoint()
        await house.tell(5)
        async with watched_loop(0.05):
            await house.tell(30)
            await anyio.sleep(120)


async def test_who_tells_of_events_without_an_end_has_a_share_of_the_file(
    house: House, caplog
):
    async with house.gateway() as gateway:
        for number in range(MOST_HAPPENED + 300):
            told = Occurrence(key="bell", event_type="ring", at_utc=house.now)
            house.plug.tell(told)
            if number % 4 == 0:
                await anyio.sleep(0.2)
        await house.tell(60, power=1.0)
        assert of(gateway).status().lost == 300
        begin = house.now
        await house.tell(60)
        course = await of(gateway).series("plug/power", begin, house.now)
    assert set(course.mean) == {1.0}
    (count,) = all_in(house.path, "SELECT count(*) FROM occurrences")[0]
    assert count == MOST_HAPPENED
    assert caplog.text.count("plug tells too much") == 1


async def test_no_event_is_a_line_of_its_own_elsewhere(house: House):
    what = "a\nstructiot,device=other value=1 1"
    house.plug.entities = (Event(key="bell", event_types=(what,)),)
    server = InfluxServer()
    async with server.on(house.network), house.gateway(influxdb=V2, commit_s=1):
        told = Occurrence(key="bell", event_type=what, at_utc=house.now)
        house.plug.tell(told)
        await anyio.sleep(30)
    assert len(server.points) == 1
    assert server.points[0].tags["device"] == "P1"


@pytest.mark.parametrize("after", ["1e300", "-1", "nan", "9" * 4000])
async def test_a_server_that_says_no_time_is_asked_again(house: House, after: str):
    server = InfluxServer()
    server.replies = [HttpReply(status=429, headers={"Retry-After": after})]
    async with server.on(house.network), house.gateway(influxdb=V2):
        await house.tell(30, power=1.0)
        if not after.isdecimal():
            await anyio.sleep(600)
            assert len(server.requests) > 1


@pytest.mark.parametrize("after_s", [1e300, math.inf])
async def test_nobody_is_left_alone_for_ever(after_s: float):
    await anyio.lowlevel.checkpoint()
    retrying = Retrying(lambda: Backoff(first_s=1.0, cap_s=60.0), Random(1))
    delay_s = retrying.delay_after(RateLimited("busy", retry_after_s=after_s))
    assert delay_s is not None
    assert delay_s <= 86_400


async def test_a_question_of_any_time_is_answered(house: House):
    zone = {"timezone": "Asia/Tokyo"}
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    async with house.gateway(**zone) as gateway:
        await house.tell(60, power=1.0, energy=1.0)
        course = await of(gateway).series("plug/power", begin, end)
        bars = await of(gateway).energy(
            "plug/energy", datetime(9998, 12, 31, tzinfo=UTC), end, "month"
        )
    assert {1.0} <= set(course.mean)
    assert bars.bars


def damaged_history(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("UPDATE stretches SET from_ms = 'then', hour_ms = x'00'")


async def test_a_question_to_what_is_no_figure_says_so(house: House):
    async with house.gateway():
        await house.tell(60, power=1.0)
    await anyio.to_thread.run_sync(damaged_history, house.path)

    def question(connection: sqlite3.Connection) -> int:
        (found,) = connection.execute("SELECT from_ms FROM stretches").fetchone()
        return int(found + 1)

    with pytest.raises(ConfigError, match="cannot be read"):
        await anyio.to_thread.run_sync(lambda: asked(house.path, question, 0))


async def test_what_waits_for_a_server_may_be_anything(house: House):
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            values = [(1, "text"), (2, 10**12), (3, 1.5)]
            file.executemany("INSERT OR REPLACE INTO outbox VALUES (?, ?)", values)

    async with house.gateway(influxdb=V2):
        await house.tell(30, power=1.0)
    await anyio.to_thread.run_sync(write, house.path)
    server = InfluxServer()
    async with server.on(house.network), house.gateway(influxdb=V2):
        await house.tell(60, power=2.0)
    assert {2.0} <= {one.fields["value"] for one in server.points}


async def test_a_pipe_in_its_place(house: House, caplog):
    house.path.parent.mkdir(parents=True)
    os.mkfifo(house.path)
    async with house.gateway() as gateway:
        await house.tell(60, power=1.0)
        assert not of(gateway).status().is_writing
        begin = datetime.min.replace(tzinfo=UTC)
        course = await of(gateway).series("plug/power", begin, house.now)
        assert not course.t
    assert caplog.text.count("it is no file") == 1
