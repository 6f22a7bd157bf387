"""Links that miss a name, go round, flood or differ after a reload."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.model import DeviceInfo, StateChange, Switch
from tests.gateway.link_house import (
    AT,
    BUTTON,
    Obedient,
    linked,
    named,
    plug,
    pressed,
)
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time

PRESS = {"from": "button/button", "on": "single", "to": "plug/switch", "set": "TOGGLE"}
FOLLOW = {"from": "wall/switch", "to": "plug/switch"}


# ---------------------------------------------------------------- names


async def test_names_that_no_device_has_are_said_once_when_all_should_be_there(caplog):
    wall, lamp = plug("wall", switch=True), plug("plug", switch=False)
    links: list[dict[str, Any]] = [
        FOLLOW,
        {"from": "wall/swatch", "to": "plug/level"},
        {"from": "wall/level", "to": "plugg/level"},
        {"from": "cellar/*", "to": "mqtt:cellar/{entity}"},
    ]
    async with linked(wall, lamp, links=links) as house:
        assert house.reasons == [""] * 4
        await anyio.sleep(300)
        assert house.reasons == [
            "",
            "wall has no 'swatch'; did you mean 'switch'?",
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
    links: list[dict[str, Any]] = [
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
    links: list[dict[str, Any]] = [
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
    links: list[dict[str, Any]] = [PRESS, {"from": "wall/level", "to": "other/level"}]
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
