"""Humidifiers, diffusers, fans, baby machines, and alarms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from structiot.errors import UsageError
from structiot.meross.features.alarm import Alarms, OverTemperature
from structiot.meross.features.appliances import Filters, Sounds, Sprays
from structiot.meross.features.diffuser import (
    DiffuserClimate,
    DiffuserLights,
    DiffuserSprays,
)
from structiot.meross.features.fan import Fans
from structiot.model import FanState, LightState
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


@pytest.mark.parametrize(
    ("mode", "state"), [(0, "off"), (1, "continuous"), (2, "intermittent"), (3, None)]
)
def test_spray_of_a_humidifier(mode, state):
    digest = {"spray": [{"channel": 0, "mode": mode, "lmTime": 1, "lastMode": 1}]}
    spray = Sprays(about("Control.Spray", model="msxh0", digest=digest))
    assert questions(spray) == []
    assert entity(spray, "spray").options == ("off", "continuous", "intermittent")
    assert spray.take_digest(digest, NOW).states == {"spray": state}
    as_object = {"channel": 0, "spray": digest["spray"][0]}
    assert take(spray, "Control.Spray", as_object).states == {"spray": state}
    if state is not None:
        order = ("Control.Spray", {"spray": {"channel": 0, "mode": mode}})
        assert command(spray, "spray", state) == [order]
        assert acknowledge(spray, "spray", state).states == {"spray": state}


def test_a_spray_that_is_not_in_the_digest_is_asked_for():
    spray = Sprays(about("Control.Spray"))
    assert questions(spray) == [("GET", "Control.Spray", {}, "live")]


DIFFUSER = {
    "diffuser": {
        "type": "mod100",
        "light": [
            {
                "channel": 0,
                "onoff": 1,
                "lmTime": 1,
                "mode": 1,
                "luminance": 80,
                "rgb": 16744448,
            }
        ],
        "spray": [{"channel": 0, "mode": 2, "lmTime": 1}],
    }
}
LIGHT, SPRAY = "Control.Diffuser.Light", "Control.Diffuser.Spray"


def test_light_of_a_diffuser():
    lamp = DiffuserLights(about(LIGHT, model="mod100", digest=DIFFUSER))
    assert questions(lamp) == []
    assert entity(lamp, "light").effects == ("rotating", "white")
    shown = LightState(is_on=True, brightness_percent=80, rgb=(255, 128, 0))
    assert lamp.take_digest(DIFFUSER, NOW).states == {"light": shown}
    pushed = {"type": "mod100", "light": [{"channel": 0, "mode": 2, "luminance": 5}]}
    white = LightState(is_on=True, brightness_percent=5, effect="white")
    assert take(lamp, LIGHT, pushed).states == {"light": white}


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (LightState(is_on=False, rgb=(1, 2, 3)), {"onoff": 0}),
        (LightState(is_on=True), {"onoff": 1}),
        (LightState(rgb=(0, 1, 0)), {"onoff": 1, "mode": 1, "rgb": 256}),
        (LightState(effect="rotating"), {"onoff": 1, "mode": 0}),
        (LightState(brightness_percent=30), {"onoff": 1, "luminance": 30}),
        (LightState(brightness_percent=0), {"onoff": 0}),
    ],
)
def test_orders_to_the_light_of_a_diffuser(asked, fields):
    lamp = DiffuserLights(about(LIGHT))
    assert questions(lamp) == [("GET", LIGHT, {}, "live")]
    order = (LIGHT, {"light": [{"channel": 0, **fields}]})
    assert command(lamp, "light", asked) == [order]
    shown = acknowledge(lamp, "light", asked).states["light"]
    assert shown.is_on is (fields["onoff"] == 1)


def test_a_colour_and_an_effect_at_a_time_are_refused():
    lamp = DiffuserLights(about(LIGHT))
    with pytest.raises(UsageError, match="one of rgb and effect"):
        lamp.command("light", LightState(rgb=(1, 2, 3), effect="white"), NOW)


@pytest.mark.parametrize(("mode", "state"), [(0, "light"), (1, "strong"), (2, "off")])
def test_spray_of_a_diffuser(mode, state):
    spray = DiffuserSprays(about(SPRAY, digest=DIFFUSER))
    assert spray.take_digest(DIFFUSER, NOW).states == {"spray": "off"}
    payload = {"type": "mod100", "spray": [{"channel": 0, "mode": mode}]}
    assert take(spray, SPRAY, payload).states == {"spray": state}
    order = (SPRAY, {"spray": [{"channel": 0, "mode": mode}]})
    assert command(spray, "spray", state) == [order]
    assert acknowledge(spray, "spray", state).states == {"spray": state}


def test_sensors_of_a_diffuser():
    climate = DiffuserClimate(about("Control.Diffuser.Sensor"))
    assert questions(climate) == [("GET", "Control.Diffuser.Sensor", {}, "slow")]
    assert keys(climate) == ["temperature", "humidity"]
    payload = {
        "type": "mod100",
        "humidity": {"value": 453, "lmTime": 1},
        "temperature": {"value": 216, "lmTime": 1},
    }
    update = take(climate, "Control.Diffuser.Sensor", payload)
    assert update.states == {"humidity": 45.3, "temperature": 21.6}
    absurd = {"humidity": {"value": 5000}, "temperature": 7}
    update = take(climate, "Control.Diffuser.Sensor", absurd)
    assert update.states == {"humidity": None, "temperature": None}


FAN, TOGGLE_X = "Control.Fan", "Control.ToggleX"


def test_fan_of_an_air_purifier():
    digest = {"togglex": [{"channel": 0, "onoff": 1}]}
    fan = Fans(about(FAN, TOGGLE_X, model="map100", digest=digest))
    assert questions(fan) == [("GET", FAN, {"fan": []}, "live")]
    told = {"fan": [{"channel": 0, "speed": 2, "maxSpeed": 4}]}
    update = take(fan, FAN, told)
    assert update.entities_changed
    assert entity(fan, "fan").speed_steps == 4
    assert update.states == {"fan": FanState(is_on=True, speed_percent=50.0)}
    off = take(fan, TOGGLE_X, {"togglex": [{"channel": 0, "onoff": 0}]})
    assert off.states == {"fan": FanState(is_on=False, speed_percent=50.0)}
    switched_off = (TOGGLE_X, {"togglex": {"channel": 0, "onoff": 0}})
    switched_on = (TOGGLE_X, {"togglex": {"channel": 0, "onoff": 1}})
    assert command(fan, "fan", False) == [switched_off]
    assert command(fan, "fan", FanState(speed_percent=0)) == [switched_off]
    assert command(fan, "fan", True) == [switched_on]
    turned = (FAN, {"fan": [{"channel": 0, "speed": 3}]})
    assert command(fan, "fan", FanState(speed_percent=80)) == [turned, switched_on]


def test_fan_of_a_ceiling_by_its_speed_alone():
    digest = {"fan": [{"channel": 0, "speed": 3, "maxSpeed": 6}]}
    fan = Fans(about(FAN, model="mfc100", digest=digest))
    assert questions(fan) == []
    assert entity(fan, "fan").speed_steps == 6
    half = FanState(is_on=True, speed_percent=50.0)
    assert fan.take_digest(digest, NOW).states == {"fan": half}
    off = (FAN, {"fan": [{"channel": 0, "speed": 0}]})
    assert command(fan, "fan", FanState(is_on=False)) == [off]
    still = FanState(is_on=False, speed_percent=0.0)
    assert acknowledge(fan, "fan", False).states == {"fan": still}
    as_before = (FAN, {"fan": [{"channel": 0, "speed": 3}]})
    assert command(fan, "fan", True) == [as_before]


def test_a_speed_beyond_the_last_is_not_believed():
    fan = Fans(about(FAN, model="mfc100"))
    beyond = {"fan": [{"channel": 0, "speed": 9, "maxSpeed": 4}]}
    assert take(fan, FAN, beyond).states == {"fan": FanState()}
    slow = {"fan": [{"channel": 0, "speed": 1, "maxSpeed": 4}]}
    quarter = FanState(is_on=True, speed_percent=25.0)
    assert take(fan, FAN, slow).states == {"fan": quarter}
    assert take(fan, FAN, {"fan": {"speed": 5}}).states == {"fan": quarter}


def test_life_of_a_filter():
    it = Filters(about("Control.FilterMaintenance"))
    assert questions(it) == [("PUSH", "Control.FilterMaintenance", {}, "slow")]
    payload = {"filter": [{"channel": 0, "life": 87, "lmTime": 1}]}
    update = take(it, "Control.FilterMaintenance", payload)
    assert update.states == {"filter_life": 87}


def test_sounds_of_a_baby_machine():
    it = Sounds(about("Control.Mp3", model="hp110a"))
    assert questions(it) == [("GET", "Control.Mp3", {"mp3": {}}, "live")]
    told = {"mp3": {"channel": 0, "lmTime": 1, "song": 11, "mute": 0, "volume": 16}}
    update = take(it, "Control.Mp3", told)
    assert update.states == {"sound": True, "song": "Song 11", "volume": 16}
    for key, value, field in (
        ("sound", False, {"mute": 1}),
        ("song", "Song 3", {"song": 3}),
        ("volume", 7.0, {"volume": 7}),
    ):
        order = ("Control.Mp3", {"mp3": {"channel": 0, **field}})
        assert command(it, key, value) == [order]
        assert acknowledge(it, key, value).states == {key: value}
    absurd = {"mp3": {"song": 0, "volume": 17, "mute": 2}}
    assert take(it, "Control.Mp3", absurd).states == {}


def test_alarms_that_a_device_passes_on():
    it = Alarms(about("Control.Alarm"))
    assert entity(it, "alarm").event_types == ("alarm", "cleared")
    source = [{"subId": "1200AABBCCDD"}, {"subId": 5}, "x"]
    event = {"interConn": {"value": 1, "timestamp": 1700000000, "source": source}}
    cleared = {"interConn": {"value": 0, "timestamp": "soon"}}
    payload = {"alarm": [{"channel": 0, "event": event}, {"event": cleared}]}
    first, second = take(it, "Control.Alarm", payload).happened
    assert (first.key, first.event_type) == ("alarm", "alarm")
    assert first.at_utc == datetime.fromtimestamp(1700000000, UTC)
    assert first.data == {
        "channel": 0,
        "kind": "interConn",
        "value": 1,
        "sources": ["1200AABBCCDD"],
    }
    assert (second.event_type, second.at_utc) == ("cleared", NOW)
    event = {f"kind{n}": {"value": 1} for n in range(3)}
    many = {"alarm": [{"event": event}] * 1000}
    assert len(take(it, "Control.Alarm", many).happened) == 16


def test_over_temperature():
    it = OverTemperature(about("Control.OverTemp"))
    (one,) = take(it, "Control.OverTemp", {"overTemp": [{"channel": 1}]}).happened
    assert (one.key, one.event_type) == ("over_temperature", "too_hot")
    assert one.data == {"channel": 1}
    assert take(it, "Control.OverTemp", {"overTemp": []}).happened == ()
