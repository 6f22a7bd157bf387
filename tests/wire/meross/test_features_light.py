"""Lamps: what they show, what they are told, their effects."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.features.light import Lamps, kelvin_of, temperature_of
from structiot.meross.wire.envelope import Method
from structiot.model import LightState
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

LIGHT = "Control.Light"
EFFECT = "Control.Light.Effect"
TOGGLE_X = "Control.ToggleX"
DIGEST = {
    "togglex": [{"channel": 0, "onoff": 1, "lmTime": 1699990000}],
    "light": {
        "capacity": 6,
        "channel": 0,
        "rgb": 16711680,
        "temperature": 100,
        "luminance": 60,
        "transform": 0,
    },
}
EFFECTS = {
    "effect": [
        {
            "Id": "0000000000000000",
            "effectName": "Night",
            "iconName": "icon1",
            "enable": 0,
            "mode": 1,
            "speed": 50,
            "member": [{"rgb": 255, "luminance": 20}],
        },
        {"Id": "0000000000000001", "effectName": "Party", "enable": 0},
    ]
}


def bulb(capacity=7, *abilities, digest=DIGEST, model="msl120", toggle=TOGGLE_X):
    found = [LIGHT, *abilities, *([toggle] if toggle else [])]
    attributes = {LIGHT: {"capacity": capacity}}
    return Lamps(about(*found, model=model, digest=digest, attributes=attributes))


def test_the_light_of_a_bulb_in_the_digest():
    lamp = bulb()
    light = entity(lamp, "light")
    assert light.color_modes == {"brightness", "color_temp", "rgb"}
    assert (light.min_color_temp_k, light.max_color_temp_k) == (2700, 6500)
    assert questions(lamp) == []
    white = LightState(is_on=True, brightness_percent=60, color_temp_k=6500)
    assert lamp.take_digest(DIGEST, NOW).states == {"light": white}


def test_pushes_of_a_light_tell_a_part():
    lamp = bulb()
    lamp.take_digest(DIGEST, NOW)
    pushed = {"light": {"channel": 0, "capacity": 5, "rgb": 65280, "luminance": 10}}
    green = LightState(is_on=True, brightness_percent=10, rgb=(0, 255, 0))
    assert take(lamp, LIGHT, pushed).states == {"light": green}
    lacking = {"light": [{"channel": 0, "capacity": 6, "temperature": 1}]}
    warm = LightState(is_on=True, brightness_percent=10, color_temp_k=2700)
    assert take(lamp, LIGHT, lacking).states == {"light": warm}
    off = take(lamp, TOGGLE_X, {"togglex": {"channel": 0, "onoff": 0}}).states
    assert off["light"].is_on is False
    booted = {"light": {"channel": 0, "onoff": 1, "luminance": -1}}
    assert take(lamp, LIGHT, booted).states["light"] == warm


ON = (TOGGLE_X, {"togglex": {"channel": 0, "onoff": 1}})
OFF = (TOGGLE_X, {"togglex": {"channel": 0, "onoff": 0}})


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (LightState(rgb=(255, 128, 0)), {"capacity": 1, "rgb": 16744448}),
        (LightState(color_temp_k=2700), {"capacity": 2, "temperature": 1}),
        (LightState(brightness_percent=40), {"capacity": 4, "luminance": 40}),
        (
            LightState(is_on=True, color_temp_k=6500, brightness_percent=0.2),
            {"capacity": 6, "temperature": 100, "luminance": 1},
        ),
    ],
)
def test_a_lamp_with_togglex_is_set_and_switched_on(asked, fields):
    light = (LIGHT, {"light": {"channel": 0, **fields, "gradual": 0}})
    assert command(bulb(), "light", asked) == [light, ON]


def test_a_lamp_with_togglex_is_switched_by_it():
    assert command(bulb(), "light", LightState(is_on=True)) == [ON]
    off = LightState(is_on=False, brightness_percent=40)
    assert command(bulb(), "light", off) == [OFF]
    assert command(bulb(), "light", LightState(brightness_percent=0)) == [OFF]


def test_a_lamp_without_togglex_is_switched_by_its_payload():
    lamp = bulb(5, toggle=None, digest={"light": {"channel": 0, "onoff": 0}})
    assert entity(lamp, "light").color_modes == {"brightness", "rgb"}
    off = {"light": {"channel": 0, "onoff": 0, "gradual": 0}}
    assert command(lamp, "light", LightState(is_on=False)) == [(LIGHT, off)]
    (order,) = command(lamp, "light", LightState(rgb=(0, 0, 255)))
    expected = {"channel": 0, "capacity": 1, "rgb": 255, "onoff": 1, "gradual": 0}
    assert order == (LIGHT, {"light": expected})
    blue = LightState(is_on=True, rgb=(0, 0, 255))
    asked = LightState(rgb=(0, 0, 255))
    assert acknowledge(lamp, "light", asked).states == {"light": blue}
    full = {"light": {"channel": 0, "onoff": 1, "capacity": 5, "rgb": 1}}
    said = acknowledge(lamp, "light", asked, full).states["light"]
    assert said.rgb == (0, 0, 1)


def test_a_legacy_lamp_is_switched_by_toggle():
    lamp = bulb(4, toggle="Control.Toggle", digest={"toggle": {"onoff": 1}})
    order = {"toggle": {"channel": 0, "onoff": 0}}
    assert command(lamp, "light", LightState(is_on=False)) == [
        ("Control.Toggle", order)
    ]


def test_a_dimmer_without_a_light_in_its_digest_is_asked():
    lamp = bulb(4, digest={"togglex": [{"channel": 0, "onoff": 1}]}, model="mss560")
    assert questions(lamp) == [("GET", LIGHT, {"light": {}}, "live")]
    assert entity(lamp, "light").color_modes == {"brightness"}
    told = {"light": {"channel": 0, "capacity": 4, "luminance": 33}}
    dimmed = LightState(is_on=True, brightness_percent=33)
    assert take(lamp, LIGHT, told).states == {"light": dimmed}
    asked = LightState(brightness_percent=50)
    light, _ = lamp.command("light", asked, NOW)
    brighter = LightState(is_on=True, brightness_percent=50)
    assert lamp.acknowledged(light, {}, NOW).states == {"light": brighter}


def test_the_light_of_a_fan_on_channel_1_carries_onoff():
    digest = {
        "togglex": [{"channel": 0, "onoff": 0}],
        "light": {"channel": 1, "onoff": 1, "luminance": 50, "capacity": 4},
    }
    lamp = bulb(4, "Control.Fan", digest=digest, model="mfc100")
    assert keys(lamp) == ["light_1"]
    shown = LightState(is_on=True, brightness_percent=50)
    assert lamp.take_digest(digest, NOW).states == {"light_1": shown}
    off = {"light": {"channel": 1, "onoff": 0, "gradual": 0}}
    assert command(lamp, "light_1", LightState(is_on=False)) == [(LIGHT, off)]


def test_effects_of_a_strip_of_light():
    lamp = bulb(7, EFFECT, model="msl320cpr")
    lamp.take_digest(DIGEST, NOW)
    assert questions(lamp) == [("GET", EFFECT, {"effect": []}, "slow")]
    assert take(lamp, EFFECT, EFFECTS).entities_changed
    assert entity(lamp, "light").effects == ("Night", "Party")
    requests = lamp.command("light", LightState(effect="Night"), NOW)
    assert [dict(r.payload) for r in requests] == [
        {"effect": [{**EFFECTS["effect"][0], "enable": 1}]},
        ON[1],
    ]
    assert requests[0].method is Method.SET
    acknowledged = lamp.acknowledged(requests[0], {}, NOW).states["light"]
    assert acknowledged.effect == "Night"
    by_index = {"light": {"channel": 0, "capacity": 8, "effect": 1}}
    take(lamp, EFFECT, EFFECTS)
    assert take(lamp, LIGHT, by_index).states["light"].effect == "Party"
    colour = {"light": {"channel": 0, "capacity": 5, "rgb": 1}}
    assert take(lamp, LIGHT, colour).states["light"].effect is None


def test_effects_are_bounded_and_have_names():
    lamp = bulb(7, EFFECT)
    many = [{"effectName": f"E{n}"} for n in range(500)]
    take(lamp, EFFECT, {"effect": [{"effectName": 5}, {"effectName": " "}, *many]})
    assert len(entity(lamp, "light").effects) == 32


def test_two_colours_at_a_time_are_refused():
    asked = LightState(rgb=(1, 2, 3), color_temp_k=3000)
    with pytest.raises(UsageError, match="one of rgb, color_temp_k and effect"):
        bulb().command("light", asked, NOW)


def test_temperatures_go_there_and_back():
    assert (kelvin_of(1), kelvin_of(100)) == (2700, 6500)
    assert all(temperature_of(kelvin_of(n)) == n for n in range(1, 101))


def test_absurd_lights_are_not_believed():
    lamp = bulb()
    absurd = {"rgb": 1 << 24, "temperature": 0, "luminance": 101, "capacity": "x"}
    shown = take(lamp, LIGHT, {"light": {"channel": 0, **absurd}}).states["light"]
    assert shown == LightState(is_on=True)


def test_a_brightness_that_is_set_leaves_the_colour():
    lamp = bulb()
    lamp.take_digest(DIGEST, NOW)
    colour = {"light": {"channel": 0, "capacity": 5, "rgb": 255, "luminance": 10}}
    take(lamp, LIGHT, colour)
    brighter = {"light": {"channel": 0, "capacity": 4, "luminance": 90}}
    blue = LightState(is_on=True, brightness_percent=90, rgb=(0, 0, 255))
    assert take(lamp, LIGHT, brighter).states == {"light": blue}


def test_a_lamp_that_togglex_does_not_list_is_switched_as_it_tells():
    digest = {"togglex": [], "light": {"channel": 0}}
    asked = LightState(is_on=False)
    assert command(bulb(digest=digest), "light", asked) == [OFF]
    lamp = bulb(digest=digest)
    take(lamp, LIGHT, {"light": {"channel": 0, "onoff": 1}})
    order = {"light": {"channel": 0, "onoff": 0, "gradual": 0}}
    assert command(lamp, "light", asked) == [(LIGHT, order)]
