"""Links from entities to entities: what is handed on, and what is done."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import anyio
import pytest

from structiot.errors import CommandRefused
from structiot.gateway import status_of
from structiot.model import (
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    Event,
    Light,
    LightState,
    Occurrence,
    StateChange,
)
from tests.gateway.link_house import (
    AT,
    BUTTON,
    away,
    linked,
    named,
    plug,
    pressed,
    there,
)
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time

PRESS = {"from": "button/button", "on": "single", "to": "plug/switch", "set": "TOGGLE"}
FOLLOW = {"from": "wall/switch", "to": "plug/switch"}


# ---------------------------------------------------------------- what happens


async def test_an_occurrence_toggles_what_it_is_linked_to():
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    async with linked(button, lamp, links=[PRESS]) as house:
        for wanted in (True, False, True):
            button.tell(pressed())
            await anyio.sleep(0.5)
            assert house.state("plug", "switch") is wanted
        button.tell(pressed("double"))
        await anyio.sleep(0.5)
        assert len(lamp.commands) == 3
        assert house.reasons == [""]
        shown = {one.name: one for one in status_of(house.gateway).links}
        assert shown["button/button -> plug/switch"].is_up


async def test_what_it_sets_may_be_a_table_a_number_or_true():
    lamp = named("lamp", [Light(key="light", color_modes=frozenset({"brightness"}))])
    button, other = named("button", BUTTON), plug("plug", switch=False)
    half = {"state": "ON", "brightness": 50}
    links: list[dict[str, Any]] = [
        {"from": "button/button", "on": "single", "to": "lamp/light", "set": half},
        {"from": "button/button", "on": "double", "to": "plug/level", "set": 42},
        {"from": "button/button", "on": "Double", "to": "plug/switch", "set": True},
    ]
    async with linked(button, lamp, other, links=links):
        button.tell(pressed(), pressed("double"))
        await anyio.sleep(0.5)
        assert lamp.commands == [
            ("light", LightState(is_on=True, brightness_percent=50))
        ]
        assert sorted(other.commands) == [("level", 42.0), ("switch", True)]


async def test_an_occurrence_may_be_handed_on_by_values():
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    values = {"single": "ON", "double": "OFF"}
    link = {"from": "button/button", "to": "plug/switch", "values": values}
    async with linked(button, lamp, links=[link]):
        button.tell(pressed(), pressed("double"), pressed())
        await anyio.sleep(0.5)
        assert lamp.commands == [("switch", one) for one in (True, False, True)]


async def test_a_state_does_something_when_it_becomes_so():
    wall, lamp = plug("wall"), plug("plug", level=0.0)
    link = {"from": "wall/switch", "on": "ON", "to": "plug/level", "set": 80}
    async with linked(wall, lamp, links=[link]):
        # What was not known before has not become anything.
        wall.tell_state("switch", True)
        await anyio.sleep(0.5)
        assert lamp.commands == []
        for state in (False, True, True, False, True):
            wall.tell_state("switch", state)
        await anyio.sleep(0.5)
        assert lamp.commands == [("level", 80.0)] * 2


async def test_every_change_may_do_something():
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    link = {"from": "wall/switch", "to": "plug/switch", "set": "TOGGLE"}
    async with linked(wall, lamp, links=[link]):
        assert lamp.commands == []
        for state in (True, False, None, False):
            wall.tell_state("switch", state)
            await anyio.sleep(0.5)
        assert lamp.commands == [("switch", True), ("switch", False)]


async def test_what_is_done_once_is_never_done_late():
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    async with linked(button, lamp, links=[PRESS]) as house:
        lamp.tell(away())
        await anyio.sleep(1)
        button.tell(pressed())
        await anyio.sleep(1)
        assert "it is unplugged" in house.reasons[0]
        lamp.tell(there())
        await anyio.sleep(60)
        assert lamp.commands == []
        # One that hangs costs those behind it, too.
        lamp.command_takes_s = 20.0
        button.tell(pressed(), pressed(), pressed())
        await anyio.sleep(1)
        lamp.command_takes_s = 0.0
        await anyio.sleep(200)
        assert lamp.commands == []
        button.tell(pressed())
        await anyio.sleep(1)
        assert lamp.commands == [("switch", True)]
        assert house.reasons == [""]


# ---------------------------------------------------------------- states


async def test_a_state_is_handed_on_at_once_and_whenever_it_changes():
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    async with linked(wall, lamp, links=[FOLLOW]):
        assert lamp.commands == [("switch", True)]
        wall.tell_state("switch", False)
        await anyio.sleep(0.5)
        assert lamp.commands[1:] == [("switch", False)]
        # What is so already needs no command.
        lamp.tell_state("switch", True)
        wall.tell_state("switch", True)
        await anyio.sleep(0.5)
        assert len(lamp.commands) == 2


async def test_a_state_is_handed_on_by_values():
    wall, lamp = plug("wall", switch=True), plug("plug", switch=True)
    link = {**FOLLOW, "values": {"on": "OFF"}}
    async with linked(wall, lamp, links=[link]):
        assert lamp.commands == [("switch", False)]
        # What they do not have is not handed on.
        wall.tell_state("switch", False)
        await anyio.sleep(0.5)
        assert len(lamp.commands) == 1


async def test_a_target_that_was_away_is_brought_to_the_present_state():
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    async with linked(wall, lamp, links=[FOLLOW]) as house:
        lamp.tell(away())
        await anyio.sleep(40)
        for number in range(9):
            wall.tell_state("switch", number % 2 == 0)
            await anyio.sleep(1)
        assert lamp.commands == []
        assert "it is unplugged" in house.reasons[0]
        lamp.tell(there())
        await anyio.sleep(5)
        assert lamp.commands == [("switch", True)]
        assert house.reasons == [""]
        # One that has forgotten it meanwhile is told again, though nothing has changed.
        lamp.tell(away())
        await anyio.sleep(1)
        lamp.tell(there())
        lamp.tell_state("switch", False)
        await anyio.sleep(5)
        assert lamp.commands == [("switch", True)] * 2


async def test_only_the_latest_state_waits_for_a_slow_target():
    wall, lamp = plug("wall", level=0.0), plug("plug", level=0.0)
    lamp.command_takes_s = 3.0
    link = {"from": "wall/level", "to": "plug/level"}
    async with linked(wall, lamp, links=[link]):
        for number in range(1, 30):
            wall.tell_state("level", float(number))
            await anyio.sleep(0.1)
        await anyio.sleep(10)
        assert lamp.commands[-1] == ("level", 29.0)
        assert len(lamp.commands) <= 3


async def test_a_target_that_takes_too_long_is_told_a_few_times_more():
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    lamp.command_takes_s = 1000.0
    async with linked(wall, lamp, links=[FOLLOW]) as house:
        wall.tell_state("switch", True)
        await anyio.sleep(20)
        assert "within 15 s" in house.reasons[0]
        lamp.command_takes_s = 0.0
        await anyio.sleep(60)
        assert lamp.commands == [("switch", True)]
        assert house.reasons == [""]


async def test_what_a_device_refuses_is_said_once_and_not_repeated(caplog):
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    lamp.command_error = CommandRefused("the fuse is gone")
    async with linked(wall, lamp, links=[FOLLOW]) as house:
        for number in range(21):
            wall.tell_state("switch", number % 2 == 0)
            await anyio.sleep(1)
        assert house.reasons == ["the fuse is gone"]
        await anyio.sleep(7200)
        said = [one for one in of_gateway(caplog) if one.startswith("link ")]
        assert said == ["link wall/switch -> plug/switch: the fuse is gone"]
        lamp.command_error = None
        wall.tell_state("switch", False)
        wall.tell_state("switch", True)
        await anyio.sleep(1)
        assert house.reasons == [""]


async def test_the_first_of_several_that_changes_last_counts():
    walls = [plug(f"wall {number}", switch=False) for number in (1, 2)]
    lamp = plug("plug", switch=False)
    links: list[dict[str, Any]] = [
        {"from": ["wall 1/switch", "wall_2/sw*"], "to": "plug/switch"}
    ]
    async with linked(*walls, lamp, links=links):
        walls[0].tell_state("switch", True)
        await anyio.sleep(0.5)
        walls[1].tell_state("switch", True)
        walls[1].tell_state("switch", False)
        await anyio.sleep(0.5)
        # Told twice at once, it may be handed on twice: it is the latest both times.
        told = [command for command, _ in groupby(lamp.commands)]
        assert told == [("switch", True), ("switch", False)]


async def test_a_link_may_be_of_one_system_or_model_alone():
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    links: list[dict[str, Any]] = [
        {**FOLLOW, "system": "manager"},
        {**FOLLOW, "model": "T*", "values": {"ON": "ON"}},
    ]
    async with linked(wall, lamp, links=links):
        wall.tell_state("switch", False)
        wall.tell_state("switch", True)
        await anyio.sleep(0.5)
        assert lamp.commands == []


async def test_a_shutter_follows_another_when_that_has_arrived():
    shutters = [
        named(name, [Cover(key="cover", has_position=True)])
        for name in ("first", "second")
    ]
    link = {"from": "first/cover", "to": "second/cover"}
    async with linked(*shutters, links=[link]):
        for state in (
            CoverState(motion=CoverMotion.OPENING, position_percent=40),
            CoverState(motion=CoverMotion.OPEN, position_percent=70),
            CoverState(motion=CoverMotion.OPEN),
        ):
            shutters[0].tell_state("cover", state)
            await anyio.sleep(0.5)
        assert shutters[1].commands == [("cover", 70), ("cover", CoverAction.OPEN)]


async def test_an_entity_that_only_happens_is_no_target(caplog):
    button = named("button", BUTTON)
    other = named("other", [Event(key="bell", event_types=("ring",))])
    link = {"from": "button/button", "to": "other/bell", "set": "ring"}
    async with linked(button, other, links=[link]) as house:
        button.tell(pressed())
        await anyio.sleep(1)
        assert house.reasons == ["bell takes no commands: it only happens"]
        other.tell(Occurrence(key="bell", event_type="ring", at_utc=AT))


async def test_what_a_target_was_told_counts_until_it_reports():
    wall, lamp = plug("wall", switch=False), named("plug")
    lamp.states["switch"] = False
    lamp.first.append(StateChange(key="switch", state=False, at_utc=AT))
    async with linked(wall, lamp, links=[FOLLOW]):
        # It reports late: what it was before is not what it is.
        for state in (True, False, True):
            wall.tell_state("switch", state)
            await anyio.sleep(0.5)
        assert lamp.commands == [("switch", one) for one in (True, False, True)]
        lamp.tell_state("switch", True)
        await anyio.sleep(0.5)
        # Somebody has switched it off at itself.
        lamp.tell_state("switch", False)
        wall.tell_state("switch", False)
        await anyio.sleep(0.5)
        assert len(lamp.commands) == 3
