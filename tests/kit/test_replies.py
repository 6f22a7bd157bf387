"""ReplyTable: register, send, wait; nobody waits for a reply that cannot come."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot._kit.flow.replies import ReplyTable
from structiot.errors import LinkLost, ProtocolViolation, StructiotError, UsageError

pytestmark = pytest.mark.virtual_time


class Waiter:
    """Waits for one reply in a task of its own and keeps what came."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.error: StructiotError | None = None
        self.is_done = False

    async def wait(self, table: ReplyTable[int, str], key: int) -> None:
        with table.expect(key) as reply:
            try:
                self.value = await reply.wait()
            except StructiotError as exc:
                self.error = exc
        self.is_done = True


async def test_a_reply_reaches_the_one_who_waits_for_its_id():
    table: ReplyTable[int, str] = ReplyTable()
    waiters = [Waiter(), Waiter()]
    async with anyio.create_task_group() as tg:
        for key, waiter in enumerate(waiters):
            tg.start_soon(waiter.wait, table, key)
        await anyio.wait_all_tasks_blocked()
        assert table.resolve(1, "second")
        await anyio.wait_all_tasks_blocked()
        assert [waiter.is_done for waiter in waiters] == [False, True]
        assert table.resolve(0, "first")
    assert [waiter.value for waiter in waiters] == ["first", "second"]


async def test_a_reply_that_comes_before_the_wait_is_not_lost():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1) as reply:
        table.resolve(1, "quick")
        assert await reply.wait() == "quick"


async def test_none_is_a_reply_like_any_other():
    table: ReplyTable[int, None] = ReplyTable()
    with table.expect(1) as reply:
        assert table.resolve(1, None)
        with anyio.fail_after(1):
            await reply.wait()


async def test_a_reply_may_be_waited_for_twice():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1) as reply:
        table.resolve(1, "answer")
        assert [await reply.wait(), await reply.wait()] == ["answer", "answer"]


async def test_the_request_is_always_removed_after_the_block():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1):
        assert 1 in table
        assert len(table) == 1
    with pytest.raises(ValueError, match="send failed"), table.expect(1):
        raise ValueError("send failed")
    with anyio.move_on_after(1), table.expect(1) as reply:
        await reply.wait()
    assert 1 not in table
    assert len(table) == 0


async def test_an_id_in_use_is_a_usage_error():
    table: ReplyTable[int, str] = ReplyTable("acks")
    with table.expect(1) as reply:
        with pytest.raises(UsageError, match="acks: id 1 is in use"), table.expect(1):
            pass
        assert table.resolve(1, "still waited for")
        assert await reply.wait() == "still waited for"


async def test_an_answered_id_is_free_again_also_inside_the_block():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1) as old:
        table.resolve(1, "old")
        with table.expect(1) as new:
            table.resolve(1, "new")
            assert [await old.wait(), await new.wait()] == ["old", "new"]


async def test_leaving_the_older_block_keeps_the_newer_request():
    table: ReplyTable[int, str] = ReplyTable()
    older = table.expect(1)
    with older:
        table.resolve(1, "old")
        newer = table.expect(1)
        reply = newer.__enter__()
    assert table.resolve(1, "new")
    assert await reply.wait() == "new"
    newer.__exit__(None, None, None)


async def test_the_first_reply_counts():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1) as reply:
        assert table.resolve(1, "first")
        assert not table.resolve(1, "second")
        assert not table.fail(1, LinkLost("late"))
        assert await reply.wait() == "first"


async def test_a_late_reply_is_counted_and_logged_and_given_to_nobody(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    table: ReplyTable[int, str] = ReplyTable("requests")
    with anyio.move_on_after(1), table.expect(7) as reply:
        await reply.wait()
    waiter = Waiter()
    async with anyio.create_task_group() as tg:
        tg.start_soon(waiter.wait, table, 8)
        await anyio.wait_all_tasks_blocked()
        assert table.resolve(7, "late") is False
        await anyio.wait_all_tasks_blocked()
        assert not waiter.is_done
        table.resolve(8, "mine")
    assert waiter.value == "mine"
    assert table.unknown == 1
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "requests: reply for unknown id 7 dropped")
    ]


async def test_cancelling_the_wait_abandons_the_reply():
    table: ReplyTable[int, str] = ReplyTable()
    async with anyio.create_task_group() as tg:
        tg.start_soon(Waiter().wait, table, 1)
        await anyio.wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    assert not table.resolve(1, "too late")


async def test_one_request_can_fail_by_name():
    table: ReplyTable[int, str] = ReplyTable()
    waiters = [Waiter(), Waiter()]
    async with anyio.create_task_group() as tg:
        for key, waiter in enumerate(waiters):
            tg.start_soon(waiter.wait, table, key)
        await anyio.wait_all_tasks_blocked()
        assert table.fail(0, ProtocolViolation("no such reply"))
        table.resolve(1, "well")
    assert isinstance(waiters[0].error, ProtocolViolation)
    assert waiters[1].value == "well"


async def test_fail_all_wakes_every_waiter_by_name():
    table: ReplyTable[int, str] = ReplyTable()
    waiters = [Waiter() for _ in range(5)]
    lost = LinkLost("strip went", reason="reset")
    with anyio.fail_after(1):
        async with anyio.create_task_group() as tg:
            for key, waiter in enumerate(waiters):
                tg.start_soon(waiter.wait, table, key)
            await anyio.wait_all_tasks_blocked()
            table.fail_all(lost)
            assert len(table) == 0
    for waiter in waiters:
        assert isinstance(waiter.error, LinkLost)
        assert (str(waiter.error), waiter.error.reason) == ("strip went", "reset")
    assert len({id(waiter.error) for waiter in waiters} | {id(lost)}) == 6
    assert lost.__traceback__ is None, "each waiter has raised one of its own"


async def test_fail_all_leaves_an_answered_request_its_answer():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1) as reply:
        table.resolve(1, "just in time")
        table.fail_all(LinkLost("gone"))
        assert await reply.wait() == "just in time"


async def test_requests_to_come_fail_too_until_the_table_is_reopened():
    table: ReplyTable[int, str] = ReplyTable()
    table.fail_all(LinkLost("gone"))
    for _ in range(2):
        with pytest.raises(LinkLost, match="gone"), table.expect(1):
            pytest.fail("registered on a dead link")
    table.reopen()
    with table.expect(1) as reply:
        table.resolve(1, "alive")
        assert await reply.wait() == "alive"


async def test_the_latest_error_is_what_new_requests_fail_with():
    table: ReplyTable[int, str] = ReplyTable()
    table.fail_all(LinkLost("first"))
    table.fail_all(LinkLost("gave up"))
    with pytest.raises(LinkLost, match="gave up"), table.expect(1):
        pytest.fail("registered on a dead link")


async def test_the_end_of_one_link_does_not_touch_requests_on_the_next():
    table: ReplyTable[int, str] = ReplyTable()
    with table.expect(1):
        table.fail_all(LinkLost("gone"))
        table.reopen()
        with table.expect(1):
            assert 1 in table
    assert 1 not in table
