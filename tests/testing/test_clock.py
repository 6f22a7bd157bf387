"""The virtual clock: jumps over idle time, alike on both backends."""

from __future__ import annotations

import math
import socket
import threading
import time

import anyio
import pytest

from structiot.testing.clock import RealInputOutput

pytestmark = pytest.mark.virtual_time


async def test_an_hour_of_sleep_takes_no_time_and_is_exact():
    # Slept in real time, it would not end before the timeout of every test.
    assert anyio.current_time() == 0.0
    await anyio.sleep(3600)
    assert anyio.current_time() == 3600


async def test_the_clock_stands_still_while_code_runs():
    threading.Event().wait(0.02)
    await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == 0.0


async def test_deadlines_fire_in_their_order():
    fired: list[float] = []

    async def wait(seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await anyio.sleep_forever()
        fired.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for seconds in (30.0, 10.0, 20.0):
            tasks.start_soon(wait, seconds)
    assert fired == [10.0, 20.0, 30.0]


async def test_a_thread_in_flight_holds_the_clock():
    with anyio.fail_after(0.001):
        await anyio.to_thread.run_sync(time.sleep, 0.02)
    assert anyio.current_time() == 0.0


async def test_a_socket_is_refused():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(RealInputOutput):
            await anyio.wait_readable(listener)


async def test_after_years_there_are_still_moments():
    years_s = 4 * 365.25 * 86_400.0
    await anyio.sleep(years_s)
    for _ in range(100):
        await anyio.sleep(0.1)
    assert anyio.current_time() == pytest.approx(years_s + 10, abs=1e-4, rel=0)


async def test_who_is_woken_at_a_deadline_is_not_early():
    """One float step ahead is ahead, and comes although somebody is always ready."""
    woken = anyio.Event()

    async def other() -> None:
        nonlocal woken
        while True:
            await woken.wait()
            woken = anyio.Event()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await anyio.sleep_until(110.0)
        deadline = math.nextafter(anyio.current_time(), math.inf)
        turns = 0
        while anyio.current_time() < deadline and turns < 100:
            woken.set()
            await anyio.sleep_until(deadline)
            turns += 1
        assert anyio.current_time() >= deadline
        assert turns < 10
        tasks.cancel_scope.cancel()
