"""service_group: interrupts, cancellations, and what the exception looks like."""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskStatus

from structiot._kit.flow.tasks import _one_error, service_group
from structiot.testing import cancel_sweep
from tests.kit.failing import Oops, fail, fail_when_cancelled

pytestmark = pytest.mark.virtual_time

BACKENDS = ("asyncio", "trio")


# ------------------------------------------------------------------------ interrupts


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_in_the_block_comes_first(kind: type[BaseException]):
    with pytest.raises(kind):
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, Oops("background"))
            raise kind


# asyncio itself stops its loop when one of these is raised in a task.
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupt_in_a_task_ends_the_program(
    backend: str, kind: type[BaseException]
):
    async def main() -> None:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, Oops("background"))
            tg.start_soon(fail, kind())
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("user's clean-up")

    with pytest.raises(kind) as caught:
        anyio.run(main, backend=backend)
    assert not isinstance(caught.value, BaseExceptionGroup)


def nested(exc: BaseException) -> BaseException:
    return BaseExceptionGroup("outer", [Oops(), BaseExceptionGroup("inner", [exc])])


@pytest.mark.parametrize("wrap", [lambda exc: exc, nested])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_of_a_task_comes_before_the_blocks_own_exception(
    kind: type[BaseException], wrap: Callable[[BaseException], BaseException]
):
    interrupt = kind()
    own = Oops("user")
    group = BaseExceptionGroup("", [own, wrap(interrupt)])
    assert _one_error(group, own) is interrupt


async def test_a_group_of_the_block_keeps_the_interrupt_that_it_holds():
    own = nested(KeyboardInterrupt())
    assert _one_error(BaseExceptionGroup("", [own]), own) is own


# ---------------------------------------------------------------------- cancellation


async def test_cancellation_from_outside_passes_untouched():
    ended: list[str] = []
    with anyio.move_on_after(1) as scope:
        async with service_group() as tg:
            tg.start_soon(anyio.sleep_forever)
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                ended.append("block")
                raise
    assert scope.cancelled_caught
    assert ended == ["block"]
    assert anyio.current_time() == 1


async def test_a_failure_during_cancellation_from_outside_is_the_one_exception():
    with pytest.raises(Oops, match="clean-up"):
        with anyio.CancelScope() as scope:
            async with service_group() as tg:
                await tg.start(fail_when_cancelled, Oops("clean-up"))
                scope.cancel()
                await anyio.sleep_forever()
    assert not scope.cancelled_caught


async def test_a_failure_and_a_cancellation_at_the_same_moment():
    with pytest.raises(Oops, match="at once"):
        with anyio.CancelScope() as scope:
            async with service_group() as tg:
                tg.start_soon(fail, Oops("at once"))
                scope.cancel()
                await anyio.sleep_forever()


async def test_a_scope_between_group_and_block_is_not_confused():
    with pytest.raises(Oops):
        async with service_group() as tg:
            with anyio.move_on_after(5):
                tg.start_soon(fail, Oops("pump"))
                await anyio.sleep_forever()
            pytest.fail("the block goes on although it has been cancelled")
    assert anyio.current_time() == 0


async def test_a_group_of_cancellations_alone_passes_as_a_cancellation():
    caught: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except BaseException as exc:
            caught.append(exc)
            raise
    assert _one_error(BaseExceptionGroup("", caught), None) is caught[0]


async def test_a_service_leaves_nothing_when_cancelled_anywhere():
    open_things: set[str] = set()

    async def serve(*, task_status: TaskStatus[None]) -> None:
        open_things.add("task")
        try:
            await anyio.lowlevel.checkpoint()
            task_status.started()
            await anyio.sleep_forever()
        finally:
            open_things.discard("task")

    @asynccontextmanager
    async def open_service():
        async with service_group() as tg:
            await tg.start(serve)
            try:
                yield
            finally:
                with anyio.move_on_after(1, shield=True):
                    await anyio.sleep(0.1)

    async def flow() -> None:
        async with open_service():
            await anyio.sleep(3)
        assert not open_things

    assert await cancel_sweep(flow, steps_of="all") > 3
    assert not open_things


# ------------------------------------------------------ what the exception looks like


async def goodbye_fails() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise Oops("background")


async def raised_by(*, has_own: bool = False, others: int = 1) -> Exception:
    try:
        async with service_group() as tg:
            for _ in range(others):
                tg.start_soon(goodbye_fails)
            await anyio.wait_all_tasks_blocked()
            if has_own:
                raise Oops("user")
    except Exception as exc:
        return exc
    raise AssertionError("nothing was raised")


async def test_the_traceback_shows_the_task_and_no_group():
    error = await raised_by()
    text = "".join(traceback.format_exception(error))
    assert "in goodbye_fails" in text
    assert "in raised_by" in text
    assert "Group" not in text


async def test_the_exception_keeps_the_context_and_the_cause_that_it_had():
    cause = ValueError("cause")

    async def fail_with_cause() -> None:
        try:
            raise KeyError("context")
        except KeyError:
            raise Oops("pump") from cause

    with pytest.raises(Oops) as caught:
        async with service_group() as tg:
            tg.start_soon(fail_with_cause)
            await anyio.sleep_forever()
    assert caught.value.__cause__ is cause
    assert isinstance(caught.value.__context__, KeyError)


async def test_the_blocks_exception_gets_no_new_context():
    error = await raised_by(has_own=True)
    assert str(error) == "user"
    assert error.__context__ is None
    assert error.__cause__ is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("has_own", "others"), [(True, 0), (True, 1), (False, 1), (False, 2)]
)
async def test_the_exception_is_freed_without_the_garbage_collector(
    has_own: bool, others: int
):
    error = await raised_by(has_own=has_own, others=others)
    await anyio.lowlevel.checkpoint()
    freed = weakref.ref(error)
    del error
    assert freed() is None


@asynccontextmanager
async def service():
    async with service_group() as tg:
        tg.start_soon(anyio.sleep_forever)
        yield


@asynccontextmanager
async def service_of_a_service():
    async with service():
        yield


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("opened", [service, service_of_a_service])
async def test_a_cancelled_block_is_freed_without_the_garbage_collector(
    opened: Callable[[], AbstractAsyncContextManager[None]],
):
    class Thing:
        pass

    async def hold(seen: list[weakref.ref[Thing]]) -> None:
        thing = Thing()
        seen.append(weakref.ref(thing))
        async with opened():
            await anyio.sleep_forever()

    seen: list[weakref.ref[Thing]] = []
    with anyio.move_on_after(1):
        await hold(seen)
    await anyio.lowlevel.checkpoint()
    assert seen[0]() is None
