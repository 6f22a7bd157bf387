"""A device that is polled: for all who watch it, by turns, away and back."""

from __future__ import annotations

import anyio
import pytest

from structiot.devices import PolledDevice, PowerChanged, StateChanged
from structiot.errors import (
    ConnectFailed,
    LinkLost,
    UsageError,
)
from structiot.model import (
    BinarySensor,
    Button,
    Command,
    Device,
    DeviceInfo,
    Number,
    Select,
    Sensor,
    Switch,
)
from tests.link.device.toys import (
    Appliance,
    Plug,
    availability,
    opened,
    states,
    surroundings,
    waiting,
)

pytestmark = pytest.mark.virtual_time

GONE = ConnectFailed("connection refused", host="plug")


# ---------------------------------------------------------------- open and closed


async def test_an_open_device_is_one_of_the_common_model_and_knows_its_states():
    async with opened() as (_, plug):
        assert isinstance(plug, Device)
        assert plug.states == {"relay": True, "power": 60.0}
        assert plug.availability.is_available
        assert repr(plug) == "<Plug Plug>"


async def test_a_device_that_cannot_be_reached_does_not_open():
    appliance = Appliance()
    appliance.trouble = GONE
    with pytest.raises(ConnectFailed, match="refused"):
        async with Plug(appliance, surroundings()):
            raise AssertionError
    assert len(appliance.asked) == 1


async def test_a_closed_device_says_so_and_ends_every_iteration():
    async with opened() as (_, plug):
        readings, events, changes = plug.readings(), plug.events(), plug.changes()
        iterators = [await block.__aenter__() for block in (readings, events, changes)]
    for iterator in iterators:
        assert [item async for item in iterator] == [] or iterator is iterators[1]
    for block in (readings, events, changes):
        await block.__aexit__(None, None, None)
    with pytest.raises(UsageError, match="Plug is closed"):
        async with plug.events():
            pass
    with pytest.raises(UsageError, match="Plug is closed"):
        await plug.command("relay", command=True)
    with pytest.raises(UsageError, match="opened once"):
        async with plug:
            pass


# ---------------------------------------------------------------- polls


async def test_nobody_polls_while_nobody_watches_and_one_poll_serves_all():
    async with opened() as (appliance, plug):
        await anyio.sleep(3600)
        assert appliance.polls == []
        since = anyio.current_time()
        async with plug.readings() as first, plug.events(), plug.readings() as second:
            await anyio.sleep(12)
            assert [when - since for when in appliance.polls] == [0, 5, 10]
            assert len(await waiting(first)) == 3
            # It joined before the first poll: the readings of the opening came first.
            assert len(await waiting(second)) == 4
        appliance.asked.clear()
        await anyio.sleep(3600)
        assert appliance.polls == []


async def test_polls_take_turns_whoever_wants_them():
    class Readable(Plug):
        async def read(self) -> None:
            await self._refresh()

    appliance = Appliance()
    async with Readable(appliance, surroundings()) as plug, plug.events():
        appliance.takes_s = 1.0
        async with anyio.create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(plug.read)
        await anyio.sleep(5)
        assert len(appliance.polls) >= 7
        assert appliance.at_once == 1


async def test_a_slow_reader_loses_the_oldest_and_costs_nobody_anything():
    async with (
        opened() as (_, plug),
        plug.readings(max_items=3) as slow,
        plug.readings(max_items=100) as quick,
    ):
        await anyio.sleep(50.5)
        everything = await waiting(quick)
        assert len(everything) == 12
        assert slow.dropped == 8
        assert await waiting(slow) == everything[-3:]


async def test_events_begin_with_what_is_and_go_on_with_what_differs():
    async with opened() as (appliance, plug), plug.events() as events:
        await anyio.sleep(20)
        first = await waiting(events)
        assert availability(first) == [(True, "")]
        assert states(first) == {"relay": True, "power": 60.0}
        appliance.power_w = 61.0
        await anyio.sleep(5)
        assert states(await waiting(events)) == {"power": 61.0}
        await anyio.sleep(60)
        assert await waiting(events) == []


async def test_changes_are_told_by_channel_beyond_a_threshold():
    async with opened() as (appliance, plug), plug.changes(min_power_w=2) as changes:
        await anyio.sleep(1)
        appliance.power_w = 61.0
        await anyio.sleep(5)
        assert await waiting(changes) == []
        appliance.is_on = False
        await anyio.sleep(5)
        power, state = await waiting(changes)
        assert isinstance(power, PowerChanged)
        assert (power.channel, power.port, power.change_w) == (1, 1, -60.0)
        assert isinstance(state, StateChanged)
        assert (state.channel, state.port, state.is_on) == (1, 1, False)


