"""The box that holds the latest value of each key."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot._kit.flow.conflating import ConflatingQueue
from structiot.errors import UsageError

pytestmark = pytest.mark.virtual_time


async def taken(box: ConflatingQueue[str, int]) -> list[int]:
    """Take what waits in a closed box."""
    return [value async for value in box]


async def test_values_come_in_the_order_in_which_their_keys_last_changed():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        box.put(key, value)
    assert len(box) == 2
    box.close()
    assert await taken(box) == [2, 3]


async def test_a_new_value_replaces_one_that_still_waits_and_is_counted():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    for value in range(1000):
        box.put("a", value)
    assert (len(box), box.replaced) == (1, 999)
    box.close()
    assert await taken(box) == [999]


async def test_a_value_that_was_taken_is_not_replaced():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    box.put("a", 1)
    assert await anext(box) == 1
    box.put("a", 2)
    assert await anext(box) == 2
    assert box.replaced == 0


async def test_a_reader_waits_for_what_comes_later():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    found: list[int] = []

    async def read() -> None:
        found.extend([value async for value in box])

    async with anyio.create_task_group() as tg:
        tg.start_soon(read)
        for value in range(3):
            await anyio.wait_all_tasks_blocked()
            box.put("a", value)
        await anyio.wait_all_tasks_blocked()
        box.close()
    assert found == [0, 1, 2]


async def test_closing_wakes_every_reader_and_twice_is_silent():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(taken, box)
        await anyio.wait_all_tasks_blocked()
        box.close()
        box.close()
    box.put("a", 1)
    assert len(box) == 0


async def test_each_value_goes_to_one_of_several_readers():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    found: list[int] = []

    async def read() -> None:
        found.extend([value async for value in box])

    async with anyio.create_task_group() as tg:
        tg.start_soon(read)
        tg.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        for number in range(10):
            box.put(f"key {number}", number)
        await anyio.wait_all_tasks_blocked()
        box.close()
    assert sorted(found) == list(range(10))


async def test_a_cancelled_reader_loses_nothing():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    with anyio.move_on_after(1):
        await anext(box)
    box.put("a", 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(box)
    assert len(box) == 1
    assert await anext(box) == 1


async def test_a_value_that_is_none_waits_like_any_other():
    box: ConflatingQueue[str, int | None] = ConflatingQueue()
    box.put("a", None)
    box.put("a", None)
    assert box.replaced == 1
    assert await anext(box) is None


async def test_what_is_appended_is_replaced_by_nothing_and_keeps_its_place():
    queue: ConflatingQueue[str, str] = ConflatingQueue()
    queue.append("press")
    queue.put("state", "old")
    queue.append("press")
    queue.put("state", "new")
    queue.close()
    assert [value async for value in queue] == ["press", "press", "new"]
    assert (queue.replaced, queue.dropped) == (1, 0)


async def test_what_is_appended_is_bounded_and_the_oldest_is_dropped():
    queue: ConflatingQueue[str, int] = ConflatingQueue(max_appended=3)
    queue.put("state", 0)
    for number in range(1, 6):
        queue.append(number)
    assert len(queue) == 4
    assert [await anext(queue) for _ in range(2)] == [0, 3]
    queue.append(6)
    queue.close()
    assert [value async for value in queue] == [4, 5, 6]
    assert queue.dropped == 2


async def test_a_burst_of_what_is_dropped_is_said_once(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING, "structiot")
    queue: ConflatingQueue[str, int] = ConflatingQueue(max_appended=2, name="events")
    said = "events is full at 2 appended; the oldest goes, {} lost so far"
    for number in range(10):
        queue.append(number)
    assert caplog.messages == [said.format(1)]
    await anext(queue)
    for number in range(10):
        queue.append(number)
    assert len(caplog.messages) == 1
    await anext(queue)
    await anext(queue)
    for number in range(3):
        queue.append(number)
    assert caplog.messages[1:] == [said.format(18)]
    assert queue.dropped == 18


@pytest.mark.parametrize("max_appended", [0, -1])
async def test_a_queue_that_could_hold_nothing_is_refused(max_appended):
    with pytest.raises(UsageError, match=f"at least one appended.*{max_appended}"):
        ConflatingQueue(max_appended=max_appended)


async def test_a_reader_of_a_queue_that_is_never_empty_lets_others_run():
    queue: ConflatingQueue[str, int] = ConflatingQueue()
    queue.put("a", 0)
    read = 0
    async with anyio.create_task_group() as tg:
        tg.start_soon(close_later, queue)
        async for value in queue:
            read += 1
            if read < 10_000:
                queue.put("a", value + 1)
    assert read < 1000


async def close_later(queue: ConflatingQueue[str, int]) -> None:
    queue.close()


async def test_a_value_that_keeps_its_place_comes_where_the_one_before_it_would():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    for key, value in (("a", 1), ("b", 2)):
        box.put(key, value)
    box.put("a", 3, keeps_place=True)
    box.put("c", 4, keeps_place=True)
    box.close()
    assert await taken(box) == [3, 2, 4]


async def test_what_is_discarded_does_not_come_out():
    box: ConflatingQueue[str, int] = ConflatingQueue()
    for key, value in (("a", 1), ("b", 2)):
        box.put(key, value)
    for key in ("a", "nobody's"):
        box.discard(key)
    box.close()
    assert await taken(box) == [2]
