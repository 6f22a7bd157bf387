"""The leak check sees tasks, threads and sockets, and forgives what goes away."""

from __future__ import annotations

import socket
import sys
import threading
from types import FrameType

import anyio
import pytest

from structiot.testing import leaks
from structiot.testing.leaks import (
    Leftovers,
    leftovers_now,
    open_sockets,
    settled_leftovers,
    wait_for_none_since,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "SETTLE_S", 0.1)


def test_an_open_socket_is_left_over_until_it_is_closed():
    before = Leftovers()
    with socket.socket():
        assert [name.partition(":")[0] for name in wait_for_none_since(before)] == [
            "socket"
        ]
    assert wait_for_none_since(before) == []


def test_a_thread_that_ends_soon_is_forgiven():
    before = Leftovers()
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait, name="short")
    thread.start()
    assert Leftovers().since(before) == ["thread short"]
    may_end.set()
    assert wait_for_none_since(before) == []
    thread.join()


async def test_a_task_is_left_over_while_it_runs():
    before = leftovers_now()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever, name="sleeper")
        await anyio.wait_all_tasks_blocked()
        assert await settled_leftovers(before) == ["task sleeper"]
        tasks.cancel_scope.cancel()
    assert await settled_leftovers(before) == []


async def test_a_worker_thread_kept_for_reuse_is_no_leftover():
    before = leftovers_now()
    await anyio.to_thread.run_sync(threading.current_thread)
    assert await settled_leftovers(before) == []


async def test_a_guard_against_blocking_calls_is_not_asked_about_each_socket():
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        open_sockets()
    finally:
        sys.setprofile(None)
    assert called == ["open_sockets"]
