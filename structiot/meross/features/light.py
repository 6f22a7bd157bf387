"""Lamps, dimmers and strips of light. Facts: reference 4.7 and 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntFlag
from typing import ClassVar, Final, Literal

from structiot.errors import UsageError
from structiot.meross.features.channels import title
from structiot.meross.features.feature import (
    About,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Pace
from structiot.meross.features.figures import label_of, whole_of
from structiot.meross.features.requests import order, polled
from structiot.meross.features.toggles import TOGGLES, ToggledFeature
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, items_of
from structiot.model import Command, Light, LightState

__all__ = [
    "Capacity",
    "Lamps",
    "is_off",
    "split_rgb",
    "written",
]

EFFECT: Final = "Appliance.Control.Light.Effect"
LIGHT: Final = "Appliance.Control.Light"
WARMEST_K: Final = 2700
COLDEST_K: Final = 6500
_MAX_EFFECTS: Final = 32


class Capacity(IntFlag):
    """What a lamp can do, what mode it is in, and which fields an order sets."""

    RGB = 1
    COLOR_TEMP = 2
    BRIGHTNESS = 4
    EFFECT = 8


_LOOKS: Final = Capacity.RGB | Capacity.COLOR_TEMP | Capacity.EFFECT
_MODES: Final[Mapping[Literal["brightness", "color_temp", "rgb"], Capacity]] = {
    "brightness": Capacity.BRIGHTNESS,
    "color_temp": Capacity.COLOR_TEMP,
    "rgb": Capacity.RGB,
}


_SETS: Final = {
    "rgb": Capacity.RGB,
    "temperature": Capacity.COLOR_TEMP,
    "luminance": Capacity.BRIGHTNESS,
}


class Lamps(ToggledFeature):
    """A lamp a channel, switched by ToggleX where the device has it for that channel."""

    name = "light"
    abilities: ClassVar[tuple[str, ...]] = (LIGHT,)
    namespaces: ClassVar[frozenset[str]] = frozenset({LIGHT, EFFECT, *TOGGLES})
    members: ClassVar[Mapping[str, tuple[int, int]]] = {
        "capacity": (1, 255),
        "effect": (0, _MAX_EFFECTS),
        "luminance": (0, 100),
        "onoff": (0, 1),
        "rgb": (0, 0xFFFFFF),
        "temperature": (1, 100),
    }
    digest_key = "light"
    asked: ClassVar[object] = {}
    pace: ClassVar[Pace] = "live"
    is_list = False

    def __init__(self, about: About) -> None:
        super().__init__(about)
        # As they came: an order repeats them as a whole.
        self._effects: dict[str, Item] = {}
        self._running: str | None = None
        self._channels = self._channels or {0}
        able = about.abilities.get(LIGHT, {})
        self._capacity = Capacity((whole_of(able.get("capacity"), 0, 255) or 4) & 15)

    @property
    def polls(self) -> Sequence[Poll]:
        """The lamp, where the digest does not have it, and the effects."""
        if EFFECT not in self.about.abilities:
            return super().polls
        return [*super().polls, polled(EFFECT, [], pace="slow")]

    def keep(self, channel: int, item: Item) -> None:
        """Keep the mode of a lamp that tells none; which effect runs is told anew."""
        known = self.kept(channel)
        mode = known.get("capacity", 0)
        known.pop("effect", None)
        super().keep(channel, item)
        if not known.get("capacity", 0) & _LOOKS:
            known["capacity"] = mode

    def entity_of(self, channel: int) -> Light:
        """Describe a light."""
        has_white = Capacity.COLOR_TEMP in self._capacity
        is_alone = channel == 0 and "Appliance.Control.Fan" not in self.about.abilities
        return Light(
            key=entity_key(self.name, channel),
            name=None if is_alone else title(self.about, channel, "Light"),
            color_modes=frozenset(m for m, c in _MODES.items() if c in self._capacity),
            min_color_temp_k=WARMEST_K if has_white else None,
            max_color_temp_k=COLDEST_K if has_white else None,
            effects=tuple(self._effects) if channel == self.channels[0] else (),
        )

    def state_of(self, channel: int) -> LightState:
        """Give what it shows: of the colours the one of its mode, if that is known."""
        known = self.kept(channel)
        mode = Capacity(known.get("capacity", 0)) & _LOOKS
        mode = mode or Capacity.RGB | Capacity.COLOR_TEMP
        temperature = known.get("temperature")
        kelvin = None if temperature is None else kelvin_of(temperature)
        return LightState(
            is_on=self.is_on(channel),
            brightness_percent=known.get("luminance"),
            color_temp_k=kelvin if Capacity.COLOR_TEMP in mode else None,
            rgb=split_rgb(known.get("rgb")) if Capacity.RGB in mode else None,
            effect=self._effect(channel) if Capacity.EFFECT in mode else None,
        )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read a lamp, a switch, or the effects."""
        if namespace != EFFECT:
            return super().take(namespace, payload, at_utc)
        before = tuple(self._effects)
        found: dict[str, Item] = {}
        for item in items_of(payload, "effect"):
            name = label_of(item.get("effectName"))
            if name is not None and len(found) < _MAX_EFFECTS:
                found.setdefault(name, item)
        self._effects = found
        running = (name for name, item in found.items() if item.get("enable") == 1)
        self._running = next(running, None)
        return Update(
            states=self.states_of(c for c in self.channels[:1] if self.kept(c)),
            entities_changed=tuple(found) != before,
        )

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Take over what was asked; of the effects, which one runs."""
        if request.namespace != EFFECT:
            return super().acknowledged(request, payload, at_utc)
        asked = items_of(request.payload, "effect")
        self._running = label_of(asked[0].get("effectName")) if asked else None
        first = self.channels[0]
        self.kept(first)["capacity"] = Capacity.EFFECT
        return Update(states=self.states_of([first]))

    def orders(self, channel: int, command: Command) -> Sequence[Request]:
        """Set what shall change; whoever sets a colour wants to see it.

        Raises:
            UsageError: A colour and a colour temperature, or one of them and an effect.
        """
        if not isinstance(command, LightState):
            return []
        looks = (command.rgb, command.color_temp_k, command.effect)
        if sum(look is not None for look in looks) > 1:
            key = entity_key(self.name, channel)
            message = f"{key} takes one of rgb, color_temp_k and effect at a time"
            raise UsageError(message)
        is_on, by_toggle = not is_off(command), self._is_toggled(channel)
        item = written(command)
        if item:
            item["capacity"] = sum(_SETS[name] for name in item)
        if not by_toggle:
            item["onoff"] = int(is_on)
        requests = [self.order(channel, {**item, "gradual": 0})] if item else []
        effect = self._effects.get(command.effect or "")
        if effect is not None and is_on:
            requests.append(order(EFFECT, [{**effect, "enable": 1}]))
        if by_toggle:
            requests.append(self._toggles.order(channel, is_on=is_on))
        return requests

    def _is_toggled(self, channel: int) -> bool:
        if self._toggles.namespace is None or channel in self._toggles.is_on:
            return self._toggles.namespace is not None
        return channel == 0 and "onoff" not in self.kept(channel)

    def _effect(self, channel: int) -> str | None:
        """Give which effect runs, by its name, or by its index in the list."""
        if channel == self.channels[0] and self._running is not None:
            return self._running
        index, names = self.kept(channel).get("effect"), tuple(self._effects)
        return names[index] if index is not None and index < len(names) else None


def kelvin_of(temperature: int) -> int:
    """Convert the wire's 1 (warm) to 100 (cold) to kelvin."""
    return round(WARMEST_K + (temperature - 1) * (COLDEST_K - WARMEST_K) / 99)


def temperature_of(kelvin: float) -> int:
    """Convert kelvin to the wire's 1 to 100, the nearest that there is."""
    temperature = 1 + (kelvin - WARMEST_K) * 99 / (COLDEST_K - WARMEST_K)
    return min(100, max(1, round(temperature)))


def split_rgb(rgb: int | None) -> tuple[int, int, int] | None:
    """Read a colour of the wire."""
    return None if rgb is None else (rgb >> 16, rgb >> 8 & 255, rgb & 255)


def written(command: LightState) -> dict[str, int]:
    """Write what a command says of colour and brightness; nothing if it is off."""
    members: dict[str, int] = {}
    if is_off(command):
        return members
    if command.rgb is not None:
        red, green, blue = (round(part) for part in command.rgb)
        members["rgb"] = (red << 16) + (green << 8) + blue
    if command.color_temp_k is not None:
        members["temperature"] = temperature_of(command.color_temp_k)
    if command.brightness_percent is not None:
        members["luminance"] = max(1, round(command.brightness_percent))
    return members


def is_off(command: LightState) -> bool:
    """Tell whether a command switches off."""
    return command.is_on is False or command.brightness_percent == 0
