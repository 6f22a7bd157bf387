"""A test under virtual time that waits for what cannot come fails, and says so."""

from __future__ import annotations

import pytest

# A run in this process must not be the first to load what it would forget again.
from structiot import open_mqttclient
from structiot.testing import stalls

LOADED = (open_mqttclient, stalls)

HEAD = """
    import asyncio
    import threading
    import time

    import anyio
    import pytest
    import trio

    from structiot import open_mqttclient

    pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
"""

WAITS_FOR_NOTHING = """
    async def test_for_an_event():
        await anyio.sleep(3600)
        await anyio.Event().wait()

    async def test_for_ever():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)

    async def test_for_another_task():
        box = anyio.Condition()
        async with box:
            await box.wait()

    async def test_and_hides_that():
        try:
            await anyio.Event().wait()
        except BaseException:
            raise KeyError from None

    async def test_and_swallows_that():
        try:
            await anyio.Event().wait()
        except BaseException:
            pass
"""

WAITS_FOR_A_SOCKET = """
    async def test_that_forgot_the_environment(mqtt_broker):
        async with open_mqttclient(mqtt_broker.uri):
            pass

    async def test_that_serves():
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            await listener.serve(None)
"""

WAITS_FOR_SOMETHING = """
    async def test_a_worker_thread():
        with anyio.fail_after(0.001):
            await anyio.to_thread.run_sync(time.sleep, 0.02)
        await anyio.to_thread.run_sync(time.sleep, 0.02)

    async def test_a_worker_thread_of_the_backend(anyio_backend_name):
        is_trio = anyio_backend_name == "trio"
        run = trio.to_thread.run_sync if is_trio else asyncio.to_thread
        with anyio.fail_after(0.001):
            await run(time.sleep, 0.02)

    async def test_a_thread_of_ones_own():
        done = anyio.Event()

        def work(portal):
            time.sleep(0.02)
            portal.call(done.set)

        async with anyio.from_thread.BlockingPortal() as portal:
            thread = threading.Thread(target=work, args=(portal,))
            thread.start()
            await done.wait()
            await portal.stop()
        thread.join()

    async def test_until_all_others_wait():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            for _ in range(10):
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    async def test_a_deadline():
        with anyio.move_on_after(1e9):
            await anyio.sleep_forever()
        assert anyio.current_time() == 1e9
"""


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makepyfile(HEAD + tests)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--tb=short")


def test_who_waits_for_nothing_fails_where_it_waits(pytester: pytest.Pytester):
    result = run(pytester, WAITS_FOR_NOTHING)
    result.assert_outcomes(failed=10)
    said = result.stdout.str()
    assert said.count("E   structiot.testing.stalls.WaitsForNothing: ") == 10
    assert said.count("\n    await anyio.Event().wait()") >= 2
    assert said.count("\n    await box.wait()") == 2


def test_who_waits_for_a_socket_is_told_of_memory_networks(pytester: pytest.Pytester):
    result = run(pytester, WAITS_FOR_A_SOCKET)
    result.assert_outcomes(failed=4)
    said = result.stdout.str()
    assert said.count("sockets live in real time: use a MemoryNetwork") >= 4
    assert "WaitsForNothing" not in said


LEAVES_A_THREAD = """
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_that_leaves_a_thread_at_work(anyio_backend):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.3)
"""


def test_a_thread_that_a_test_leaves_is_joined_in_real_time(pytester: pytest.Pytester):
    run(pytester, LEAVES_A_THREAD).assert_outcomes(passed=1)


def test_who_waits_for_a_thread_or_a_deadline_gets_it(pytester: pytest.Pytester):
    run(pytester, WAITS_FOR_SOMETHING).assert_outcomes(passed=10)
