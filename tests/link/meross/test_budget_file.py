"""No device is sent more than it may be, whatever programs come and go."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from structiot import Environment
from structiot.errors import ConfigError
from structiot.meross.account_state import open_account_state
from structiot.meross.errors import CallDropped
from structiot.testing import cancel_sweep
from structiot.testing.clock import virtual_backend, virtual_clock
from tests.link.meross.budgets import (
    ENVIRONMENT,
    HOUR_S,
    Programs,
    command,
    most_in,
    opened,
)

virtual = pytest.mark.virtual_time

# Meross blocks who sends a device 200 an hour.
BANNED_AT = 200


@virtual
async def test_what_was_sent_outlasts_a_restart(tmp_path):
    file = tmp_path / "budget"
    for used in range(1, 6):
        async with opened(file) as budget:
            await command(budget)
            assert budget.of("plug").used == used
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@virtual
async def test_what_a_killed_program_has_sent_counts(tmp_path):
    file = tmp_path / "budget"
    # Nobody closes this one before the other is opened.
    async with opened(file) as budget:
        await command(budget)
        await command(budget)
        async with opened(file) as again:
            assert again.of("plug").used == 2
            assert again.of("lamp").used == 0


@pytest.mark.parametrize("damage", ["cut", "garbage", "a few words", "nothing left"])
@virtual
async def test_a_damaged_file_leaves_little_also_after_another_restart(
    tmp_path, damage, caplog
):
    file = tmp_path / "budget"
    async with opened(file) as budget:
        await command(budget)
    whole = file.read_bytes()
    content = {
        "cut": whole[:4_096],
        "garbage": whole[:100] + b"\xa5" * (len(whole) - 100),
        "a few words": whole[:9],
        "nothing left": b"\0" * 5_000,
    }[damage]
    file.write_bytes(content)
    async with opened(file) as budget:
        assert budget.of("plug").left == 15
        await command(budget, wait_s=60)
    assert caplog.messages[0].startswith(f"{file} cannot be used, so little is sent")
    assert (tmp_path / "budget.damaged").read_bytes() == content
    async with opened(file) as budget:
        assert budget.of("plug").left == 14
        assert budget.of("never seen before").left == 15
        await anyio.sleep(HOUR_S + 1)
        assert budget.of("plug").left == 180
        assert budget.of("another").left == 180


OTHERS = ["text", "JSON", "database", "marked", "marked and damaged", "ours and more"]


@pytest.mark.parametrize("kind", OTHERS)
@virtual
async def test_a_file_of_others_is_refused_and_left_as_it_is(tmp_path, kind, caplog):
    file = tmp_path / "history"
    if kind in {"text", "JSON"}:
        file.write_text({"text": "milk, eggs\n" * 999, "JSON": '{"version": 2}'}[kind])
    elif kind == "ours and more":
        async with opened(file):
            pass
    if kind not in {"text", "JSON"}:
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE history (at REAL)")
            if "marked" in kind:
                other.execute("PRAGMA application_id=77")
    if "damaged" in kind:
        file.write_bytes(file.read_bytes()[:100] + b"\xa5" * 9_000)
    file.chmod(0o644)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="left alone") as caught:
        async with opened(file):
            pytest.fail("it is somebody else's")
    assert str(file) in str(caught.value)
    assert file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["history"]
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "link to a pipe"])
@virtual
async def test_what_is_no_file_is_refused_and_left_alone(tmp_path, kind):
    """Read, a pipe ends never; a device, such as /dev/null, was closed to others."""
    file = place = tmp_path / "state"
    if "link" in kind:
        place = tmp_path / "pipe"
        file.symlink_to(place)
    with socket.socket(socket.AF_UNIX) as one:
        if kind == "socket":
            one.bind(str(place))
        elif kind == "folder":
            place.mkdir()
        else:
            os.mkfifo(place)
        place.chmod(0o666)
        before = place.stat()
        with pytest.raises(ConfigError, match="it is no file"):
            async with opened(file):
                pytest.fail("it is no file")
        after = place.stat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


class Holder:
    """Another program that has the file for itself, which every other waits for."""

    def __init__(self, file: Path, *, is_exclusive: bool) -> None:
        self._other = sqlite3.connect(file, isolation_level=None)
        if is_exclusive:
            self._other.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._other.execute("BEGIN IMMEDIATE")
        self._other.execute("INSERT INTO sent (device, at_s) VALUES ('none', 0)")

    def let_go(self) -> None:
        # What is not committed is given up.
        self._other.close()


@pytest.mark.parametrize("is_exclusive", [False, True])
async def test_messages_do_not_wait_for_who_holds_the_file_and_none_is_lost(
    tmp_path, caplog, is_exclusive
):
    file = tmp_path / "budget"
    async with open_account_state(file) as state:
        await state.note("plug")
    holder = Holder(file, is_exclusive=is_exclusive)
    try:
        begun = time.monotonic()
        async with open_account_state(file) as state:
            opened_s = time.monotonic() - begun
            earlier = await state.sent_earlier()
            begun = time.monotonic()
            for number in range(50):
                await state.note(f"plug {number}")
                await state.keep(f"device/{number % 3}", {"number": number})
            spent_s = time.monotonic() - begun
            holder.let_go()
    finally:
        holder.let_go()
    assert opened_s < 3
    assert spent_s < 1
    # Where nobody lets it be read, it is not known what was sent.
    assert [one.device for one in earlier] == ["" if is_exclusive else "plug"]
    (said,) = caplog.messages
    assert "locked" in said
    async with open_account_state(file) as state:
        sent = {one.device for one in await state.sent_earlier()}
        assert sent >= {"plug", *(f"plug {number}" for number in range(50))}
        kept = await state.kept("device/")
        assert kept == {str(n % 3): {"number": n} for n in (47, 48, 49)}


@virtual
async def test_what_waits_is_written_while_the_program_runs(tmp_path, caplog):
    file = tmp_path / "budget"
    async with open_account_state(file) as state, open_account_state(file) as other:
        await other.note("lamp")
        number, earlier = await state.note("plug")
        assert (number, [one.device for one in earlier]) == (2, ["lamp"])
        holder = Holder(file, is_exclusive=False)
        assert await state.note("plug") == (0, [])
        holder.let_go()
        await anyio.sleep(5)
        assert [one.device for one in await other.sent_earlier()] == ["plug", "plug"]
        # It is as before, then.
        number, _ = await state.note("plug")
        assert number == 4
    assert len(caplog.messages) == 1


@virtual
async def test_a_clock_that_was_set_back_makes_nothing_forgotten(tmp_path):
    file = tmp_path / "budget"
    async with opened(file) as budget:
        for _ in range(5):
            await command(budget)
    earlier = Environment(clock=lambda: virtual_clock() - timedelta(days=300))
    async with opened(file, environment=earlier) as budget:
        assert budget.of("plug").used == 5
        await anyio.sleep(HOUR_S - 1)
        assert budget.of("plug").used == 5
        await anyio.sleep(1.001)
        assert budget.of("plug").used == 0


@virtual
async def test_a_file_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    (tmp_path / "no folder").touch()
    async with opened(tmp_path / "no folder" / "budget") as budget:
        for device in ("plug", "lamp"):
            await command(budget, device)
    assert len(caplog.messages) == 1
    assert "cannot be used" in caplog.messages[0]


@virtual
async def test_wherever_it_is_cancelled_the_file_is_whole_and_nothing_is_forgotten(
    tmp_path,
):
    file = tmp_path / "budget"
    sent = 0

    async def flow() -> None:
        nonlocal sent
        async with opened(file) as budget:
            await command(budget, wait_s=100)
            sent += 1

    assert await cancel_sweep(flow) > 3
    async with opened(file) as budget:
        assert budget.of("plug").used >= sent


STEPS = st.one_of(
    st.tuples(st.just("call"), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("wait"), st.floats(0, 2_000), st.none()),
    st.tuples(st.just("restart"), st.booleans(), st.none()),
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_sequence_of_calls_and_restarts_exceeds_the_limit_in_any_window(
    backend, tmp_path
):
    """Every window of an hour, and of a minute, whatever was done in between."""

    @given(st.lists(st.tuples(st.integers(1, 20), STEPS), max_size=30))
    @example(
        [  # The last but one is allowed 0.5 us too early by a clock of the day.
            (4, ("call", "a", False)),
            (1, ("wait", 1575.0, None)),
            (1, ("wait", 1999.7421875, None)),
            (1, ("restart", False, None)),
            (5, ("call", "a", True)),
        ]
    )
    def check(steps: list[tuple[int, tuple[Any, Any, Any]]]) -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            programs = Programs(Path(folder) / "budget")
            with virtual_backend(backend) as (name, options):
                anyio.run(programs.run, steps, backend=name, backend_options=options)
        for times in programs.sent.values():
            assert most_in(times, HOUR_S) <= 8
            assert most_in(times, 60.0) <= 5

    check()


@virtual
async def test_two_programs_at_once_send_no_more_than_one(tmp_path):
    sent: list[float] = []

    async def greedy() -> None:
        async with opened(tmp_path / "budget") as budget:
            while True:
                try:
                    sent.append(await command(budget, wait_s=10.0))
                except CallDropped as exc:
                    await anyio.sleep(exc.retry_after_s or 1.0)

    with anyio.move_on_after(2 * HOUR_S):
        async with anyio.create_task_group() as tg:
            tg.start_soon(greedy)
            tg.start_soon(greedy)
    assert most_in(sent, HOUR_S) <= 180
    assert most_in(sent, 60.0) <= 6
    assert len(sent) > 2 * 170


@virtual
@pytest.mark.timeout(60)
@pytest.mark.thorough
async def test_a_day_of_greed_with_a_restart_each_hour_is_under_the_limit(tmp_path):
    sent: list[float] = []
    for _ in range(24):
        async with opened(tmp_path / "budget") as budget:
            with anyio.move_on_after(HOUR_S):
                while True:
                    try:
                        sent.append(await command(budget, wait_s=10.0))
                    except CallDropped as exc:
                        await anyio.sleep(exc.retry_after_s or 1.0)
    assert most_in(sent, HOUR_S) < BANNED_AT
    assert len(sent) > 24 * 170


@virtual
async def test_rows_of_any_kind_harm_nobody(tmp_path):
    file = tmp_path / "budget"
    async with opened(file) as budget:
        await command(budget)
    planted: list[tuple[object, object]] = [
        ("plug", "yesterday"),
        ("plug", b"\xff"),
        (b"\xff\xfe", virtual_clock().timestamp()),
        ("plug", 1e308),
        ("plug", float("inf")),
        ("lamp", 0.0),
        (7, virtual_clock().timestamp()),
    ]

    def plant() -> None:
        with closing(sqlite3.connect(file)) as other, other:
            other.executemany("INSERT INTO sent (device, at_s) VALUES (?, ?)", planted)
            other.execute("INSERT INTO kept VALUES (?, ?)", (b"\xff", b"\xff"))
            other.execute("INSERT INTO kept VALUES (?, ?)", ("device/a", "[" * 9_000))

    await anyio.to_thread.run_sync(plant)
    async with opened(file) as budget:
        # What has no time that can be, was sent just now.
        assert budget.of("plug").used == 5
        assert budget.of("lamp").used == 0
        await anyio.sleep(HOUR_S)
    async with opened(file) as budget:
        assert budget.devices == {}
    async with open_account_state(file, environment=ENVIRONMENT) as state:
        assert await state.kept("device/") == {}
