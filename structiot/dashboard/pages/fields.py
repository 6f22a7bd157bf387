"""With what the fields of a light, a thermostat and the like are set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from structiot.dashboard.views import EntityView
from structiot.model import Climate, Cover, Entity, Fan, Light, Number, Siren
from structiot.model.text import figure_text

__all__ = ["Field", "fields_of"]

_WARMEST_K, _COLDEST_K = 2000, 6500
_LONGEST_SIREN_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that is set.

    Attributes:
        name: The member that is sent, for `data-field`; empty if it is the value itself.
        label: What it sets, in words.
        reads: The member that tells it, where `name` does not say so.
        kind: What it is set with.
        value: What it is now, as that control has it; empty if it is not known.
        text: The same, as people read it.
        minimum: Lowest value of a slider.
        maximum: Highest value of a slider.
        step: Resolution of a slider.
        unit: Unit of a slider.
        scale: By what the slider's value is divided to be sent.
        options: What there is to choose.
    """

    name: str
    label: str
    kind: Literal["range", "select", "color", "switch"]
    reads: str = ""
    value: str = ""
    text: str = ""
    minimum: float = 0
    maximum: float = 100
    step: float = 1
    unit: str = ""
    scale: int = 1
    options: tuple[str, ...] = ()


def fields_of(one: EntityView) -> list[Field]:
    """Give what is set besides on and off, in the order in which it is shown."""
    return list(_fields(one.entity, one.value.fields or {}, one.value.value))


def _fields(
    entity: Entity, now: Mapping[str, Any], value: float | str | None
) -> Iterator[Field]:
    match entity:
        case Light():
            yield from _light(entity, now)
        case Climate():
            yield from _climate(entity, now)
        case Fan():
            yield from _fan(entity, now)
        case Siren():
            yield from _siren(entity, now)
        case Cover(has_position=True):
            # A cover is told its position alone, not by a member.
            slider = _slider("", "position", now.get("position"), unit="%")
            yield replace(slider, reads="position")
        case Number():
            figure = value if isinstance(value, int | float) else None
            limits = (entity.minimum, entity.maximum, entity.step)
            yield _slider("", "", figure, limits=limits, unit=entity.unit or "")


def _slider(
    name: str,
    label: str,
    value: float | None,
    *,
    limits: tuple[float, float, float] = (0, 100, 1),
    unit: str,
    scale: int = 1,
) -> Field:
    shown = None if value is None else value * scale
    return Field(
        name=name,
        label=label,
        kind="range",
        value="" if shown is None else f"{shown:.10g}",
        text="" if shown is None else figure_text(shown, unit),
        minimum=limits[0],
        maximum=limits[1],
        step=limits[2],
        unit=unit,
        scale=scale,
    )


def _choice(name: str, label: str, value: object, options: tuple[str, ...]) -> Field:
    word = "" if value is None else str(value)
    return Field(name=name, label=label, kind="select", value=word, options=options)


def _light(light: Light, now: Mapping[str, Any]) -> Iterator[Field]:
    modes = light.color_modes
    if modes:
        yield _slider("brightness", "brightness", now.get("brightness"), unit="%")
    if "color_temp" in modes:
        limits = (
            light.min_color_temp_k or _WARMEST_K,
            light.max_color_temp_k or _COLDEST_K,
            50,
        )
        yield _slider(
            "color_temp",
            "colour temperature",
            now.get("color_temp"),
            limits=limits,
            unit="K",
        )
    if "rgb" in modes:
        color = now.get("color")
        value = "#{r:02x}{g:02x}{b:02x}".format(**color) if color else ""
        yield Field(name="color", label="colour", kind="color", value=value)
    if light.effects:
        yield _choice("effect", "effect", now.get("effect"), light.effects)


def _climate(climate: Climate, now: Mapping[str, Any]) -> Iterator[Field]:
    limits = (climate.min_target_c, climate.max_target_c, climate.step_c)
    target = now.get("target_c")
    yield _slider("target_c", "target", target, limits=limits, unit="°C")
    yield _choice("mode", "mode", now.get("mode"), climate.modes)
    if climate.presets:
        yield _choice("preset", "preset", now.get("preset"), climate.presets)


def _fan(fan: Fan, now: Mapping[str, Any]) -> Iterator[Field]:
    if fan.speed_steps > 1:
        step = round(100 / fan.speed_steps, 4)
        speed = now.get("speed_percent")
        yield _slider("speed_percent", "speed", speed, limits=(0, 100, step), unit="%")
    if fan.presets:
        yield _choice("preset", "preset", now.get("preset"), fan.presets)
    if fan.can_oscillate:
        is_on = now.get("is_oscillating")
        word = "" if is_on is None else "on" if is_on else "off"
        yield Field(
            name="is_oscillating", label="oscillation", kind="switch", value=word
        )
    if fan.has_direction:
        direction = now.get("direction")
        yield _choice("direction", "direction", direction, ("forward", "reverse"))


def _siren(siren: Siren, now: Mapping[str, Any]) -> Iterator[Field]:
    if siren.tones:
        yield _choice("tone", "tone", now.get("tone"), siren.tones)
    if siren.has_volume:
        volume = now.get("volume_level")
        yield _slider("volume_level", "volume", volume, unit="%", scale=100)
    if siren.has_duration:
        limits = (0, _LONGEST_SIREN_S, 5)
        lasts = now.get("duration")
        yield _slider("duration", "duration", lasts, limits=limits, unit="s")
