"""Cancel a flow at its first, second, third ... checkpoint until it completes.

    async def test_closing_leaves_nothing_when_cancelled_anywhere():
        async def flow():
            async with open_thing() as thing:
                await thing.use()

        await cancel_sweep(flow)

Each round runs the whole flow in a fresh task and cancels its scope while it is
suspended for the n-th time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import anyio
import anyio.lowlevel
import trio

from structiot.testing.leaks import leftovers_now, settled_leftovers

__all__ = ["SweepFailed", "cancel_sweep"]

Flow = Callable[[], Coroutine[Any, Any, object]]

# What a goodbye may need once cancelled; a flow that goes on for longer than this
# swallows its cancellation.
_SUSPENSIONS_AFTER_CANCEL = 1000


class SweepFailed(AssertionError):
    """A flow did not survive being cancelled at one of its checkpoints."""


class _Stepped:
    """Awaits a coroutine and calls `on_suspend` each time that it is suspended."""

    def __init__(
        self, coro: Coroutine[Any, Any, object], on_suspend: Callable[[], None]
    ) -> None:
        self._coro = coro
        self._on_suspend = on_suspend

    def __await__(self) -> Generator[Any, Any, object]:
        resume: Callable[[], Any] = lambda: self._coro.send(None)  # noqa: E731
        while True:
            try:
                trap = resume()
            except StopIteration as stop:
                return stop.value
            try:
                self._on_suspend()
                sent = yield trap
            except BaseException as exc:  # noqa: ASYNC103, BLE001 - goes to the coroutine
                resume = _thrower(self._coro, exc)
            else:
                resume = _sender(self._coro, sent)


def _sender(coro: Coroutine[Any, Any, object], value: object) -> Callable[[], Any]:
    return lambda: coro.send(value)


def _thrower(
    coro: Coroutine[Any, Any, object], exc: BaseException
) -> Callable[[], Any]:
    return lambda: coro.throw(exc)


class _Round:
    """One run of the flow: cancels its scope at one step, notices who ignores it."""

    def __init__(self, cancel_at: int, finish_within_s: float) -> None:
        self.scope = anyio.CancelScope()
        self.steps = 0
        self._cancel_at = cancel_at
        self._finish_within_s = finish_within_s
        self._cancelled_at_s = 0.0
        self._patience = _SUSPENSIONS_AFTER_CANCEL

    @property
    def has_cancelled(self) -> bool:
        return self.steps >= self._cancel_at

    def step(self) -> None:
        self.steps += 1
        if self.steps == self._cancel_at:
            self._cancelled_at_s = anyio.current_time()
            self.scope.cancel()

    def flow_suspended(self) -> None:
        if self.has_cancelled:
            self._patience -= 1
            if not self._patience:
                raise SweepFailed("the flow goes on although it has been cancelled")

    def check_punctuality(self) -> None:
        if not self.has_cancelled:
            return
        late_s = anyio.current_time() - self._cancelled_at_s
        if late_s > self._finish_within_s:
            raise SweepFailed(f"the flow ended {late_s:.3f} s after its cancellation")


class _StepInstrument(trio.abc.Instrument):
    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def after_task_step(self, _task: trio.lowlevel.Task) -> None:
        self._step()


@contextmanager
def _every_step(step: Callable[[], None]) -> Iterator[None]:
    """Call `step` after each step of each task that starts in the block."""
    if trio.lowlevel.in_trio_run():
        instrument = _StepInstrument(step)
        trio.lowlevel.add_instrument(instrument)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(instrument)
        return
    loop = asyncio.get_running_loop()

    def start_stepped(
        loop: asyncio.AbstractEventLoop,
        coro: Any,  # noqa: ANN401 - as asyncio has it
        **options: Any,  # noqa: ANN401
    ) -> asyncio.Task[Any]:
        return asyncio.Task(_stepped(coro, step), loop=loop, **options)

    previous = loop.get_task_factory()
    loop.set_task_factory(start_stepped)
    try:
        yield
    finally:
        loop.set_task_factory(previous)


async def _stepped(
    coro: Coroutine[Any, Any, object], step: Callable[[], None]
) -> object:
    return await _Stepped(coro, step)


async def _run_once(flow: Flow, current: _Round, *, steps_of: str) -> None:
    def flow_suspended() -> None:
        if steps_of == "flow":
            current.step()
        current.flow_suspended()

    async def run() -> None:
        try:
            with current.scope:
                await _Stepped(flow(), flow_suspended)
        except Exception as exc:  # noqa: BLE001 - raised below, outside the group
            failures.append(exc)

    failures: list[Exception] = []
    every_step = _every_step(current.step) if steps_of == "all" else nullcontext()
    with every_step:
        # A task of its own: what it leaves behind is told from what was there.
        async with anyio.create_task_group() as tasks:  # noqa: ASYNC112
            tasks.start_soon(run, name="swept flow")
    if failures:
        raise failures[0]
    current.check_punctuality()


def _check_nothing_left(left: list[str]) -> None:
    if left:
        raise SweepFailed(f"left behind: {', '.join(left)}")


async def cancel_sweep(
    flow: Flow,
    *,
    steps_of: Literal["flow", "all"] = "flow",
    finish_within_s: float = 5.0,
    max_rounds: int = 5000,
    stride: int = 1,
) -> int:
    """Run a flow again and again, cancelled one checkpoint later each time.

    After each round no task, thread or socket may be left that was not there before. The
    last round is the one that completes by itself.

    Args:
        flow: Makes the coroutine to run; called once a round.
        steps_of: Whose checkpoints are counted: with `"flow"` those of the flow's own
            task; with `"all"` those of every task in the loop, so that it is also
            cancelled in the middle of what its background tasks do, in hundreds of rounds.
        finish_within_s: Longest time on the loop's clock from cancel to end.
        max_rounds: A flow that has not completed by then fails the sweep.
        stride: How many checkpoints later each round is cancelled: more than 1 takes a
            sample of them, for runs that have no time for all.

    Returns:
        The checkpoint at which the round that completed was to be cancelled: with a
        stride of 1 the number of rounds.

    Raises:
        SweepFailed: Something was left behind, the flow ignored its cancellation, or it
            took too long to end. An error of the flow itself comes out as it is. Each
            has a note of the round.
    """
    await anyio.lowlevel.checkpoint()
    before = leftovers_now()
    for cancel_at in range(1, max_rounds * stride + 1, stride):
        current = _Round(cancel_at, finish_within_s)
        try:
            await _run_once(flow, current, steps_of=steps_of)
            _check_nothing_left(await settled_leftovers(before))
        except Exception as exc:
            exc.add_note(f"cancelled at checkpoint {cancel_at} of the {steps_of}")
            raise
        if not current.has_cancelled:
            return cancel_at
    raise SweepFailed(f"not completed after {max_rounds} rounds")
