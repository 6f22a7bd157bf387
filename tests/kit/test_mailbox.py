"""Mailbox: bounded, never waits to put, loses by a stated policy and says so."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.flow.mailbox import Mailbox, OverflowPolicy
from structiot.errors import LinkLost, Overflowed, UsageError

pytestmark = pytest.mark.virtual_time

POLICIES: list[OverflowPolicy] = ["drop_oldest", "drop_newest", "raise"]


async def read_into(box: Mailbox[Any], got: list[Any]) -> None:
    async for item in box:
        got.append(item)  # noqa: PERF401 - one by one, as they come


def filled(items: int, max_items: int, policy: OverflowPolicy) -> Mailbox[int]:
    box: Mailbox[int] = Mailbox(max_items, policy=policy, name="readings")
    for item in range(items):
        box.put(item)
    return box


async def drained(box: Mailbox[int]) -> list[int]:
    box.close()
    return [item async for item in box]


# -------------------------------------------------------------------- order and wait


async def test_items_come_out_in_the_order_in_which_they_were_put_in():
    assert await drained(filled(10, 64, "drop_oldest")) == list(range(10))


async def test_a_reader_waits_for_the_next_item():
    box: Mailbox[str] = Mailbox()
    got: list[str] = []
    async with anyio.create_task_group() as tg:
        tg.start_soon(read_into, box, got)
        for item in ("one", "two"):
            await anyio.sleep(1)
            assert box.put(item)
            await anyio.wait_all_tasks_blocked()
            assert got[-1] == item
        box.close()


async def test_put_returns_whether_the_item_is_in():
    box: Mailbox[int] = Mailbox(1, policy="drop_newest")
    assert box.put(1) is True
    assert box.put(2) is False
    assert len(box) == 1


async def test_receive_nowait_takes_the_next_item_at_once():
    box = filled(2, 8, "drop_oldest")
    assert box.receive_nowait() == 0
    assert box.receive_nowait() == 1
    with pytest.raises(LookupError, match="readings is empty"):
        box.receive_nowait()


async def test_each_item_goes_to_one_of_several_readers():
    box: Mailbox[int] = Mailbox()
    got: list[list[int]] = [[], [], []]
    async with anyio.create_task_group() as tg:
        for one in got:
            tg.start_soon(read_into, box, one)
        for item in range(30):
            box.put(item)
            if item % 3 == 0:
                await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        box.close()
    assert sorted(got[0] + got[1] + got[2]) == list(range(30))


async def test_closing_ends_every_waiting_reader():
    box: Mailbox[int] = Mailbox()
    got: list[int] = []
    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(read_into, box, got)
        await anyio.wait_all_tasks_blocked()
        box.put(1)
        box.close()
    assert got == [1]


# ---------------------------------------------------------------------- cancellation


async def test_cancelling_a_waiting_reader_loses_nothing():
    box: Mailbox[int] = Mailbox()
    with anyio.move_on_after(1) as scope:
        await box.receive()
    assert scope.cancelled_caught
    box.put(1)
    assert await box.receive() == 1


@pytest.mark.parametrize("order", ["put first", "cancel first"])
async def test_an_item_put_in_while_its_reader_is_cancelled_is_not_lost(order: str):
    box: Mailbox[int] = Mailbox()
    taken: list[int] = []
    scope = anyio.CancelScope()

    async def read() -> None:
        with scope:
            taken.append(await box.receive())

    async with anyio.create_task_group() as tg:
        tg.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        if order == "cancel first":
            scope.cancel()
        box.put(1)
        scope.cancel()
    # Either taken or still there.
    assert taken + await drained(box) == [1]


async def test_a_cancelled_reader_does_not_take_what_is_there():
    box = filled(1, 8, "drop_oldest")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await box.receive()
    assert scope.cancelled_caught
    assert len(box) == 1


async def test_an_item_meant_for_a_cancelled_reader_reaches_another():
    box: Mailbox[int] = Mailbox()
    got: list[int] = []
    first = anyio.CancelScope()

    async def read() -> None:
        with first:
            got.append(await box.receive())

    async with anyio.create_task_group() as tg:
        tg.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(read_into, box, got)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        box.put(1)
        await anyio.wait_all_tasks_blocked()
        assert got == [1]
        box.close()


async def test_another_reader_may_take_the_item_while_a_cancelled_one_unwinds():
    box = filled(1, 8, "drop_oldest")
    got: list[int] = []

    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            got.append(await box.receive())

    async with anyio.create_task_group() as tg:
        cancelled = anyio.CancelScope()
        cancelled.cancel()
        tg.start_soon(read, cancelled)
        tg.start_soon(read, anyio.CancelScope())
    assert got == [0]


# ------------------------------------------------------------------- overflow policy


async def test_drop_oldest_lets_the_newest_win():
    box = filled(5, 3, "drop_oldest")
    assert box.dropped == 2
    assert await drained(box) == [2, 3, 4]


async def test_drop_newest_keeps_the_old_ones():
    box = filled(5, 3, "drop_newest")
    assert box.dropped == 2
    assert await drained(box) == [0, 1, 2]


async def test_raise_gives_what_is_buffered_first_and_then_overflowed():
    box = filled(4, 3, "raise")
    assert [await box.receive() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Overflowed, match="readings: more than 3 items waited"):
        await box.receive()


async def test_overflowed_tells_how_many_were_lost_in_the_end():
    box = filled(5, 3, "raise")
    with pytest.raises(Overflowed) as caught:
        async for item in box:
            assert not box.put(item), "nothing can be put in any more"
    assert caught.value.dropped == box.dropped == 2 + 3
    assert "5 lost" in str(caught.value)


async def test_overflowed_reaches_a_reader_each_time_that_it_asks():
    box = filled(2, 1, "raise")
    assert await box.receive() == 0
    for _ in range(2):
        with pytest.raises(Overflowed):
            await box.receive()


async def test_after_an_overflow_the_box_is_closed():
    box = filled(2, 1, "raise")
    assert box.is_closed
    box.close(LinkLost("later"))
    box.receive_nowait()
    with pytest.raises(Overflowed):
        await box.receive()


def test_the_default_is_64_items_and_the_oldest_go():
    box: Mailbox[int] = Mailbox()
    assert (box.max_items, box.policy) == (64, "drop_oldest")


@pytest.mark.parametrize("max_items", [0, -1])
def test_a_box_holds_at_least_one_item(max_items: int):
    with pytest.raises(UsageError, match="at least one item"):
        Mailbox(max_items)


def test_there_is_no_other_policy():
    with pytest.raises(UsageError, match="no overflow policy 'block'"):
        Mailbox(policy="block")  # type: ignore[arg-type]


def test_high_water_is_the_most_that_was_ever_held():
    box = filled(3, 64, "drop_oldest")
    box.receive_nowait()
    box.receive_nowait()
    box.put(1)
    assert box.high_water == 3
    assert filled(100, 64, "drop_oldest").high_water == 64


@given(
    policy=st.sampled_from(POLICIES),
    max_items=st.integers(1, 5),
    moves=st.lists(st.sampled_from(["put", "take"]), max_size=60),
)
def test_the_box_agrees_with_a_list_that_is_cut(
    policy: OverflowPolicy, max_items: int, moves: list[str]
):
    box: Mailbox[int] = Mailbox(max_items, policy=policy)
    model: list[int] = []
    dropped = high_water = 0
    is_over = False
    logging.disable(logging.WARNING)
    for number, move in enumerate(moves):
        if move == "put":
            is_full = is_over or len(model) == max_items
            is_over = is_over or (is_full and policy == "raise")
            dropped += is_full
            if not is_full or policy == "drop_oldest":
                model.append(number)
                del model[:-max_items]
            assert box.put(number) is (model[-1:] == [number])
        elif model:
            assert box.receive_nowait() == model.pop(0)
        high_water = max(high_water, len(model))
    logging.disable(logging.NOTSET)
    assert (len(box), box.dropped) == (len(model), dropped)
    assert (box.high_water, box.is_closed) == (high_water, is_over)


# ------------------------------------------------------------------------- the log


def losses_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("policy", POLICIES)
def test_each_burst_of_losses_is_logged_once(
    policy: OverflowPolicy, caplog: pytest.LogCaptureFixture
):
    filled(10, 2, policy)
    assert losses_in(caplog) == [
        f"readings is full at 2 items, policy {policy}; 1 lost so far"
    ]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_reader_that_is_always_too_slow_is_one_burst(
    caplog: pytest.LogCaptureFixture,
):
    box = filled(4, 4, "drop_oldest")
    for item in range(100):
        box.put(item)
        box.put(item)
        box.receive_nowait()
    assert box.dropped > 50
    assert len(losses_in(caplog)) == 1


def test_a_burst_lasts_until_the_reader_has_emptied_the_box(
    caplog: pytest.LogCaptureFixture,
):
    box = filled(3, 2, "drop_oldest")
    box.receive_nowait()
    box.receive_nowait()
    for item in range(3):
        box.put(item)
    assert [text[-13:] for text in losses_in(caplog)] == [
        "1 lost so far",
        "2 lost so far",
    ]


# ------------------------------------------------------------------------- closing


async def test_closing_ends_the_iteration_after_what_is_buffered():
    box = filled(2, 8, "drop_oldest")
    box.close()
    assert [item async for item in box] == [0, 1]
    with pytest.raises(anyio.EndOfStream):
        await box.receive()


async def test_closing_with_an_error_raises_it_after_what_is_buffered():
    box = filled(2, 8, "drop_oldest")
    box.close(LinkLost("strip went", reason="reset"))
    got: list[int] = []
    with pytest.raises(LinkLost, match="strip went") as caught:
        await read_into(box, got)
    assert got == [0, 1]
    assert caught.value.reason == "reset"


async def test_closing_with_an_error_raises_it_to_every_reader():
    box: Mailbox[int] = Mailbox()
    error = LinkLost("strip went")
    caught: list[LinkLost] = []

    async def read() -> None:
        try:
            await box.receive()
        except LinkLost as exc:
            caught.append(exc)

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        box.close(error)
    assert [str(exc) for exc in caught] == ["strip went"] * 3
    assert len({id(exc) for exc in (*caught, error)}) == 4, "each has one of its own"


async def test_the_error_does_not_grow_with_each_reader():
    box: Mailbox[int] = Mailbox()
    error = LinkLost("strip went")
    box.close(error)
    for _ in range(3):
        with pytest.raises(LinkLost):
            await box.receive()
    assert error.__traceback__ is None


async def test_closing_twice_is_silent_and_the_first_error_stays():
    box: Mailbox[int] = Mailbox()
    box.close(LinkLost("first"))
    box.close(LinkLost("second"))
    box.close()
    with pytest.raises(LinkLost, match="first"):
        await box.receive()


async def test_nothing_can_be_put_into_a_closed_box():
    box: Mailbox[int] = Mailbox()
    was_closed = box.is_closed
    box.close()
    assert (was_closed, box.is_closed) == (False, True)
    assert box.put(1) is False
    assert box.dropped == 0, "nobody wanted it any more"
    assert await drained(box) == []


async def test_leaving_the_block_closes_the_box():
    with Mailbox[int]() as box:
        box.put(1)
    assert box.is_closed
    assert [item async for item in box] == [1]
