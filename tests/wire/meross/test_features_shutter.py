"""Roller shutters."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.features.shutter import Shutters
from structiot.model import CoverAction, CoverMotion, CoverState
from tests.wire.meross.features import (
    NOW,
    about,
    acknowledge,
    command,
    entity,
    keys,
    questions,
    take,
)

ABILITIES = tuple(
    f"RollerShutter.{one}" for one in ("Position", "State", "Config", "Adjust")
)
POSITION, STATE, CONFIG, ADJUST = ABILITIES


def shutter(firmware="6.6.6") -> Shutters:
    return Shutters(about(*ABILITIES, model="mrs100", firmware=firmware))


def at(position: int, it: Shutters):
    payload = {"position": [{"channel": 0, "position": position}]}
    return take(it, POSITION, payload).states["shutter"]


def moves(state: int, it: Shutters):
    payload = {"state": [{"channel": 0, "state": state, "stoppedBy": 1}]}
    return take(it, STATE, payload).states["shutter"]


def test_position_and_state():
    it = shutter()
    assert keys(it) == ["shutter"]
    assert questions(it) == [
        ("GET", POSITION, {"position": []}, "live"),
        ("GET", STATE, {"state": []}, "live"),
        ("GET", CONFIG, {"config": []}, "slow"),
        ("PUSH", ADJUST, {}, "once"),
    ]
    assert at(40, it) == CoverState(motion=CoverMotion.STOPPED, position_percent=40)
    assert moves(1, it).motion is CoverMotion.OPENING
    assert moves(2, it).motion is CoverMotion.CLOSING
    assert moves(0, it).motion is CoverMotion.STOPPED
    assert at(0, it) == CoverState(motion=CoverMotion.CLOSED, position_percent=0)
    assert at(100, it) == CoverState(motion=CoverMotion.OPEN, position_percent=100)
    assert at(101, it).position_percent == 100
    as_object = {"position": {"channel": 0, "position": 7}}
    assert take(it, POSITION, as_object).states["shutter"].position_percent == 7


@pytest.mark.parametrize(
    ("asked", "position"),
    [
        (CoverAction.OPEN, 100),
        (CoverAction.CLOSE, 0),
        (CoverAction.STOP, -1),
        (55, 55),
    ],
)
def test_orders(asked, position):
    order = (POSITION, {"position": {"channel": 0, "position": position}})
    assert command(shutter(), "shutter", asked) == [order]


@pytest.mark.parametrize("firmware", ["2.1.2", "6.6.5", None])
def test_old_firmware_knows_only_the_ends(firmware):
    it = shutter(firmware)
    assert not entity(it, "shutter").has_position
    assert at(100, it) == CoverState(motion=CoverMotion.OPEN)
    with pytest.raises(UsageError):
        command(it, "shutter", 50)


def test_an_acknowledged_order_is_a_way_and_not_a_place():
    it = shutter()
    at(100, it)
    update = acknowledge(it, "shutter", CoverAction.CLOSE)
    assert update.states == {
        "shutter": CoverState(motion=CoverMotion.CLOSING, position_percent=100)
    }
    assert update.look_again_s == 31.0
    stopped = acknowledge(it, "shutter", CoverAction.STOP)
    assert stopped.states["shutter"].motion is CoverMotion.OPEN
    assert stopped.look_again_s == 1.0


def test_settings():
    it = shutter()
    told = {"channel": 0, "signalOpen": 50000, "signalClose": 45000, "lmTime": 1}
    update = take(it, CONFIG, {"config": [told]})
    assert update.states == {"open_time_s": 50.0, "close_time_s": 45.0}
    assert update.entities_changed
    number = entity(it, "open_time_s")
    assert (number.minimum, number.maximum) == (10, 120)
    item = {"channel": 0, "signalOpen": 60000, "signalClose": 45000}
    assert command(it, "open_time_s", 60) == [(CONFIG, {"config": item})]
    assert acknowledge(it, "open_time_s", 60).states["open_time_s"] == 60.0
    assert acknowledge(it, "shutter", CoverAction.OPEN).look_again_s == 61.0


def test_adjusting():
    it = shutter()
    pushed = {"adjust": [{"channel": 0, "status": 1}]}
    assert take(it, ADJUST, pushed).states == {"adjusting": True}
    assert "adjusting" in keys(it)


def test_the_digest_has_nothing_of_it():
    assert shutter().take_digest({"position": [{"position": 1}]}, NOW).states == {}
