"""How each kind of entity is announced to Home Assistant. Pure.

The keys are those of Home Assistant's MQTT integration, unabbreviated; lights use
its JSON schema. What is at its default there is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import singledispatch
from typing import TypeAlias

from structiot.errors import UsageError
from structiot.gateway.entities.commands import INSTALL, PRESS
from structiot.gateway.entities.topics import Topics
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    Cover,
    Entity,
    Light,
    Number,
    Select,
    Sensor,
    Switch,
    Update,
)

__all__ = ["Component", "component_of", "platform_of"]

Component: TypeAlias = dict[str, object]

_QOS = 1
_MIN_STEP = 0.001  # Home Assistant refuses less
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # BinarySensor is binary_sensor
_NO_PRESET = "none"  # Home Assistant adds it by itself and refuses it from others


@dataclass(frozen=True, slots=True)
class _Place:
    """The topics of one entity."""

    state: str
    command: str


def platform_of(entity: Entity) -> str:
    """Name the Home Assistant platform of an entity."""
    return _CAPITAL.sub("_", type(entity).__name__).lower()


def component_of(
    entity: Entity, *, device: str, unique_id: str, topics: Topics
) -> Component:
    """Describe one entity for its device's announcement.

    Args:
        entity: What is described.
        device: The device's level in topics.
        unique_id: Identity of the entity that outlives names and topics.
        topics: The gateway's topics.
    """
    place = _Place(topics.state(device, entity.key), topics.command(device, entity.key))
    component: Component = {
        "platform": platform_of(entity),
        "unique_id": unique_id,
        "name": entity.name,
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
        component |= {
            "preset_modes": presets,
            "preset_mode_command_topic": place.command,
            "preset_mode_command_template": '{"preset": "{{ value }}"}',
            "preset_mode_state_topic": place.state,
            "preset_mode_value_template": "{{ value_json.preset }}",
        }
    return component
