"""Garage doors: a contact, and a way whose length is learned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from structiot.meross.features.garage import GarageDoors
from structiot.model import CoverAction, CoverMotion, CoverState
from tests.wire.meross.features import (
    NOW,
    UUID,
    about,
    acknowledge,
    command,
    entity,
    keys,
    questions,
    take,
)

STATE = "GarageDoor.State"
CONFIG = "GarageDoor.Config"
MULTIPLE = "GarageDoor.MultipleConfig"
CLOSED = {"garageDoor": [{"channel": 0, "open": 0, "lmTime": 1699990000}]}
THREE = {"garageDoor": [{"channel": n, "open": 0} for n in (1, 2, 3)]}


def one_door() -> GarageDoors:
    door = GarageDoors(about(STATE, CONFIG, model="msg100", digest=CLOSED))
    door.take_digest(CLOSED, NOW)
    return door


def three_doors(*abilities: str) -> GarageDoors:
    names = (None, "Left", "Middle", "Right")
    it = about(STATE, *abilities, model="msg200", digest=THREE, channels=names)
    return GarageDoors(it)


def contact(door: GarageDoors, *, is_open: bool, at_s: float):
    payload = {"state": [{"channel": 0, "open": int(is_open)}]}
    return take(door, STATE, payload, at_s=at_s)


def motion(update) -> CoverMotion | None:
    state = update.states["garage_door"]
    assert isinstance(state, CoverState)
    return state.motion


def order(door: GarageDoors, action: CoverAction, *, was_open: bool, at_s: float):
    said = {"state": {"channel": 0, "open": int(was_open), "execute": 1}}
    return acknowledge(door, "garage_door", action, said, at_s=at_s)


def happened(update) -> list[str]:
    assert {one.key for one in update.happened} <= {"door"}
    return [one.event_type for one in update.happened]


def test_one_door_in_the_digest_and_by_push_as_object_and_list():
    door = one_door()
    assert keys(door) == ["garage_door", "door"]
    assert entity(door, "garage_door").device_class == "garage"
    assert questions(door) == [("GET", CONFIG, {"config": {}}, "slow")]
    assert motion(door.take_digest(CLOSED, NOW)) is CoverMotion.CLOSED
    opened = contact(door, is_open=True, at_s=1)
    assert motion(opened) is CoverMotion.OPEN
    assert (happened(opened), opened.look_again_s) == (["opened"], None)
    as_object = {"state": {"channel": 0, "open": 0, "doorEnable": 1, "lmTime": 3}}
    assert happened(take(door, STATE, as_object)) == ["closed"]


def test_orders_name_the_device():
    for action, is_open in ((CoverAction.OPEN, 1), (CoverAction.CLOSE, 0)):
        item = {"channel": 0, "open": is_open, "uuid": UUID}
        assert command(one_door(), "garage_door", action) == [(STATE, {"state": item})]


def test_a_door_that_opens():
    door = one_door()
    told = order(door, CoverAction.OPEN, was_open=False, at_s=0)
    assert (motion(told), told.look_again_s) == (CoverMotion.OPENING, 22.0)
    on_its_way = contact(door, is_open=True, at_s=2)
    assert (motion(on_its_way), happened(on_its_way)) == (
        CoverMotion.OPENING,
        ["opened"],
    )
    assert on_its_way.look_again_s == 20.0
    there = contact(door, is_open=True, at_s=22)
    assert (motion(there), happened(there)) == (CoverMotion.OPEN, [])
    assert there.look_again_s is None


def test_a_door_that_closes_is_closed_when_the_contact_says_so_and_teaches_how_long():
    door = one_door()
    contact(door, is_open=True, at_s=0)
    assert motion(order(door, CoverAction.CLOSE, was_open=True, at_s=10)) is (
        CoverMotion.CLOSING
    )
    assert motion(contact(door, is_open=True, at_s=15)) is CoverMotion.CLOSING
    closed = contact(door, is_open=False, at_s=22)
    assert (motion(closed), happened(closed)) == (CoverMotion.CLOSED, ["closed"])
    assert closed.look_again_s is None
    again = order(door, CoverAction.OPEN, was_open=False, at_s=30)
    assert again.look_again_s == 14.0


@pytest.mark.parametrize("is_open", [False, True])
def test_a_door_that_is_stuck_is_told_of_and_is_where_it_was(is_open):
    door = one_door()
    contact(door, is_open=is_open, at_s=0)
    action = CoverAction.CLOSE if is_open else CoverAction.OPEN
    order(door, action, was_open=is_open, at_s=0)
    still = contact(door, is_open=is_open, at_s=21)
    assert (happened(still), still.look_again_s) == ([], 1.0)
    stuck = contact(door, is_open=is_open, at_s=22)
    assert happened(stuck) == ["stuck"]
    assert motion(stuck) is (CoverMotion.OPEN if is_open else CoverMotion.CLOSED)
    assert happened(contact(door, is_open=is_open, at_s=30)) == []


def test_a_door_that_takes_longer_than_thought_is_known_the_next_time():
    door = one_door()
    contact(door, is_open=True, at_s=0)
    order(door, CoverAction.CLOSE, was_open=True, at_s=0)
    assert happened(contact(door, is_open=True, at_s=22)) == ["stuck"]
    assert happened(contact(door, is_open=False, at_s=31)) == ["closed"]
    contact(door, is_open=True, at_s=100)
    again = order(door, CoverAction.CLOSE, was_open=True, at_s=100)
    assert again.look_again_s == 33.0


def test_an_order_that_is_not_carried_out_moves_nothing():
    door = one_door()
    said = {"state": {"channel": 0, "open": 0, "execute": 0}}
    update = acknowledge(door, "garage_door", CoverAction.OPEN, said)
    assert (motion(update), update.look_again_s) == (CoverMotion.CLOSED, None)
    as_list = {"state": [{"channel": 0, "open": 0, "execute": 1}]}
    update = acknowledge(door, "garage_door", CoverAction.CLOSE, as_list)
    assert (motion(update), update.look_again_s) == (CoverMotion.CLOSED, None)


def test_three_doors_and_a_channel_that_is_none():
    it = three_doors()
    covers = [key for key in keys(it) if key.startswith("garage")]
    assert covers == ["garage_door_1", "garage_door_2", "garage_door_3"]
    assert entity(it, "garage_door_2").name == "Middle"
    bogus = {
        "state": [
            {"channel": 0, "open": 1},
            {"channel": 2, "open": 1, "lmTime": 1},
        ],
        "reason": {"online": {"timestamp": 1700000000}},
    }
    update = take(it, STATE, bogus)
    assert update.states == {"garage_door_2": CoverState(motion=CoverMotion.OPEN)}
    assert not update.entities_changed
    item = {"channel": 3, "open": 1, "uuid": UUID}
    opened = command(it, "garage_door_3", CoverAction.OPEN)
    assert opened == [(STATE, {"state": item})]


def test_doors_that_are_only_found_later_send_channel_0_away():
    it = GarageDoors(about(STATE, model="msg200"))
    assert questions(it) == [("GET", STATE, {"state": {}}, "live")]
    take(it, STATE, {"state": [{"channel": 0, "open": 0}]})
    assert keys(it)[0] == "garage_door"
    update = take(it, STATE, {"state": [{"channel": 1, "open": 0}]})
    assert update.entities_changed
    assert keys(it) == ["garage_door_1", "door_1"]


def test_settings_of_one_door():
    door = one_door()
    told = {
        "signalDuration": 1000,
        "buzzerEnable": 1,
        "doorOpenDuration": 30000,
        "doorCloseDuration": 25000,
    }
    update = take(door, CONFIG, {"config": told})
    assert update.entities_changed
    assert update.states == {
        "buzzer": True,
        "open_time_s": 30.0,
        "close_time_s": 25.0,
        "signal_s": 1.0,
    }
    assert order(door, CoverAction.OPEN, was_open=False, at_s=0).look_again_s == 32.0
    off = {**told, "buzzerEnable": 0}
    assert command(door, "buzzer", False) == [(CONFIG, {"config": off})]
    slower = {**told, "doorOpenDuration": 45500}
    assert command(door, "open_time_s", 45.5) == [(CONFIG, {"config": slower})]
    assert acknowledge(door, "buzzer", False).states["buzzer"] is False


def test_settings_of_three_doors():
    it = three_doors(MULTIPLE)
    asked = {"config": [{"channel": 1}, {"channel": 2}, {"channel": 3}]}
    assert questions(it) == [("GET", MULTIPLE, asked, "slow")]
    told = {
        "channel": 2,
        "doorEnable": 0,
        "timestamp": 1700000000,
        "timestampMs": 5,
        "signalOpen": 2000,
        "signalClose": 3000,
        "buzzerEnable": 0,
    }
    update = take(it, MULTIPLE, {"config": [told, {**told, "channel": 0}]})
    assert update.states == {
        "buzzer_2": False,
        "open_signal_s_2": 2.0,
        "close_signal_s_2": 3.0,
    }
    assert not entity(it, "garage_door_2").is_enabled
    item = {
        "channel": 2,
        "buzzerEnable": 1,
        "doorEnable": 0,
        "signalOpen": 2000,
        "signalClose": 3000,
    }
    assert command(it, "buzzer_2", True) == [(MULTIPLE, {"config": [item]})]


def test_durations_that_no_door_has_are_not_believed():
    door = one_door()
    told = {"doorOpenDuration": 400, "doorCloseDuration": 10**9, "signalDuration": -1}
    take(door, CONFIG, {"config": told})
    assert order(door, CoverAction.OPEN, was_open=False, at_s=0).look_again_s == 22.0


def test_the_digest_ends_the_way_of_a_door_too():
    door = one_door()
    order(door, CoverAction.OPEN, was_open=False, at_s=0)
    opened = {"garageDoor": [{"channel": 0, "open": 1}]}
    update = door.take_digest(opened, NOW + timedelta(seconds=23))
    assert (motion(update), happened(update)) == (CoverMotion.OPEN, ["opened"])
