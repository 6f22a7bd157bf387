"""A history's file that cannot be used: everything else goes on, and it is said once."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.errors import ConfigError, ReplyTimeout, UsageError
from structiot.gateway import HistoryFailing, HistoryWritten
from structiot.gateway.history.backlog import Backlog, Part, Stretch
from structiot.gateway.history.reader import asked
from tests.gateway.history_house import House, of
from tests.gateway.memory_house import followed, of_kind
from tests.gateway.notebook import POWER

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "store" / "history.sqlite")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.WARNING and "the history" in one.getMessage()
    ]


def figures(path: Path) -> list[float]:
    with closing(sqlite3.connect(path)) as file:
        return [one for (one,) in file.execute("SELECT value FROM figures")]


async def goes_on(house: House, reason: str, caplog: Any) -> Sequence[Any]:
    """See that devices are served and readings wait; give what was told of it."""
    async with house.gateway() as gateway, followed(gateway) as seen:
        await house.tell(100, power=1.0)
        assert gateway.devices["plug"].states["power"] == 1.0
        status = of(gateway).status()
        assert not status.is_writing
        assert reason in status.reason
        assert status.waiting > 0
        assert [one.reason for one in of_kind(seen, HistoryFailing)] in (
            [status.reason],
            [],
        )
    assert len(lines(caplog)) == 1, lines(caplog)
    assert reason in lines(caplog)[0]
    return seen


async def test_a_file_that_is_none_of_ours_is_left_alone(house: House, caplog):
    house.path.parent.mkdir()
    house.path.write_text("my diary " * 100)
    await goes_on(house, "no database", caplog)
    assert house.path.read_text() == "my diary " * 100


async def test_the_database_of_another_program(house: House, caplog):
    house.path.parent.mkdir()
    with closing(sqlite3.connect(house.path)) as file:
        file.execute("PRAGMA application_id = 7")
        file.execute("CREATE TABLE photos (name)")
        file.commit()
    before = house.path.read_bytes()
    await goes_on(house, "another program", caplog)
    assert house.path.read_bytes() == before


async def test_a_history_of_a_later_version(house: House, caplog):
    async with house.gateway():
        await house.tell(20, power=1.0)
    with closing(sqlite3.connect(house.path)) as file:
        file.execute("PRAGMA user_version = 99")
    await goes_on(house, "version 99", caplog)


async def test_a_folder_in_its_place(house: House, caplog):
    house.path.mkdir(parents=True)
    await goes_on(house, "no file", caplog)


async def test_a_file_that_is_free_again_gets_what_has_waited(house: House, caplog):
    house.path.parent.mkdir()
    lock = sqlite3.connect(f"{house.path}-lock", check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    async with house.gateway() as gateway, followed(gateway) as seen:
        start = house.now
        await house.tell(100, power=1.0)
        assert of(gateway).status().waiting > 0
        lock.close()
        await house.tell(100, power=2.0)
        assert of(gateway).status().is_writing
        course = await of(gateway).series("plug/power", start, house.now)
        assert {1.0, 2.0} <= set(course.mean)
    assert len(of_kind(seen, HistoryWritten)) == 1
    said = lines(caplog)
    assert "in use" in said[0]
    assert "written again" in said[-1]


def remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink()


def content(path: Path) -> bytes:
    return path.read_bytes()


def damage(path: Path) -> bytes:
    data = path.read_bytes()
    data = data[:4096] + os.urandom(len(data) - 4096)
    path.write_bytes(data)
    return data


async def test_a_file_that_is_deleted_is_begun_anew_with_all_that_is_known(
    house: House, caplog
):
    async with house.gateway() as gateway:
        await house.tell(60, power=1.0, relay=True)
        remove(house.path)
        await house.tell(200, mode="eco")
        start = house.now
        await house.tell(60)
        course = await of(gateway).series("plug/power", start, house.now)
        assert set(course.mean) == {1.0}
    assert "was removed" in caplog.text


async def test_a_damaged_file_is_moved_and_never_deleted(house: House, caplog):
    async with house.gateway():
        await house.tell(60, power=1.0)
    for number in range(2):
        data = damage(house.path)
        async with house.gateway() as gateway:
            await house.tell(60, power=float(number + 2))
            assert of(gateway).status().is_writing
        aside = f"{house.path.name}.damaged{number + 1 if number else ''}"
        assert content(house.path.with_name(aside)) == data
    assert figures(house.path) == [3.0]
    assert "is damaged" in caplog.text


async def test_a_disk_without_room_costs_the_oldest_of_what_waits(house: House):
    backlog = Backlog(10_000)
    stretches = [Stretch(number, 0, 1) for number in range(4)]
    for stretch in stretches:
        part = Part(stretch, 0, 1)
        for _ in range(20):
            part.add((POWER, 0, 1.0))
        backlog.put(part)
    assert backlog.lost == 20
    assert backlog.gone is stretches[0]
    parts = backlog.take()
    assert [part.stretch for part in parts] == stretches[1:]
    assert backlog.bytes == 0
    backlog.put(Part(stretches[3], 1, 2, rows=[(POWER, 1, 1.0)], bytes=4_000))
    backlog.give_back(parts)
    assert backlog.bytes <= 10_000
    assert backlog.gone is stretches[1]


async def test_no_history_without_a_path_or_where_it_is_off(house: House):
    async with house.gateway(enabled=False) as gateway:
        assert gateway.history is None


async def test_a_reload_takes_up_what_it_can(house: House):
    async with house.gateway() as gateway:
        await house.tell(20, power=1.0, mode="eco")
        section = house.section(
            commit_s=1, exclude=["*/power"], path="other", enabled=False
        )
        said = await gateway.reload({"toy": {}, "history": section})
        assert set(said) == {"path in [history]", "enabled in [history]"}
        await house.tell(20, power=2.0, mode="boost")
    assert figures(house.path) == [1.0]


def test_a_question_that_takes_too_long_ends(tmp_path: Path):
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA application_id = {int.from_bytes(b'sHis')}")
        file.execute("PRAGMA user_version = 1")
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT count(*) FROM n"
    )
    with pytest.raises(ReplyTimeout, match="did not answer"):
        asked(path, lambda one: one.execute(endless).fetchall(), [], answer_s=0.05)
    with pytest.raises(ConfigError, match="cannot be read"):
        asked(path, lambda one: one.execute("SELECT * FROM hours").fetchall(), [])


async def test_a_question_may_be_cancelled(house: House):
    async with house.gateway() as gateway:
        await house.tell(30, power=1.0)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await of(gateway).series(
                "plug/power", house.now, house.now.replace(year=2030)
            )
        assert scope.cancelled_caught
        with pytest.raises(UsageError):
            await of(gateway).series("plug/power", house.now, house.now)
