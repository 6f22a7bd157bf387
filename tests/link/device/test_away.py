"""A device that is polled: away and back, refused, and described anew."""

from __future__ import annotations

import gc
import itertools
import logging
import math
import weakref

import anyio
import pytest

from structiot.devices import BaseDevice, PolledDevice
from structiot.errors import (
    AuthRefused,
    ConnectFailed,
    DeviceReplaced,
    ProtocolViolation,
    RateLimited,
    ReplyTimeout,
    UsageError,
)
from structiot.model import (
    DeviceInfo,
    EntitiesChanged,
    Sensor,
    StateChange,
)
from tests.link.device.toys import (
    Appliance,
    Plug,
    availability,
    is_there,
    opened,
    surroundings,
    waiting,
)

pytestmark = pytest.mark.virtual_time

GONE = ConnectFailed("connection refused", host="plug")


# ---------------------------------------------------------------- away and back


async def test_three_failures_in_a_row_are_away_once_and_one_success_is_back_once(
    caplog,
):
    caplog.set_level(logging.INFO, "structiot.toy")
    async with opened() as (appliance, plug), plug.events() as events:
        await anyio.sleep(1)
        await waiting(events)
        appliance.trouble = GONE
        await anyio.sleep(5.5)
        assert is_there(plug)
        await anyio.sleep(3600)
        assert availability(await waiting(events)) == [(False, "connection refused")]
        appliance.trouble = None
        await anyio.sleep(61)
        assert availability(await waiting(events)) == [(True, "")]
        polls = len(appliance.polls)
        await anyio.sleep(20)
        assert len(appliance.polls) - polls == 4
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    went, came = caplog.messages
    assert went == "Plug is away: connection refused; asking on"
    assert came.startswith("Plug is back after 3")


async def test_a_success_in_between_begins_the_count_anew():
    class Moody(Appliance):
        async def ask(self, what):
            self.trouble = GONE if len(self.asked) % 3 else None
            return await super().ask(what)

    appliance = Moody()
    async with Plug(appliance, surroundings()) as plug, plug.events():
        always = plug.availability
        await anyio.sleep(600)
        assert len(appliance.polls) > 120
        assert plug.availability is always


async def test_the_delays_between_retries_grow_up_to_a_minute():
    async with opened() as (appliance, plug), plug.events():
        await anyio.sleep(1)
        appliance.trouble = GONE
        appliance.asked.clear()
        await anyio.sleep(1800)
        polls = appliance.polls
        gaps = [after - before for before, after in itertools.pairwise(polls)]
        assert 0.8 <= gaps[0] <= 1.0
        assert 48 <= gaps[-1] <= 60
        assert len(polls) < 45


async def test_another_device_in_its_place_needs_no_second_failure():
    async with opened() as (appliance, plug), plug.events() as events:
        await anyio.sleep(1)
        await waiting(events)
        appliance.trouble = DeviceReplaced("another device answers", host="plug")
        await anyio.sleep(5)
        assert availability(await waiting(events)) == [
            (False, "another device answers")
        ]


async def test_who_begins_to_read_while_it_is_away_is_given_nothing_old():
    async with opened() as (appliance, plug), plug.events():
        await anyio.sleep(1)
        appliance.trouble = ProtocolViolation("nonsense")
        await anyio.sleep(60)
        async with plug.readings() as readings:
            assert await waiting(readings) == []


async def test_refused_credentials_are_tried_once_and_end_the_block():
    with pytest.raises(AuthRefused, match="wrong password"):
        async with opened() as (appliance, plug), plug.events() as events:
            await anyio.sleep(1)
            appliance.asked.clear()
            appliance.trouble = AuthRefused("wrong password")
            await anyio.sleep(3600)
    assert len(appliance.polls) == 1
    assert not plug.is_available
    assert (False, "wrong password") in availability([event async for event in events])


async def test_a_peer_that_has_had_enough_is_left_alone_even_by_newcomers():
    async with opened() as (appliance, plug):
        async with plug.events():
            await anyio.sleep(1)
            appliance.trouble = RateLimited("too many requests", retry_after_s=300)
            with pytest.raises(RateLimited):
                await plug.command("relay", command=False)
            await anyio.sleep(5)
        since = anyio.current_time()
        appliance.trouble = None
        appliance.asked.clear()
        async with plug.events():
            await anyio.sleep(400)
        assert appliance.polls[0] - since == pytest.approx(299)


async def test_a_poll_that_never_ends_is_a_failure_and_hands_on_its_turn():
    async with opened() as (appliance, plug), plug.events() as events:
        await anyio.sleep(1)
        await waiting(events)
        appliance.takes_s = math.inf
        await anyio.sleep(200)
        assert not is_there(plug)
        reason = "Plug was polled for 60 s without an end"
        assert availability(await waiting(events)) == [(False, reason)]
        appliance.takes_s = 0.0
        await anyio.sleep(120)
        assert is_there(plug)


