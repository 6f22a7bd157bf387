"""Links from entities to entities: what is handed on, and what is done."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost
from structiot.model import (
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    DeviceInfo,
    Event,
    Light,
    LightState,
    Occurrence,
    StateChange,
    Switch,
)
from tests.gateway.link_house import (
    AT,
    BUTTON,
    Obedient,
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


async def test_what_it_sets_may_be_a_table_a_number_or_true():
    lamp = named("lamp", [Light(key="light", color_modes=frozenset({"brightness"}))])
    button, other = named("button", BUTTON), plug("plug", switch=False)
    half = {"state": "ON", "brightness": 50}
    links = [
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
    links = [{"from": ["wall 1/switch", "wall_2/sw*"], "to": "plug/switch"}]
    async with linked(*walls, lamp, links=links):
        walls[0].tell_state("switch", True)
        await anyio.sleep(0.5)
        walls[1].tell_state("switch", True)
        walls[1].tell_state("switch", False)
        await anyio.sleep(0.5)
        assert lamp.commands == [("switch", True), ("switch", False)]


async def test_a_link_may_be_of_one_system_or_model_alone():
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    links = [
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


# ---------------------------------------------------------------- names


async def test_names_that_no_device_has_are_said_once_when_all_should_be_there(caplog):
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    links = [
        FOLLOW,
        {"from": "wall/swich", "to": "plug/level"},
        {"from": "wall/level", "to": "plugg/level"},
        {"from": "cellar/*", "to": "mqtt:cellar/{entity}"},
    ]
    async with linked(wall, lamp, links=links) as house:
        assert house.reasons == [""] * 4
        await anyio.sleep(300)
        assert house.reasons == [
            "",
            "wall has no 'swich'; did you mean 'switch'?",
            "there is no device 'plugg'; did you mean 'plug'?",
            "there is no device 'cellar'",
        ]
        said = [one for one in of_gateway(caplog) if one.startswith("link ")]
        assert len(said) == 3
        await house.reload([FOLLOW])
        assert house.reasons == [""]


async def test_who_comes_late_is_brought_to_the_present_state():
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    lamp.open_error = LinkLost("it is unplugged")
    async with linked(wall, lamp, links=[FOLLOW]) as house:
        await anyio.sleep(40)
        assert "it is unplugged" in house.reasons[0]
        lamp.open_error = None
        await anyio.sleep(70)
        assert lamp.commands == [("switch", True)]
        assert house.reasons == [""]


# ---------------------------------------------------------------- loops and floods


async def test_a_loop_that_no_configuration_shows_is_broken(caplog):
    """Two entities of one device that are the same thing join two links to a loop."""

    class Mirror(Obedient):
        async def command(self, key, command):
            await super().command(key, command)
            self.tell_state("shadow", command)

    two = [Switch(key="switch"), Switch(key="shadow")]
    mirror = Mirror(DeviceInfo(id="m", system="toy", name="mirror"), two)
    wall = plug("wall", switch=False)
    links = [
        {"from": "wall/switch", "to": "mirror/switch", "set": "TOGGLE"},
        {"from": "mirror/shadow", "to": "wall/switch", "set": "TOGGLE"},
    ]
    for key in ("switch", "shadow"):
        mirror.first.append(StateChange(key=key, state=False, at_utc=AT))
    async with linked(wall, mirror, links=links) as house:
        mirror.tell_state("switch", False)
        mirror.tell_state("shadow", False)
        wall.tell_state("switch", True)
        await anyio.sleep(60)
        # So often may a link act, and no more.
        assert len(mirror.commands) < 400
        assert any("as in a loop" in one for one in house.reasons)
        said = [one for one in of_gateway(caplog) if "as in a loop" in one]
        assert 1 <= len(said) <= 2


async def test_a_change_that_a_link_has_brought_about_does_not_come_back_to_it(caplog):
    """The pattern is of names that come later, so nobody could see the loop before."""
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    links = [
        {"from": "wall/switch", "to": "device_plug/switch", "set": "TOGGLE"},
        {"from": "Device */switch", "to": "wall/switch", "set": "TOGGLE"},
    ]
    lamp.info = DeviceInfo(id="plug", system="toy", name="Device plug")
    async with linked(wall, lamp, links=links) as house:
        wall.tell_state("switch", True)
        await anyio.sleep(30)
        assert len(lamp.commands) == 1
        assert len(wall.commands) == 1
        assert "loop" in house.reasons[0]
        assert len([one for one in of_gateway(caplog) if "loop" in one]) == 1
        await anyio.sleep(120)
        assert house.reasons == ["", ""]


async def test_a_source_that_floods_costs_its_link_alone(caplog):
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    wall, level = plug("wall", level=0.0), plug("other", level=0.0)
    links = [PRESS, {"from": "wall/level", "to": "other/level"}]
    async with linked(button, lamp, wall, level, links=links) as house:
        for number in range(100):
            button.tell(*[pressed()] * 10)
            wall.tell_state("level", float(number))
            await anyio.sleep(0.01)
        await anyio.sleep(5)
        assert len(lamp.commands) < 100
        assert level.commands[-1] == ("level", 99.0)
        assert "5 times a second" in house.reasons[0]
        assert house.reasons[1] == ""
        assert len([one for one in of_gateway(caplog) if "times a second" in one]) == 1


# ---------------------------------------------------------------- reload


async def test_a_reload_touches_only_the_links_that_differ():
    button, lamp = named("button", BUTTON), plug("plug", switch=False)
    wall = plug("wall", switch=True)
    press = {**PRESS, "to": "plug/level", "set": 5}
    async with linked(button, lamp, wall, links=[FOLLOW, press]) as house:
        opened = (button.opened, lamp.opened, wall.opened)
        assert lamp.commands == [("switch", True)]
        lamp.tell_state("switch", False)
        await house.reload([FOLLOW, {**press, "set": 6}])
        button.tell(pressed())
        await anyio.sleep(0.5)
        # The first goes on undisturbed: it hands nothing on again.
        assert lamp.commands[1:] == [("level", 6.0)]
        await house.reload([])
        wall.tell_state("switch", False)
        button.tell(pressed())
        await anyio.sleep(0.5)
        assert len(lamp.commands) == 2
        assert house.gateway.link_status == ()
        await house.reload([FOLLOW])
        wall.tell_state("switch", True)
        await anyio.sleep(0.5)
        assert lamp.commands[2:] == [("switch", True)]
        assert (button.opened, lamp.opened, wall.opened) == opened


async def test_a_link_that_is_taken_away_does_nothing_more():
    wall, lamp = plug("wall", switch=False), plug("plug", switch=False)
    lamp.command_takes_s = 5.0
    async with linked(wall, lamp, links=[FOLLOW]) as house:
        wall.tell_state("switch", True)
        await anyio.sleep(1)
        wall.tell_state("switch", False)
        await house.reload([])
        lamp.command_takes_s = 0.0
        await anyio.sleep(60)
        assert ("switch", False) not in lamp.commands


async def test_an_entity_that_only_happens_is_no_target(caplog):
    button = named("button", BUTTON)
    other = named("other", [Event(key="bell", event_types=("ring",))])
    link = {"from": "button/button", "to": "other/bell", "set": "ring"}
    async with linked(button, other, links=[link]) as house:
        button.tell(pressed())
        await anyio.sleep(1)
        assert house.reasons == ["bell takes no commands: it only happens"]
        other.tell(Occurrence(key="bell", event_type="ring", at_utc=AT))
