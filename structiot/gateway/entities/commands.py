"""From what stands on a set topic to a command. Pure.

Words are taken in any case. A refusal is a `UsageError` that says what would be
right; nothing is ever guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from structiot._kit.json_text import number_of
from structiot._kit.redact import HIDDEN
from structiot.errors import UsageError
from structiot.gateway.entities.members import Members, on_off, one_of, refusal
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    Entity,
    Event,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Lock,
    LockAction,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    Switch,
    Text,
    Update,
)

__all__ = [
    "INSTALL",
    "MAX_COMMAND_BYTES",
    "PRESS",
    "parse_command",
    "shown_text",
    "takes_commands",
    "text_rule",
]

PRESS = "PRESS"
INSTALL = "INSTALL"
MAX_COMMAND_BYTES = 4096
_MAX_SIREN_S = 86_400  # a day; who wants more does not name a duration


def takes_commands(entity: Entity) -> bool:
    """Tell whether an entity has a set topic."""
    if isinstance(entity, Update):
        return entity.can_install
    return not isinstance(entity, Sensor | BinarySensor | Event)


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
        text = payload.decode()
    except UnicodeDecodeError:
        raise UsageError("a command is text in UTF-8, and this is not") from None
    return _parsed(entity, text if isinstance(entity, Text) else text.strip())


@singledispatch
def _parsed(entity: Entity, text: str) -> Command:  # noqa: ARG001 - of the others
    raise UsageError(f"{entity.key} takes no commands: it is only read")


@_parsed.register
def _event(entity: Event, text: str) -> Command:  # noqa: ARG001 - of the others
    raise UsageError(f"{entity.key} takes no commands: it only happens")


@_parsed.register
def _switch(entity: Switch, text: str) -> bool:
    is_on = on_off(text)
    if is_on is None:
        raise refusal(entity.key, "ON or OFF", text)
    return is_on


@_parsed.register
def _button(entity: Button, text: str) -> None:
    if text.upper() != PRESS:
        raise refusal(entity.key, PRESS, text)


@_parsed.register
def _update(entity: Update, text: str) -> None:
    if not entity.can_install:
        raise UsageError(f"{entity.key} cannot be told to install anything")
    if text.upper() != INSTALL:
        raise refusal(entity.key, INSTALL, text)


@_parsed.register
def _select(entity: Select, text: str) -> str:
    return one_of(entity.key, text, entity.options)


@_parsed.register
def _text(entity: Text, text: str) -> str:
    if not entity.fits(text):
        raise refusal(entity.key, text_rule(entity), shown_text(entity, text))
    return text


def shown_text(entity: Text, text: str) -> str:
    """Give what messages show of a text."""
    return HIDDEN if entity.is_secret else text


def text_rule(entity: Text) -> str:
    """Say which texts fit an entity."""
    rule = f"a text of {entity.min_length} to {entity.max_length} characters"
    return rule if entity.pattern is None else f"{rule} that matches {entity.pattern}"


@_parsed.register
def _number(number: Number, text: str) -> float:
    wanted = f"a number from {number.minimum:g} to {number.maximum:g}"
    value = number_of(text)
    if value is None or not number.minimum <= value <= number.maximum:
        raise refusal(number.key, wanted, text)
    return value


def _spelt(actions: Sequence[str]) -> str:
    return ", ".join(action.upper() for action in actions)


@_parsed.register
def _lock(lock: Lock, text: str) -> LockAction:
    actions = [LockAction.LOCK, LockAction.UNLOCK]
    if lock.can_open:
        actions.append(LockAction.OPEN)
    if text.lower() not in actions:
        raise refusal(lock.key, _spelt(actions), text)
    return LockAction(text.lower())


@_parsed.register
def _cover(cover: Cover, text: str) -> CoverAction | int:
    actions = [CoverAction.OPEN, CoverAction.CLOSE]
    if cover.has_stop:
        actions.append(CoverAction.STOP)
    if text.lower() in actions:
        return CoverAction(text.lower())
    wanted = _spelt(actions)
    if cover.has_position:
        wanted += " or a position from 0 (closed) to 100 (open)"
    position = number_of(text)
    if position is None or not (cover.has_position and 0 <= position <= 100):
        raise refusal(cover.key, wanted, text)
    return round(position)


@_parsed.register
def _light(light: Light, text: str) -> LightState:
    if (is_on := on_off(text)) is not None:
        return LightState(is_on=is_on)
    given = Members(light, text)
    low, high = light.min_color_temp_k or 1000, light.max_color_temp_k or 40_000
    return LightState(
        is_on=given.is_on("state"),
        brightness_percent=given.figure("brightness", 0, 100),
        color_temp_k=given.whole("color_temp", low, high),
        rgb=given.rgb("color"),
        effect=given.option("effect", light.effects),
    )


@_parsed.register
def _climate(climate: Climate, text: str) -> ClimateState:
    given = Members(climate, text)
    low, high = climate.min_target_c, climate.max_target_c
    return ClimateState(
        mode=given.option("mode", climate.modes),
        target_c=given.figure("target_c", low, high),
        preset=given.option("preset", climate.presets),
    )


@_parsed.register
def _fan(fan: Fan, text: str) -> FanState:
    if (is_on := on_off(text)) is not None:
        return FanState(is_on=is_on)
    given = Members(fan, text)
    direction = given.option("direction", FanDirection)
    return FanState(
        is_on=given.is_on("state"),
        speed_percent=given.figure("speed_percent", 0, 100),
        preset=given.option("preset", fan.presets),
        is_oscillating=given.is_on("is_oscillating", "true or false"),
        direction=None if direction is None else FanDirection(direction),
    )


@_parsed.register
def _siren(siren: Siren, text: str) -> SirenState:
    if (is_on := on_off(text)) is not None:
        return SirenState(is_on=is_on)
    given = Members(siren, text)
    level = given.figure("volume_level", 0, 1)
    return SirenState(
        is_on=given.is_on("state"),
        tone=given.option("tone", siren.tones),
        volume_percent=None if level is None else round(level * 100, 2),
        duration_s=given.figure("duration", 0, _MAX_SIREN_S),
    )
