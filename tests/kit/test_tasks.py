"""service_group: the tasks end with the block and one exception comes out."""

from __future__ import annotations

import copy
from typing import NoReturn

import anyio
import pytest
from anyio.abc import TaskStatus

from structiot._kit.flow.tasks import _one_error, service_group
from structiot.errors import InternalError, LinkLost
from tests.kit.failing import Oops, fail, fail_when_cancelled

pytestmark = pytest.mark.virtual_time


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


async def test_tasks_that_are_awaited_end_by_themselves():
    ended: list[str] = []

    async def work() -> None:
        await anyio.sleep(60)
        ended.append("by itself")

    async with service_group(is_awaited=True) as tg:
        tg.start_soon(work)
    assert ended == ["by itself"]


async def test_an_awaited_task_that_fails_ends_the_others_by_its_own_error():
    with pytest.raises(Oops, match="pump") as caught:
        async with service_group(is_awaited=True) as tg:
            tg.start_soon(anyio.sleep_forever)
            tg.start_soon(fail, Oops("pump"))
    assert not isinstance(caught.value, BaseExceptionGroup)


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
