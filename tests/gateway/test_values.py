"""What is known of each entity now, and how fresh it is."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from structiot.gateway import GatewayDevice
from structiot.gateway.values import Value, values_of
from structiot.model import (
    Availability,
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Event,
    Light,
    LightState,
    Occurrence,
    Sensor,
    Switch,
)
from tests.gateway.support import (
    AT,
    ScriptedDevice,
    TopicSink,
    context_of,
    managed,
    running,
    settled,
)

pytestmark = pytest.mark.virtual_time

ENTITIES = (
    Switch(key="plug"),
    Sensor(key="power", unit="W", decimals=1),
    BinarySensor(key="door", device_class="door"),
    Light(key="lamp", color_modes=frozenset({"brightness"})),
    Climate(key="valve", modes=("off", "heat")),
    Event(key="bell", event_types=("long_press",)),
    Button(key="restart"),
)


def seen(device: GatewayDevice) -> dict[str, Value]:
    return {entity.key: value for entity, value in values_of(device, AT)}


async def test_values_are_what_was_told_with_the_text_that_people_read():
    strip = ScriptedDevice(entities=ENTITIES)
    device = managed(strip, context_of(TopicSink()))
    async with running(device):
        assert {value.state for value in seen(device).values()} == {"unknown"}
        assert {value.text for value in seen(device).values()} == {"\N{EN DASH}"}
        strip.tell_state("plug", True)
        strip.tell_state("power", 1240.04)
        strip.tell_state("door", True)
        strip.tell_state("lamp", LightState(is_on=True, brightness_percent=40))
        strip.tell_state("valve", ClimateState(mode="heat", target_c=21.5))
        strip.tell(Occurrence(key="bell", event_type="long_press", at_utc=AT))
        await settled()
        values = seen(device)
    shown = {key: (one.value, one.text, one.state) for key, one in values.items()}
    assert shown == {
        "plug": ("ON", "on", "live"),
        "power": (1240.0, "1.24 kW", "live"),
        "door": ("ON", "open", "live"),
        "lamp": ("ON", "on, brightness 40 %", "live"),
        "valve": ("heat", "mode heat, target 21.5 °C", "live"),
        "bell": ("long_press", "long press", "live"),
    }
    assert values["lamp"].fields == {
        "state": "ON",
        "brightness": 40,
        "color_mode": "brightness",
    }
    assert values["plug"].fields is None


async def test_a_value_is_stale_when_it_was_not_heard_within_its_time():
    strip = ScriptedDevice(entities=ENTITIES)
    device = managed(strip, context_of(TopicSink()))
    async with running(device):
        strip.tell_state("plug", True)
        strip.tell_state("power", 5.0)
        await anyio.sleep(29.0)
        strip.tell_state("power", 5.0)
        await anyio.sleep(2.0)
        plug, power = seen(device)["plug"], seen(device)["power"]
        assert (plug.state, plug.text) == ("stale", "on")
        # Heard is not changed: the same figure once more is as good as another.
        assert power.state == "live"
        assert plug.at_utc is not None
        assert power.at_utc is not None
        assert power.at_utc - plug.at_utc == timedelta(seconds=29)
        strip.stale_s = None
        assert seen(device)["plug"].state == "live"


async def test_who_cannot_be_reached_or_reports_nothing_any_more_has_no_value():
    strip = ScriptedDevice(entities=ENTITIES)
    device = managed(strip, context_of(TopicSink()))
    async with running(device):
        strip.tell_state("plug", True)
        strip.tell_state("power", 5.0)
        strip.tell_state("power", None)
        await settled()
        power = seen(device)["power"]
        assert (power.state, power.value, power.text) == (
            "unavailable",
            None,
            "unavailable",
        )
        assert seen(device)["plug"].state == "live"
        strip.tell(Availability(is_available=False, at_utc=AT, reason="unplugged"))
        await settled()
        values = seen(device)
        assert {value.state for value in values.values()} == {"unavailable"}
        assert values["plug"].value is None
        assert values["plug"].at_utc is not None
