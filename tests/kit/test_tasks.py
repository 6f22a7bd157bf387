"""service_group: the tasks end with the block and one exception comes out."""

from __future__ import annotations

import copy
import gc
import traceback
import weakref
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import anyio
import pytest
from anyio.abc import TaskStatus

from structiot._kit.tasks import _one_error, service_group
from structiot.errors import InternalError, LinkLost
from tests._support.cancel_sweep import cancel_sweep

pytestmark = pytest.mark.virtual_time

BACKENDS = ("asyncio", "trio")


class Oops(Exception):
    pass


async def fail(
    error: BaseException, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> NoReturn:
    task_status.started()
    raise error


async def fail_when_cancelled(
    error: BaseException, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    try:
        await anyio.sleep_forever()
    finally:
        raise error


# ------------------------------------------------------------------ life of the tasks


async def test_leaving_the_block_cancels_the_tasks():
    ended: list[str] = []

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with service_group() as tg:
        tg.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["cancelled"]


async def test_a_task_may_say_goodbye_before_the_block_ends():
    said: list[str] = []

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(1, shield=True):
                await anyio.sleep(0.5)
                said.append("goodbye")

    async with service_group() as tg:
        tg.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
    assert said == ["goodbye"]


async def test_a_block_without_failures_raises_nothing():
    async with service_group() as tg:
        tg.start_soon(anyio.lowlevel.checkpoint)
        await anyio.wait_all_tasks_blocked()


async def test_a_task_that_fails_cancels_the_block():
    with pytest.raises(Oops, match="pump") as caught:
        async with service_group() as tg:
            tg.start_soon(fail, Oops("pump"))
            await anyio.sleep_forever()
    assert not isinstance(caught.value, BaseExceptionGroup)


async def test_a_task_that_fails_on_leaving_is_heard():
    with pytest.raises(Oops, match="goodbye"):
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, Oops("goodbye"))


async def test_a_task_that_cannot_start_fails_the_block_by_its_own_error():
    async def refuse(*, task_status: TaskStatus[None]) -> NoReturn:
        raise Oops("no port")

    with pytest.raises(Oops, match="no port"):
        async with service_group() as tg:
            await tg.start(refuse)


# ---------------------------------------------------------- choice among the failures


async def test_the_blocks_own_exception_comes_first_and_the_others_become_notes():
    own = Oops("user")
    with pytest.raises(Oops) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, LinkLost("link went"))
            raise own
    assert caught.value is own
    assert own.__notes__ == [
        "a background task failed too: LinkLost('link went')",
    ]


async def test_the_blocks_exception_wins_also_when_a_task_failed_before_it():
    own = Oops("user's clean-up")
    with pytest.raises(Oops) as caught:
        async with service_group() as tg:
            tg.start_soon(fail, LinkLost("link went"))
            try:
                await anyio.sleep_forever()
            finally:
                raise own
    assert caught.value is own
    assert len(own.__notes__) == 1


async def test_two_background_failures_are_an_internal_error_with_the_group_as_cause():
    with pytest.raises(InternalError) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, Oops("one"))
            await tg.start(fail_when_cancelled, LinkLost("two"))
    error = caught.value
    assert isinstance(error.__cause__, ExceptionGroup)
    assert {str(exc) for exc in error.__cause__.exceptions} == {"one", "two"}
    assert "Oops: one" in str(error)
    assert "LinkLost: two" in str(error)
    assert "\n" not in str(error)


async def test_equal_errors_of_ours_count_as_one():
    lost = LinkLost("the strip fell silent", reason="silent")
    with pytest.raises(LinkLost, match="fell silent") as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, lost)
            await tg.start(fail_when_cancelled, copy.copy(lost))
    assert caught.value.reason == "silent"


async def test_one_exception_object_out_of_two_tasks_counts_as_one():
    shared = Oops("shared")
    with pytest.raises(Oops) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, shared)
            await tg.start(fail_when_cancelled, shared)
    assert caught.value is shared


