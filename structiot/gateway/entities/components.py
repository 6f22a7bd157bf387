"""How each kind of entity is announced to Home Assistant. Pure.

The keys are those of Home Assistant's MQTT integration, unabbreviated; lights use
its JSON schema. What is at its default there is left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import singledispatch
from typing import TypeAlias

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.entities.commands import INSTALL, PRESS
from structiot.gateway.entities.patterns import check_pattern
from structiot.gateway.entities.topics import Topics
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    Cover,
    Entity,
    Event,
    Fan,
    Light,
    Lock,
    Number,
    Select,
    Sensor,
    Siren,
    Switch,
    Text,
    Update,
)

__all__ = ["Component", "check_component", "component_of", "platform_of"]

Component: TypeAlias = dict[str, object]

_QOS = 1
_MIN_STEP = 0.001  # Home Assistant refuses less
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # BinarySensor is binary_sensor
_NO_PRESET = "none"  # Home Assistant adds it by itself and refuses it from others
_NO_FAN_PRESET = "None"  # Home Assistant resets a fan's preset by it
# What Home Assistant shows of whom it knows nothing. A text cannot be reset, and one that
# its own rule does not fit is an error there: so the rule has to allow this word.
_UNKNOWN = "unknown"
_TEXT_SHOWN = f"{{{{ '{_UNKNOWN}' if value_json.text is none else value_json.text }}}}"
_MAX_SPEEDS = 100
_MAX_TEXT = 255
_MAX_NAME = 100
_MAX_COMPONENT_CHARS = 16_384


@dataclass(frozen=True, slots=True)
class _Place:
    """The topics of one entity."""

    state: str
    command: str
    event: str


def platform_of(entity: Entity) -> str:
    """Name the Home Assistant platform of an entity; a kind of a switch is a switch."""
    kinds = (one for one in type(entity).__mro__ if one in _special.registry)
    kind = next((one for one in kinds if one is not object), type(entity))
    return _CAPITAL.sub("_", kind.__name__).lower()


def check_component(entity: Entity, topics: Topics) -> None:
    """Refuse an entity that cannot be announced.

    Raises:
        UsageError: The gateway does not know such an entity, it cannot be, or what it
            says of itself is no JSON or takes more than 16,384 characters.
    """
    try:
        component = component_of(entity, device="", unique_id="", topics=topics)
        size = len(json.dumps(component, allow_nan=False))
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise UsageError(f"{entity.key} cannot be announced: {exc}") from None
    if size > _MAX_COMPONENT_CHARS:
        message = f"{entity.key} takes {size} characters to be announced; "
        raise UsageError(f"{message}{_MAX_COMPONENT_CHARS} are too many already")


def component_of(
    entity: Entity, *, device: str, unique_id: str, topics: Topics
) -> Component:
    """Describe one entity for its device's announcement.

    Args:
        entity: What is described.
        device: The device's level in topics.
        unique_id: Identity of the entity that outlives names and topics.
        topics: The gateway's topics.

    Raises:
        UsageError: The gateway does not know such an entity, or it cannot be.
    """
    place = _Place(
        state=topics.state(device, entity.key),
        command=topics.command(device, entity.key),
        event=topics.event(device, entity.key),
    )
    component: Component = {
        "platform": platform_of(entity),
        "unique_id": unique_id,
        "name": None if entity.name is None else printable(entity.name, most=_MAX_NAME),
        "qos": _QOS,
        **_special(entity, place),
    }
    optional = {
        "device_class": entity.device_class,
        "entity_category": entity.category,
        "icon": entity.icon,
    }
    for key, value in optional.items():
        if value is not None:
            component.setdefault(key, value)
    if not entity.is_enabled:
        component["enabled_by_default"] = False
    return component


@singledispatch
def _special(entity: Entity, place: _Place) -> Component:  # noqa: ARG001 - of the others
    message = (
        f"{entity.key} is a {type(entity).__name__}, which the gateway does not know"
    )
    raise UsageError(message)


@_special.register
def _switch(_switch: Switch, place: _Place) -> Component:
    return {"state_topic": place.state, "command_topic": place.command}


@_special.register
def _binary_sensor(_sensor: BinarySensor, place: _Place) -> Component:
    return {"state_topic": place.state}


@_special.register
def _select(select: Select, place: _Place) -> Component:
    return {
        "state_topic": place.state,
        "command_topic": place.command,
        "options": list(select.options),
    }


@_special.register
def _button(_button: Button, place: _Place) -> Component:
    return {"command_topic": place.command, "payload_press": PRESS}


@_special.register
def _event(event: Event, place: _Place) -> Component:
    return {"state_topic": place.event, "event_types": list(event.event_types)}


@_special.register
def _lock(lock: Lock, place: _Place) -> Component:
    component: Component = {"state_topic": place.state, "command_topic": place.command}
    if lock.can_open:
        component["payload_open"] = "OPEN"
    return component


@_special.register
def _text(text: Text, place: _Place) -> Component:
    least, most = text.min_length, min(text.max_length, _MAX_TEXT)
    component: Component = {
        "state_topic": place.state,
        "value_template": _TEXT_SHOWN,
        "command_topic": place.command,
        "min": min(least, len(_UNKNOWN)),
        "max": max(most, len(_UNKNOWN)),
    }
    if text.pattern is not None:
        check_pattern(text.key, text.pattern)
        component["pattern"] = text.pattern
    if not text.fits(_UNKNOWN):
        rule = f".{{{least},{most}}}" if text.pattern is None else text.pattern
        component["pattern"] = f"^(?:{rule}|{_UNKNOWN})$"
    if text.is_secret:
        component["mode"] = "password"
    return component


@_special.register
def _update(update: Update, place: _Place) -> Component:
    component: Component = {"state_topic": place.state}
    if update.can_install:
        component |= {"command_topic": place.command, "payload_install": INSTALL}
    return component


@_special.register
def _sensor(sensor: Sensor, place: _Place) -> Component:
    component: Component = {"state_topic": place.state}
    if sensor.options:
        # With options, Home Assistant takes this class only, and no unit.
        return component | {"device_class": "enum", "options": list(sensor.options)}
    if sensor.unit is not None:
        component["unit_of_measurement"] = sensor.unit
    if sensor.state_class is not None:
        component["state_class"] = sensor.state_class
    if sensor.decimals is not None:
        component["suggested_display_precision"] = sensor.decimals
    return component


@_special.register
def _number(number: Number, place: _Place) -> Component:
    component: Component = {
        "state_topic": place.state,
        "command_topic": place.command,
        "min": number.minimum,
        "max": number.maximum,
        "step": max(number.step, _MIN_STEP),
    }
    if number.unit is not None:
        component["unit_of_measurement"] = number.unit
    return component


@_special.register
def _light(light: Light, place: _Place) -> Component:
    # "brightness" and "onoff" may only stand alone; the colour modes imply them.
    modes: list[str] = sorted(light.color_modes - {"brightness"})
    if not modes:
        modes = ["brightness" if light.color_modes else "onoff"]
    component: Component = {
        "schema": "json",
        "state_topic": place.state,
        "command_topic": place.command,
        "supported_color_modes": modes,
        "flash": False,
        "transition": False,
    }
    if light.color_modes:
        component |= {"brightness": True, "brightness_scale": 100}
    if "color_temp" in light.color_modes:
        component["color_temp_kelvin"] = True
        if light.min_color_temp_k is not None:
            component["min_kelvin"] = light.min_color_temp_k
        if light.max_color_temp_k is not None:
            component["max_kelvin"] = light.max_color_temp_k
    if light.effects:
        component |= {"effect": True, "effect_list": list(light.effects)}
    return component


@_special.register
def _cover(cover: Cover, place: _Place) -> Component:
    component: Component = {
        "state_topic": place.state,
        "value_template": "{{ value_json.state }}",
        "command_topic": place.command,
        "payload_stop": "STOP" if cover.has_stop else None,
    }
    if cover.has_position:
        component |= {
            "position_topic": place.state,
            "position_template": "{{ value_json.position | default('') }}",
            "set_position_topic": place.command,
        }
    return component


@_special.register
def _climate(climate: Climate, place: _Place) -> Component:
    component: Component = {
        "modes": list(climate.modes),
        "mode_command_topic": place.command,
        "mode_command_template": '{"mode": "{{ value }}"}',
        "mode_state_topic": place.state,
        "mode_state_template": "{{ value_json.mode }}",
        "temperature_command_topic": place.command,
        "temperature_command_template": '{"target_c": {{ value }}}',
        "temperature_state_topic": place.state,
        "temperature_state_template": "{{ value_json.target_c }}",
        "current_temperature_topic": place.state,
        "current_temperature_template": "{{ value_json.current_c }}",
        "current_humidity_topic": place.state,
        "current_humidity_template": "{{ value_json.humidity_percent }}",
        "action_topic": place.state,
        "action_template": "{{ value_json.action }}",
        "temperature_unit": "C",
        "min_temp": climate.min_target_c,
        "max_temp": climate.max_target_c,
        "temp_step": climate.step_c,
    }
    presets = [preset for preset in climate.presets if preset != _NO_PRESET]
    if presets:
        component |= {"preset_modes": presets, **_presets(place)}
    return component


def _presets(place: _Place) -> Component:
    return {
        "preset_mode_command_topic": place.command,
        "preset_mode_command_template": '{"preset": {{ value | tojson }}}',
        "preset_mode_state_topic": place.state,
        "preset_mode_value_template": "{{ value_json.preset }}",
    }


@_special.register
def _fan(fan: Fan, place: _Place) -> Component:
    component: Component = {
        "state_topic": place.state,
        "state_value_template": "{{ value_json.state }}",
        "command_topic": place.command,
    }
    speeds = min(fan.speed_steps, _MAX_SPEEDS)
    if speeds > 1:
        component |= {
            "percentage_state_topic": place.state,
            "percentage_value_template": (
                "{% set speed = value_json.speed_percent %}"
                "{{ speed if speed is none"
                f" else (speed * {speeds} / 100) | round | int }}}}"
            ),
            "percentage_command_topic": place.command,
            "percentage_command_template": (
                f'{{"speed_percent": {{{{ value * 100 / {speeds} }}}}}}'
            ),
            "speed_range_max": speeds,
        }
    presets = [preset for preset in fan.presets if preset != _NO_FAN_PRESET]
    if presets:
        component |= {"preset_modes": presets, **_presets(place)}
    if fan.can_oscillate:
        component |= {
            "oscillation_state_topic": place.state,
            "oscillation_value_template": "{{ value_json.is_oscillating | lower }}",
            "oscillation_command_topic": place.command,
            "oscillation_command_template": '{"is_oscillating": {{ value }}}',
            "payload_oscillation_on": "true",
            "payload_oscillation_off": "false",
        }
    if fan.has_direction:
        component |= {
            "direction_state_topic": place.state,
            "direction_value_template": (
                "{{ value_json.direction | default('', true) }}"
            ),
            "direction_command_topic": place.command,
            "direction_command_template": '{"direction": "{{ value }}"}',
        }
    return component


@_special.register
def _siren(siren: Siren, place: _Place) -> Component:
    component: Component = {
        "state_topic": place.state,
        "command_topic": place.command,
        "support_volume_set": siren.has_volume,
        "support_duration": siren.has_duration,
    }
    if siren.tones:
        component["available_tones"] = [_tone(tone) for tone in siren.tones]
    return component


def _tone(tone: str) -> str | int:
    # Home Assistant makes a number of a tone that looks like one, then looks for it.
    return int(tone) if tone.isdecimal() else tone