async def test_changes_start_from_what_was_heard_a_moment_ago_but_from_nothing_older():
    async with opened() as (appliance, plug):
        await anyio.sleep(4)
        appliance.is_on = False
        async with plug.changes() as changes:
            assert len(await waiting(changes)) == 2
        await anyio.sleep(6)
        appliance.is_on = True
        async with plug.changes() as changes:
            await anyio.sleep(1)
            assert await waiting(changes) == []


async def test_a_poll_that_is_cancelled_leaves_the_device_usable():
    async with opened() as (appliance, plug):
        appliance.takes_s = 10.0
        with anyio.move_on_after(1.0) as scope:
            await plug.command("relay", command=False)
        assert scope.cancelled_caught
        appliance.takes_s = 0.0
        with anyio.fail_after(1.0):
            await plug.command("relay", command=False)
        assert plug.states["relay"] is False


async def test_a_block_that_ends_in_the_middle_of_a_poll_ends_quietly():
    async with opened() as (appliance, plug), plug.readings():
        appliance.takes_s = 10.0
        await anyio.sleep(7)
    assert plug.is_available


# ---------------------------------------------------------------- commands


async def test_a_command_is_read_back_and_followed_by_quick_polls():
    async with opened() as (appliance, plug), plug.events() as events:
        await anyio.sleep(6)
        await waiting(events)
        since = anyio.current_time()
        await plug.command("relay", command=False)
        assert states(await waiting(events)) == {"relay": False, "power": 0.0}
        await anyio.sleep(20)
        times = [round(when - since, 3) for when in appliance.polls if when >= since]
        assert times == [0, 2, 4, 6, 8, 13, 18]


async def test_commands_take_turns():
    async with opened() as (appliance, plug):
        appliance.takes_s = 1.0
        async with anyio.create_task_group() as tg:
            for is_on in (True, False, True):
                tg.start_soon(plug.command, "relay", is_on)
        assert appliance.at_once == 1
        asked = [what for _, what in appliance.asked]
        assert asked[1::2] == ["status"] * 3
        assert set(asked[::2]) == {"on", "off"}


async def test_a_command_that_fails_is_followed_by_a_poll_at_once():
    async with opened(poll_s=60.0) as (appliance, plug), plug.events():
        await anyio.sleep(1)
        appliance.trouble = LinkLost("hung up")
        with pytest.raises(LinkLost):
            await plug.command("relay", command=False)
        appliance.trouble = None
        polls = len(appliance.polls)
        await anyio.sleep(0.1)
        assert len(appliance.polls) == polls + 1


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("relay", "on", "takes true or false, not 'on'"),
        ("dial", 11, "takes a number from 0 to 10, not 11"),
        ("dial", True, "takes a number from 0 to 10, not True"),
        ("mode", "slow", "takes one of eco, fast, not 'slow'"),
        ("reset", True, "takes no value, not True"),
        ("power", 1, "is only read; what can be told: relay, dial, mode, reset"),
        ("leak", True, "is only read"),
        ("lamp", True, "does not exist; what can be told: relay, dial, mode, reset"),
    ],
)
async def test_what_an_entity_cannot_take_is_refused_before_anything_is_sent(
    key, value, problem
):
    class Told(PolledDevice[DeviceInfo]):
        def __init__(self) -> None:
            entities = [
                Switch(key="relay"),
                Number(key="dial", minimum=0, maximum=10),
                Select(key="mode", options=("eco", "fast")),
                Button(key="reset"),
                Sensor(key="power"),
                BinarySensor(key="leak"),
            ]
            info = DeviceInfo(id="told", system="toy", name="Told")
            super().__init__(info, entities, environment=surroundings())
            self.told: list[tuple[str, object]] = []

        async def _poll(self) -> None:
            self._tell()

        async def _command(self, key, command) -> None:
            self.told.append((key, command))

    async with Told() as device:
        with pytest.raises(UsageError, match=f"{key} of Told {problem}"):
            await device.command(key, value)
        assert device.told == []
        good: list[tuple[str, Command]] = [
            ("relay", True),
            ("dial", 10.0),
            ("mode", "eco"),
            ("reset", None),
        ]
        for told in good:
            await device.command(*told)
        assert device.told == good
