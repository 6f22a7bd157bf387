"""The cancellation sweep finds what is left behind, and only that."""

from __future__ import annotations

import threading

import anyio
import anyio.lowlevel
import pytest

from structiot.testing import SweepFailed, cancel_sweep, leaks

pytestmark = pytest.mark.virtual_time


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "SETTLE_S", 0.1)


async def test_each_checkpoint_is_cancelled_once_and_the_last_round_completes():
    reached: list[int] = []

    async def flow() -> None:
        reached.append(0)
        for _ in range(3):
            await anyio.sleep(1)
            reached[-1] += 1

    rounds = await cancel_sweep(flow)
    assert reached == [0, 1, 2, 3][:rounds]
    assert rounds == 4


async def test_all_steps_means_those_of_background_tasks_too():
    half_done: set[int] = set()

    async def background(done: anyio.Event) -> None:
        steps = iter(range(4))
        try:
            while next(steps) < 3:
                await anyio.lowlevel.checkpoint()
        except BaseException:
            half_done.add(next(steps) - 1)
            raise
        done.set()

    async def flow() -> None:
        done = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(background, done)
            await done.wait()

    assert await cancel_sweep(flow) < 6
    half_done.clear()
    assert await cancel_sweep(flow, steps_of="all") > 5
    assert half_done == {0, 1, 2}


async def test_a_task_that_outlives_its_flow_is_named():
    stop = anyio.Event()

    async def lingering() -> None:
        await stop.wait()

    async with anyio.create_task_group() as outside:

        async def flow() -> None:
            await anyio.lowlevel.checkpoint()
            outside.start_soon(lingering)
            await anyio.lowlevel.checkpoint()

        with pytest.raises(SweepFailed, match="lingering") as caught:
            await cancel_sweep(flow)
        stop.set()
    assert caught.value.__notes__ == ["cancelled at checkpoint 2 of the flow"]


async def test_a_thread_that_outlives_its_flow_is_named():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten thread")

    async def flow() -> None:
        await anyio.lowlevel.checkpoint()
        thread.start()

    with pytest.raises(SweepFailed, match="forgotten thread"):
        await cancel_sweep(flow)
    stop.set()
    thread.join()


async def test_a_flow_that_swallows_its_cancellation_is_reported():
    async def flow() -> None:
        with anyio.CancelScope(shield=True):
            while True:
                await anyio.lowlevel.checkpoint()

    with pytest.raises(SweepFailed, match="although it has been cancelled"):
        await cancel_sweep(flow)


async def test_a_goodbye_that_takes_too_long_is_reported():
    async def flow() -> None:
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(60)

    with pytest.raises(SweepFailed, match=r"60\.000 s after"):
        await cancel_sweep(flow)


async def test_an_error_made_out_of_a_cancellation_comes_out_with_its_round():
    async def flow() -> None:
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException as exc:
            raise LookupError("swallowed") from exc

    with pytest.raises(LookupError, match="swallowed") as caught:
        await cancel_sweep(flow)
    assert caught.value.__notes__ == ["cancelled at checkpoint 1 of the flow"]


async def test_a_flow_that_never_completes_fails():
    async def flow() -> None:
        await anyio.sleep_forever()

    with pytest.raises(SweepFailed, match="not completed after 1 rounds"):
        await cancel_sweep(flow, max_rounds=1)