async def test_the_blocks_own_error_is_the_one_kept_of_two_equal_ones():
    own = LinkLost("gone")
    with pytest.raises(LinkLost) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, LinkLost("gone"))
            raise own
    assert caught.value is own
    assert not hasattr(own, "__notes__")


async def test_equal_errors_of_others_are_two():
    with pytest.raises(InternalError):
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, Oops("same"))
            await tg.start(fail_when_cancelled, Oops("same"))


async def test_a_group_that_the_block_raised_stays_a_group():
    group = ExceptionGroup("user's", [Oops("one"), ValueError("two")])
    with pytest.raises(ExceptionGroup) as caught:
        async with service_group():
            raise group
    assert caught.value is group


async def test_a_group_that_the_block_raised_wins_over_a_background_failure():
    """trio hands on a copy of such a group, without its own cancellations."""

    async def fail_in_cleanup() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Oops("user's task")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with service_group() as tg:
            async with anyio.create_task_group() as users:
                users.start_soon(fail_in_cleanup)
                users.start_soon(anyio.sleep_forever)
                await anyio.wait_all_tasks_blocked()
                tg.start_soon(fail, LinkLost("link went"))
    assert caught.group_contains(Oops, match="user's task", depth=1)
    assert len(caught.value.exceptions) == 1
    assert caught.value.__notes__ == [
        "a background task failed too: LinkLost('link went')"
    ]


async def test_a_group_from_a_task_does_not_pass_for_the_blocks_own():
    theirs = ExceptionGroup("a task's", [Oops("one")])
    own = ExceptionGroup("user's", [Oops("two")])
    with pytest.raises(ExceptionGroup) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, theirs)
            raise own
    assert caught.value is own
    assert "a task's" in own.__notes__[0]
    assert _one_error(ExceptionGroup("", [theirs, own]), own) is own


async def test_only_one_level_is_opened():
    group = ExceptionGroup("a task's", [Oops("deep")])
    with pytest.raises(ExceptionGroup) as caught:
        async with service_group() as tg:
            await tg.start(fail_when_cancelled, group)
    assert caught.value.message == "a task's"
    assert caught.value.exceptions == group.exceptions


async def test_groups_in_groups_raise_one_plain_exception():
    async def inner() -> None:
        async with service_group() as tg:
            tg.start_soon(fail, Oops("innermost"))
            await anyio.sleep_forever()

    with pytest.raises(Oops, match="innermost"):
        async with service_group() as tg:
            tg.start_soon(inner)
            await anyio.sleep_forever()


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, RuntimeError])
async def test_what_generators_treat_specially_passes_too(kind: type[Exception]):
    own = kind("user's")

    async def run() -> None:
        async with service_group() as tg:
            tg.start_soon(anyio.sleep_forever)
            raise own

    coro = run()
    with pytest.raises(RuntimeError if kind is StopIteration else kind) as caught:
        await coro
    assert own in (caught.value, caught.value.__cause__)


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


@pytest.mark.parametrize(
    ("has_own", "others"), [(True, 0), (True, 1), (False, 1), (False, 2)]
)
async def test_the_exception_is_freed_without_the_garbage_collector(
    has_own: bool, others: int
):
    gc.collect()
    gc.disable()
    try:
        error = await raised_by(has_own=has_own, others=others)
        await anyio.lowlevel.checkpoint()
        freed = weakref.ref(error)
        del error
        assert freed() is None
    finally:
        gc.enable()


async def test_a_cancelled_block_is_freed_without_the_garbage_collector():
    class Thing:
        pass

    async def hold(seen: list[weakref.ref[Thing]]) -> None:
        thing = Thing()
        seen.append(weakref.ref(thing))
        async with service_group() as tg:
            tg.start_soon(anyio.sleep_forever)
            await anyio.sleep_forever()

    seen: list[weakref.ref[Thing]] = []
    gc.collect()
    gc.disable()
    try:
        with anyio.move_on_after(1):
            await hold(seen)
        await anyio.lowlevel.checkpoint()
        assert seen[0]() is None
    finally:
        gc.enable()
