"""The gate between clients that have sent much."""

from __future__ import annotations

from itertools import pairwise

import anyio
import anyio.lowlevel

from structiot.mqtt.broker.core.work import PORTION, Work
from structiot.mqtt.broker.turns import Turns


async def test_many_with_much_to_do_take_turns_and_who_has_little_goes_between():
    work = Work()
    turns = Turns(work)
    events: list[str] = []

    async def busy(number: int) -> None:
        for _ in range(3):
            await turns.wait("a")
            events.append(f"busy{number}")
            work.done += PORTION
            await turns.end()

    async def quiet() -> None:
        for _ in range(30):
            events.append("quiet")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tg:
        for number in range(5):
            tg.start_soon(busy, number)
        tg.start_soon(quiet)
    assert sum(event != "quiet" for event in events) == 15
    until_last = events[: len(events) - events[::-1].index("quiet")]
    runs = "".join("q" if event == "quiet" else "b" for event in until_last)
    assert "bbb" not in runs


async def test_who_is_cancelled_at_the_gate_leaves_it_to_the_next():
    work = Work()
    turns = Turns(work)
    done: list[int] = []

    async def busy(number: int) -> None:
        await turns.wait("a")
        work.done += PORTION
        await turns.end()
        done.append(number)

    for cancelled_after in range(8):
        done.clear()
        async with anyio.create_task_group() as tg:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as leaving:
                    tg.start_soon(busy, 0)
                    for number in range(1, 4):
                        leaving.start_soon(busy, number)
                    tg.start_soon(busy, 4)
                    for _ in range(cancelled_after):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        assert {0, 4} <= set(done)
        assert turns.has_room(1 << 20) or work.done >= turns.ends_at


async def test_a_few_kb_need_not_queue_while_the_portion_lasts():
    work = Work()
    turns = Turns(work)
    assert turns.has_room(1 << 20)
    work.done += PORTION
    assert not turns.has_room(1)
    await turns.end()
    assert turns.has_room(1 << 20)


async def test_who_has_many_connections_has_no_more_turns_than_who_has_one():
    work = Work()
    turns = Turns(work)
    order: list[str] = []

    async def busy(host: str, times: int) -> None:
        for _ in range(times):
            await turns.wait(host)
            order.append(host)
            work.done += PORTION
            await turns.end()

    async with anyio.create_task_group() as tg:
        for _ in range(200):
            tg.start_soon(busy, "many", 2)
        tg.start_soon(busy, "one", 5)
    places = [place for place, host in enumerate(order) if host == "one"]
    assert len(order) == 405
    # Those of both addresses that have come before there was a queue go first.
    assert max(after - before for before, after in pairwise(places)) <= 4
