"""Reconnecting: attempts, waits, causes that are final, and who is told."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import anyio
import anyio.lowlevel
import pytest

from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.reconnecting import Reconnecting
from structiot._kit.flow.tasks import service_group
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    RateLimited,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.testing import cancel_sweep

pytestmark = pytest.mark.virtual_time

FAILED = ConnectFailed("nobody there", host="h", port=1)
BACKOFF = Backoff(first_s=1, factor=2, cap_s=8, jitter=0, stable_s=60)
FULL, FULL_NOW = RateLimited("full"), RateLimited("full now")
CLOSED = LinkLost("closed", reason="closed")


class ScriptedLink(Reconnecting):
    """Each attempt fails with the next error, or lives for the next so many seconds."""

    def __init__(self, *script: StructiotError | float, backoff: Backoff = BACKOFF):
        super().__init__(backoff, Random(1))
        self.script = list(script)
        self.began_at: list[float] = []
        self.told: list[tuple[str, int, float | None]] = []
        self.news: list[bool] = []
        self.is_connected = False
        self.is_closed_well = True

    async def run_connection(self) -> None:
        self.began_at.append(anyio.current_time())
        step = self.script.pop(0) if self.script else float("inf")
        if isinstance(step, StructiotError):
            await anyio.lowlevel.checkpoint()
            raise step
        self.connected()
        self.is_connected, self.is_closed_well = True, False
        try:
            await anyio.sleep(step)
        finally:
            self.is_connected = False
            self.is_closed_well = True
        raise LinkLost("hung up")

    def lost(self, error: StructiotError, retry_in_s: float | None) -> None:
        self.told.append((str(error), self.attempts, retry_in_s))
        self.news.append(self.is_news(error))

    async def ready(self) -> None:
        await self.until(lambda: self.is_connected)


@asynccontextmanager
async def running(link: ScriptedLink) -> AsyncGenerator[ScriptedLink]:
    async with service_group() as tg:
        tg.start_soon(link.run)
        try:
            yield link
        finally:
            link.end(CLOSED)


# ------------------------------------------------------------------ waits


async def test_failed_attempts_are_made_again_by_the_schedule():
    async with running(ScriptedLink(FAILED, FAILED, FAILED)) as link:
        await link.ready()
        assert link.began_at == [0, 1, 3, 7]
        assert link.told == [
            ("nobody there", 1, 1.0),
            ("nobody there", 2, 2.0),
            ("nobody there", 3, 4.0),
        ]
        assert link.attempts == 0


async def test_a_lost_connection_is_opened_again_soon_but_not_twice_in_a_row():
    async with running(ScriptedLink(5, 5, 5)) as link:
        await anyio.sleep(30)
        assert link.began_at == [0, 5.2, 11.2, 18.2]
        assert link.told == [("hung up", 0, wait) for wait in (0.2, 1.0, 2.0)]


async def test_a_connection_that_was_stable_resets_the_schedule():
    async with running(ScriptedLink(5, 5, 60, FAILED)) as link:
        await anyio.sleep(100)
        waits = [wait for _, _, wait in link.told]
        assert waits == [0.2, 1.0, 0.2, 1.0]


async def test_how_long_a_connection_lived_is_known_and_nothing_of_an_attempt():
    async with running(ScriptedLink(5, FAILED)) as link:
        await anyio.sleep(5.1)
        assert link.lived_s == 5
        await anyio.sleep(0.2)
        assert link.lived_s is None


@pytest.mark.parametrize(
    ("script", "news"),
    [
        # Away from the beginning.
        ([FAILED, FAILED], [True, False]),
        # Lost and at once there again; lost and away; away once more.
        ([5, 5, FAILED, FAILED, 5, FAILED], [0, 0, 1, 0, 0, 1]),
        # What the peer says, each time that it is something else.
        ([FULL, FULL, FAILED, FULL_NOW, FULL, FAILED], [1, 0, 0, 1, 1, 0]),
        # The same again, unless the connection between was of some length.
        ([FULL, 5, FULL, 60, FULL], [1, 0, 0, 0, 1]),
    ],
)
async def test_an_absence_is_news_once_and_what_a_peer_says_whenever_it_is_new(
    script, news
):
    async with running(ScriptedLink(*script)) as link:
        await anyio.sleep(200)
        assert link.news == news


async def test_bounded_attempts_end_with_an_error_and_are_no_news():
    backoff = Backoff(first_s=1, jitter=0, retries=1)
    link = ScriptedLink(FAILED, FAILED, backoff=backoff)
    with pytest.raises(ConnectFailed):
        async with running(link):
            await anyio.sleep(100)
    assert link.news == [False, False]


async def test_a_peer_that_has_had_enough_is_left_alone_as_long_as_it_says():
    slow_down = RateLimited("too many", retry_after_s=300)
    async with running(ScriptedLink(slow_down, RateLimited("too many"))) as link:
        await link.ready()
        assert link.began_at == [0, 300, 302]


# ------------------------------------------------------------------ giving up


@pytest.mark.parametrize("final", [AuthRefused("wrong password"), ConfigError("no")])
async def test_a_final_cause_is_not_tried_again(final: StructiotError):
    link = ScriptedLink(final)
    with pytest.raises(type(final)) as caught:
        await link.run()
    assert caught.value is final is link.error
    assert link.told == [(str(final), 1, None)]
    assert link.began_at == [0]


async def test_so_many_retries_and_the_last_failure_is_raised():
    link = ScriptedLink(*[FAILED] * 9, backoff=Backoff(jitter=0, retries=2))
    with pytest.raises(ConnectFailed) as caught:
        await link.run()
    assert caught.value is FAILED
    assert [told[1:] for told in link.told] == [(1, 1.0), (2, 2.0), (3, None)]


async def test_a_connection_that_cannot_be_opened_again_is_lost():
    link = ScriptedLink(5, FAILED, backoff=Backoff(jitter=0, retries=0))
    with pytest.raises(
        LinkLost, match="nobody there; gave up after 1 attempts"
    ) as lost:
        await link.run()
    assert lost.value.__cause__ is FAILED
    assert link.told[-1] == (str(lost.value), 1, None)


async def test_everybody_who_waits_gets_the_last_failure_as_a_copy():
    link = ScriptedLink(FAILED, backoff=Backoff(retries=0))
    told: list[StructiotError] = []

    async def wait() -> None:
        with pytest.raises(ConnectFailed, match="nobody there") as caught:
            await link.ready()
        told.append(caught.value)

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConnectFailed):
            await link.run()
    assert len({id(error) for error in (*told, link.error)}) == 4
    with pytest.raises(ConnectFailed):
        await link.ready()


async def test_what_is_no_error_of_ours_ends_the_loop_as_it_is():
    class Broken(ScriptedLink):
        async def run_connection(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Broken().run()


# ------------------------------------------------------------------ asked for


async def test_retry_now_ends_one_wait():
    async with running(ScriptedLink(FAILED, FAILED, FAILED, FAILED)) as link:
        await anyio.sleep(3.5)
        link.retry_now()
        await link.ready()
        assert link.began_at == [0, 1, 3, 3.5, 11.5]


async def test_retry_now_holds_for_what_follows_the_present_connection():
    async with running(ScriptedLink(5, 5, 5)) as link:
        await anyio.sleep(1)
        link.retry_now()
        link.drop(LinkLost("on request"))
        await anyio.sleep(0.1)
        assert link.is_connected
        assert link.told == [("on request", 0, 0.0)]
        await anyio.sleep(12)
        assert link.began_at == [0, 1, 6.2, 12.2], "once"


async def test_retry_now_does_not_try_again_what_cannot_help():
    class Impatient(ScriptedLink):
        async def run_connection(self) -> None:
            self.retry_now()
            await super().run_connection()

    link = Impatient(FAILED, AuthRefused("wrong password"))
    with pytest.raises(AuthRefused):
        await link.run()
    assert link.began_at == [0, 0]


async def test_what_is_dropped_ends_with_the_first_reason():
    async with running(ScriptedLink()) as link:
        await link.ready()
        link.drop(ReplyTimeout("no pong", request="ping", after_s=1))
        link.drop(LinkLost("the writer failed, too"))
        await anyio.sleep(0.5)
        assert link.told == [("no pong", 0, 0.2)]
        assert link.is_connected


# ------------------------------------------------------------------ leaving


async def test_the_last_connection_ends_the_loop_and_what_waits_for_another():
    link = ScriptedLink(5)
    async with anyio.create_task_group() as tg:
        tg.start_soon(link.run)
        await link.ready()
        link.retry_no_more(CLOSED)
        assert link.is_leaving
        assert link.is_connected
        with pytest.raises(LinkLost, match="closed"):
            await link.until(lambda: False)
        assert anyio.current_time() == 5
    assert link.told == []


async def test_who_leaves_while_there_is_no_connection_need_not_wait():
    link = ScriptedLink(FAILED, FAILED)
    async with anyio.create_task_group() as tg:
        tg.start_soon(link.run)
        await anyio.sleep(2)
        link.retry_no_more(CLOSED)
    assert anyio.current_time() == 2
    assert link.error is CLOSED


async def test_a_cancelled_owner_has_the_connection_until_it_ends_the_link():
    link = ScriptedLink()
    with anyio.CancelScope() as scope:
        async with service_group() as tg:
            tg.start_soon(link.run)
            try:
                await link.ready()
                scope.cancel()
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)
                    assert link.is_connected
                    link.end(CLOSED)
    assert not link.is_connected
    with pytest.raises(LinkLost, match="closed"):
        link.check()


async def test_who_has_ended_it_is_not_told_so_where_the_connection_fails_just_then():
    class Stubborn(ScriptedLink):
        async def run_connection(self) -> None:
            self.connected()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                raise LinkLost("hung up") from None

    link = Stubborn()
    async with service_group() as tg:
        tg.start_soon(link.run)
        await anyio.sleep(1)
        link.end(UsageError("the block has ended"))
    assert link.told == []


async def test_what_has_ended_keeps_nothing_of_its_connection_alive():
    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    class Holding(ScriptedLink):
        async def run_connection(self) -> None:
            thing = Thing()
            things.append(weakref.ref(thing))
            await super().run_connection()

    async with running(Holding(FAILED, 1)) as link:
        await anyio.sleep(2.1)
        gc.collect()
        assert [thing() for thing in things] == [None, None]
        assert len(link.told) == 2


async def test_a_loop_cancelled_anywhere_leaves_nothing_open():
    async def flow() -> None:
        link = ScriptedLink(FAILED, 1)
        try:
            async with running(link):
                await link.ready()
                await anyio.sleep(2)
        finally:
            assert link.is_closed_well

    await cancel_sweep(flow)