async def test_a_device_that_never_answers_does_not_open():
    appliance = Appliance()
    appliance.takes_s = math.inf
    with pytest.raises(ReplyTimeout, match="60 s without an end") as caught:
        async with Plug(appliance, surroundings()):
            pytest.fail("it has not answered")
    assert caught.value.after_s == 60


@pytest.mark.parametrize("poll_within_s", [0, -1, math.nan])
async def test_a_poll_has_some_time(poll_within_s):
    info = DeviceInfo(id="x", system="toy", name="X")
    with pytest.raises(UsageError, match="poll_within_s is above 0 s"):
        PolledDevice(info, poll_within_s=poll_within_s)


async def test_what_says_no_time_does_not_shorten_the_time_that_was_said():
    class Readable(Plug):
        async def read(self) -> None:
            await self._refresh()

    appliance = Appliance()
    async with Readable(appliance, surroundings()) as plug, plug.events():
        await anyio.sleep(1)
        for retry_after_s in (300, None):
            appliance.trouble = RateLimited("enough", retry_after_s=retry_after_s)
            with pytest.raises(RateLimited):
                await plug.read()
        since = anyio.current_time()
        appliance.trouble = None
        appliance.asked.clear()
        await anyio.sleep(400)
        assert appliance.polls[0] - since == pytest.approx(300)


async def come_and_go(plug: Plug, for_s: float) -> None:
    for _ in range(round(for_s / 0.01)):
        async with plug.events():
            await anyio.sleep(0.01)


async def test_who_comes_and_goes_while_it_fails_does_not_hurry_the_retries():
    async with opened() as (appliance, plug):
        appliance.trouble = GONE
        await come_and_go(plug, 60)
        gaps = [after - before for before, after in itertools.pairwise(appliance.polls)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > 5
        await anyio.sleep(60)
        since = anyio.current_time()
        appliance.trouble = None
        async with plug.events():
            await anyio.sleep(1)
        assert appliance.polls[-1] == pytest.approx(since)


@pytest.mark.parametrize(("poll_s", "polls"), [(5.0, 10), (0.25, 40)])
async def test_who_comes_and_goes_while_it_works_has_it_polled_once_a_second(
    poll_s, polls
):
    async with opened(poll_s) as (appliance, plug):
        since = round(anyio.current_time(), 6)
        await come_and_go(plug, 10)
        assert appliance.polls[0] == since
        assert polls - 2 <= len(appliance.polls) <= polls + 1


# ---------------------------------------------------------------- described anew


async def test_a_device_that_is_described_anew_says_so_and_forgets_old_states():
    class Renamed(Plug):
        def rename(self, name: str) -> None:
            info = DeviceInfo(id=self.info.id, system="toy", name=name)
            self._describe(info, self.entities[:1], reason="renamed")

    async with (
        Renamed(Appliance(), surroundings(), 60.0) as plug,
        plug.events() as events,
    ):
        await waiting(events)
        plug.rename("Lamp")
        (change,) = await waiting(events)
        assert isinstance(change, EntitiesChanged)
        assert change.reason == "renamed"
        assert plug.info.name == "Lamp"
        assert plug.states == {"relay": True}
        plug.rename("Lamp")
        assert await waiting(events) == []


async def test_what_it_has_now_is_told_before_the_states_and_of_what_is_gone_none():
    class Growing(BaseDevice[DeviceInfo]):
        def grow(self) -> None:
            for count in (1, 3, 2):
                keys = [f"power_{number}" for number in range(count)]
                self._describe(self.info, [Sensor(key=key) for key in keys])
                self._tell(dict.fromkeys(keys, 1.0))

    info = DeviceInfo(id="1", system="toy", name="Meter")
    async with Growing(info) as meter, meter.events() as events:
        await waiting(events)
        meter.grow()
        changed, *states = await waiting(events)
        assert isinstance(changed, EntitiesChanged)
        assert [one.key for one in states if isinstance(one, StateChange)] == [
            "power_0",
            "power_1",
        ]


class Key(str):
    """A key that tells whether anybody still holds it."""

    __slots__ = ("__weakref__",)


async def test_nothing_is_kept_of_an_entity_that_is_gone():
    class Changing(BaseDevice[DeviceInfo]):
        def change(self) -> weakref.ref[Key]:
            key = Key("power")
            self._tell({key: 1.0})
            self._describe(self.info, [], reason="it has no meter any more")
            return weakref.ref(key)

    info = DeviceInfo(id="x", system="toy", name="X")
    device = Changing(info, [Sensor(key="power")])
    held = device.change()
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("offline_after", [0, -1])
async def test_a_device_is_away_after_a_failure_at_the_earliest(offline_after):
    info = DeviceInfo(id="x", system="toy", name="X")
    with pytest.raises(UsageError, match="offline_after is at least 1"):
        PolledDevice(info, offline_after=offline_after)
