"""From what stands on a set topic to a command. Pure.

Words are taken in any case. A refusal is a `UsageError` that says what would be
right; nothing is ever guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import singledispatch

from structiot.errors import UsageError
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    Entity,
    Light,
    LightState,
    Number,
    Select,
    Sensor,
    Switch,
    Update,
)

__all__ = ["INSTALL", "MAX_COMMAND_BYTES", "PRESS", "parse_command", "takes_commands"]

PRESS = "PRESS"
INSTALL = "INSTALL"
MAX_COMMAND_BYTES = 4096
_SHOWN = 40
_WORDS = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}


def takes_commands(entity: Entity) -> bool:
    """Tell whether an entity has a set topic."""
    if isinstance(entity, Update):
        return entity.can_install
    return not isinstance(entity, Sensor | BinarySensor)


def parse_command(entity: Entity, payload: bytes) -> Command:
    """Read the command for an entity.

    Args:
        entity: Whom it is for.
        payload: What was published, 4096 bytes at most.

    Raises:
        UsageError: The entity takes no commands, or not this one.
    """
    if len(payload) > MAX_COMMAND_BYTES:
        raise UsageError(
            f"a command has {MAX_COMMAND_BYTES} bytes at most, not {len(payload)}"
        )
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise UsageError("a command is text in UTF-8, and this is not") from None
    return _parsed(entity, text)


@singledispatch
def _parsed(entity: Entity, text: str) -> Command:  # noqa: ARG001 - of the others
    raise UsageError(f"{entity.key} takes no commands: it is only read")


def _refused(key: str, wanted: str, text: str) -> UsageError:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return UsageError(f"{key} takes {wanted}, not {shown!r}")


@_parsed.register
def _switch(entity: Switch, text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise _refused(entity.key, "ON or OFF", text) from None


@_parsed.register
def _button(entity: Button, text: str) -> None:
    if text.upper() != PRESS:
        raise _refused(entity.key, PRESS, text)


@_parsed.register
def _update(entity: Update, text: str) -> None:
    if not entity.can_install:
        raise UsageError(f"{entity.key} cannot be told to install anything")
    if text.upper() != INSTALL:
        raise _refused(entity.key, INSTALL, text)


@_parsed.register
def _select(entity: Select, text: str) -> str:
    return _option(entity.key, text, entity.options)


def _option(key: str, text: str, options: Iterable[str]) -> str:
    by_word = {option.lower(): option for option in options}
    if text in by_word.values():
        return text
    if text.lower() not in by_word:
        raise _refused(key, f"one of {', '.join(by_word.values())}", text)
    return by_word[text.lower()]


@_parsed.register
def _number(number: Number, text: str) -> float:
    wanted = f"a number from {number.minimum:g} to {number.maximum:g}"
    try:
        value = float(text)
    except ValueError:
        raise _refused(number.key, wanted, text) from None
    if not number.minimum <= value <= number.maximum:
        raise _refused(number.key, wanted, text)
    return value


@_parsed.register
def _cover(cover: Cover, text: str) -> CoverAction | int:
    actions = [CoverAction.OPEN, CoverAction.CLOSE]
    if cover.has_stop:
        actions.append(CoverAction.STOP)
    wanted = ", ".join(action.upper() for action in actions)
    if cover.has_position:
        wanted += " or a position from 0 (closed) to 100 (open)"
    for action in actions:
        if text.lower() == action:
            return action
    try:
        position = float(text)
    except ValueError:
        raise _refused(cover.key, wanted, text) from None
    if not (cover.has_position and 0 <= position <= 100):
        raise _refused(cover.key, wanted, text)
    return round(position)


def _members(key: str, text: str, known: Iterable[str]) -> Mapping[str, object]:
    """Read a JSON object that has only known members."""
    names = tuple(known)
    wanted = f"a JSON object of {', '.join(names)}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(key, wanted, text) from None
    if not isinstance(value, dict) or not value:
        raise _refused(key, wanted, text)
    for name in value:
        if name not in names:
            raise _refused(key, wanted, name)
    return value


def _figure(key: str, name: str, value: object, low: float, high: float) -> float:
    is_figure = isinstance(value, int | float) and not isinstance(value, bool)
    # Not a number is in no range, and an integer too long for a float in none either.
    if is_figure and isinstance(value, int | float) and low <= value <= high:
        return float(value)
    wanted = f"a number from {low:g} to {high:g}"
    raise _refused(f"{name} of {key}", wanted, str(value))


@_parsed.register
def _light(light: Light, text: str) -> LightState:
    if text.lower() in _WORDS:
        return LightState(is_on=_WORDS[text.lower()])
    value = _members(light.key, text, _light_members(light))
    is_on = None
    if "state" in value:
        word = str(value["state"]).lower()
        if word not in _WORDS:
            raise _refused(f"state of {light.key}", "ON or OFF", word)
        is_on = _WORDS[word]
    key = light.key
    brightness = color_temp = rgb = effect = None
    if "brightness" in value:
        brightness = _figure(key, "brightness", value["brightness"], 0, 100)
    if "color_temp" in value:
        low, high = light.min_color_temp_k or 1000, light.max_color_temp_k or 40_000
        color_temp = round(_figure(key, "color_temp", value["color_temp"], low, high))
    if "color" in value:
        rgb = _rgb(key, value["color"])
    if "effect" in value:
        effect = _option(f"effect of {key}", str(value["effect"]), light.effects)
    return LightState(
        is_on=is_on,
        brightness_percent=brightness,
        color_temp_k=color_temp,
        rgb=rgb,
        effect=effect,
    )


def _light_members(light: Light) -> list[str]:
    members = ["state"]
    if light.color_modes:
        members.append("brightness")
    if "color_temp" in light.color_modes:
        members.append("color_temp")
    if "rgb" in light.color_modes:
        members.append("color")
    if light.effects:
        members.append("effect")
    return members


def _rgb(key: str, value: object) -> tuple[int, int, int]:
    if not isinstance(value, dict) or set(value) != {"r", "g", "b"}:
        wanted = 'an object such as {"r": 255, "g": 0, "b": 0}'
        raise _refused(f"color of {key}", wanted, str(value))
    red, green, blue = (round(_figure(key, c, value[c], 0, 255)) for c in "rgb")
    return red, green, blue


@_parsed.register
def _climate(climate: Climate, text: str) -> ClimateState:
    members = ["mode", "target_c"] + (["preset"] if climate.presets else [])
    value = _members(climate.key, text, members)
    key = climate.key
    mode = target = preset = None
    if "mode" in value:
        mode = _option(f"mode of {key}", str(value["mode"]), climate.modes)
    if "target_c" in value:
        low, high = climate.min_target_c, climate.max_target_c
        target = _figure(key, "target_c", value["target_c"], low, high)
    if "preset" in value:
        preset = _option(f"preset of {key}", str(value["preset"]), climate.presets)
    return ClimateState(mode=mode, target_c=target, preset=preset)
