"""Events that are made for each message: they wake and are cancelled as anyio's are."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.native_loop import event_maker


async def test_it_wakes_all_who_wait_and_nobody_waits_later():
    event, woken = event_maker()(), []

    async def wait(name: str) -> None:
        await event.wait()
        woken.append(name)

    async with anyio.create_task_group() as tg:
        for name in "abc":
            tg.start_soon(wait, name)
        await anyio.wait_all_tasks_blocked()
        assert not event.is_set()
        assert event.statistics().tasks_waiting == 3
        event.set()
        event.set()
    assert sorted(woken) == ["a", "b", "c"]
    assert event.is_set()
    assert event.statistics().tasks_waiting == 0
    with anyio.fail_after(1):
        await event.wait()


async def test_who_is_cancelled_leaves_the_others_waiting():
    event, woken = event_maker()(), []

    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            await event.wait()
            woken.append(scope)

    scopes = [anyio.CancelScope() for _ in range(3)]
    async with anyio.create_task_group() as tg:
        for scope in scopes:
            tg.start_soon(wait, scope)
        await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        assert event.statistics().tasks_waiting == 2
        event.set()
    assert set(woken) == {scopes[0], scopes[2]}


@pytest.mark.parametrize("is_set_first", [False, True])
async def test_setting_and_cancelling_at_once_ends_as_with_anyios(is_set_first: bool):
    ends = []
    for event in (event_maker()(), anyio.Event()):
        scope = anyio.CancelScope()

        async def wait(
            event: anyio.Event = event, scope: anyio.CancelScope = scope
        ) -> None:
            with scope:
                await event.wait()
            ends.append(scope.cancelled_caught)

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            for act in (event.set, scope.cancel)[:: 1 if is_set_first else -1]:
                act()
    assert ends[0] == ends[1]


async def test_waiting_for_what_is_set_can_be_cancelled():
    event = event_maker()()
    event.set()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await event.wait()
    assert scope.cancelled_caught
