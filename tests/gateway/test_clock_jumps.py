"""The machine's clock jumps a day either way: commands, links and totals do not mind."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from structiot import Environment
from structiot.model import Sensor, StateChange
from structiot.testing import MemoryNetwork
from tests.gateway.asked_house import asked, plug_of
from tests.gateway.history_house import SetClock
from tests.gateway.link_house import BUTTON, linked, named, plug, pressed, until
from tests.gateway.memory_house import House

pytestmark = [
    pytest.mark.virtual_time,
    pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=-1)]),
]

METER = Sensor(
    key="energy", unit="Wh", device_class="energy", state_class="total_increasing"
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def house(clock: SetClock) -> House:
    house = House()
    house.environment = Environment(network=MemoryNetwork("127.0.0.1"), clock=clock)
    return house


def statuses(asker, topic: str) -> list[tuple[object, object]]:
    return [(one["id"], one["status"]) for one in asker.told(topic)]


async def test_a_command_that_waits_has_the_time_that_it_had(house, clock, by):
    device = plug_of("Desk")
    device.command_takes_s = 12
    async with asked(device, house=house) as (_, asker):
        await asker.say("desk/relay/set", "ON")
        for number, wait_s in ((1, 5), (2, 60)):
            until_utc = clock() + timedelta(seconds=wait_s)
            order = {"value": "ON", "id": number, "deadline": until_utc.isoformat()}
            await asker.say("desk/other/set", order)
        await asker.say("desk/other/set", {"value": "OFF", "id": 3, "within_s": 60})
        # They have waited for two seconds, each in its turn.
        clock.by += by
        await anyio.sleep(4)
        assert statuses(asker, "desk/other/result") == [(1, "expired")]
        await anyio.sleep(60)
        assert statuses(asker, "desk/other/result")[1:] == [(2, "done"), (3, "done")]
    assert device.commands == [("relay", True), ("other", True), ("other", False)]


async def test_a_deadline_is_one_of_the_clock_that_is_set(house, clock, by):
    device = plug_of("Desk")
    async with asked(device, house=house) as (_, asker):
        soon = clock() + timedelta(seconds=30)
        clock.by += by
        order = {"value": "ON", "id": 1, "deadline": soon.isoformat()}
        await asker.say("desk/relay/set", order)
        wanted = "expired" if by > timedelta() else "done"
        assert statuses(asker, "desk/relay/result") == [(1, wanted)]
        await asker.say("desk/relay/set", {"value": "OFF", "id": 2, "within_s": 5})
        assert statuses(asker, "desk/relay/result")[1:] == [(2, "done")]


async def test_links_go_on(house, clock, by):
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    wall, other = plug("wall", switch=False), plug("other", switch=False)
    links = [
        {"from": "button/button", "on": "single", "to": "plug/switch", "set": "TOGGLE"},
        {"from": "wall/switch", "to": "other/switch"},
    ]
    devices = (button, lamp, wall, other)
    async with linked(*devices, links=links, house=house) as home:
        for wanted in (True, False, True):
            button.tell(pressed())
            wall.tell(StateChange(key="switch", state=wanted, at_utc=clock()))
            await until(lambda: home.state("plug", "switch") is wanted, 5)  # noqa: B023
            await until(lambda: home.state("other", "switch") is wanted, 5)  # noqa: B023
            clock.by += by
            await anyio.sleep(1)
        assert home.reasons == ["", ""]
        assert len(lamp.commands) == len(other.commands) == 3


async def test_energy_is_counted_on_and_nothing_is_made_up(house, clock, by):
    device = plug_of("Desk", (METER,))
    async with asked(device, house=house) as (_, asker):

        async def total(counter_wh: float) -> float:
            told = StateChange(key="energy", state=counter_wh, at_utc=clock())
            device.tell(told)
            await anyio.sleep(30)
            return float(asker.told("desk/energy/state")[-1])

        assert await total(1000.0) == 1000.0
        assert await total(1010.0) == 1010.0
        clock.by += by
        assert await total(1011.0) == 1011.0
        # The counter has begun anew while the clock was set back again.
        clock.by -= by
        assert await total(2.0) == 1013.0
        assert await total(3.0) == 1014.0
