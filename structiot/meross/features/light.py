"""Lamps, dimmers and strips of light. Facts: reference 4.7 and 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from typing import ClassVar, Final, Literal

from structiot.errors import UsageError
from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import (
    About,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.figures import label_of, on_off_of, whole_of
from structiot.meross.features.toggles import TOGGLES, Toggles
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, items_of
from structiot.model import Command, Entity, Light, LightState, State

__all__ = ["Capacity", "Lamps"]

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


@dataclass(slots=True)
class _Lamp:
    """What is known of one lamp; a payload may tell a part of it."""

    capacity: Capacity | None = None
    rgb: tuple[int, int, int] | None = None
    color_temp_k: int | None = None
    brightness_percent: int | None = None
    is_on: bool | None = None
    tells_on: bool = False
    effect_index: int | None = None

    def take(self, item: Item) -> None:
        capacity = whole_of(item.get("capacity"), 1, 255)
        if capacity is not None and capacity & _LOOKS:
            self.capacity = Capacity(capacity & _LOOKS)
        self.effect_index = whole_of(item.get("effect"), 0, _MAX_EFFECTS)
        rgb = whole_of(item.get("rgb"), 0, 0xFFFFFF)
        if rgb is not None:
            self.rgb = (rgb >> 16, rgb >> 8 & 255, rgb & 255)
        temperature = whole_of(item.get("temperature"), 1, 100)
        if temperature is not None:
            self.color_temp_k = kelvin_of(temperature)
        luminance = whole_of(item.get("luminance"), 0, 100)
        if luminance is not None:
            self.brightness_percent = luminance
        is_on = on_off_of(item.get("onoff"))
        if is_on is not None:
            self.is_on, self.tells_on = is_on, True

    def state(self, effect: str | None) -> LightState:
        """Give what it shows: of the colours the one of its mode, if that is known."""
        mode = self.capacity or Capacity.RGB | Capacity.COLOR_TEMP
        return LightState(
            is_on=self.is_on,
            brightness_percent=self.brightness_percent,
            color_temp_k=self.color_temp_k if Capacity.COLOR_TEMP in mode else None,
            rgb=self.rgb if Capacity.RGB in mode else None,
            effect=effect if Capacity.EFFECT in mode else None,
        )


class Lamps(ChannelFeature):
    """A lamp a channel, switched by ToggleX where the device has it for that channel."""

    name = "light"
    abilities: ClassVar[tuple[str, ...]] = (LIGHT,)
    namespaces: ClassVar[frozenset[str]] = frozenset({LIGHT, EFFECT, *TOGGLES})
    digest_key = "light"

    def __init__(self, about: About) -> None:
        self._lamps: dict[int, _Lamp] = {}
        # As they came: an order repeats them as a whole.
        self._effects: dict[str, Item] = {}
        self._running: str | None = None
        super().__init__(about)
        self._channels = self._channels or {0}
        self._toggles = Toggles(about)
        able = about.abilities.get(LIGHT, {})
        self._capacity = Capacity((whole_of(able.get("capacity"), 0, 255) or 4) & 15)

    @property
    def polls(self) -> Sequence[Poll]:
        """The effects, and the lamp itself where the digest does not have it."""
        polls = []
        if "light" not in self.about.system.digest:
            polls.append(Poll(request=_get(LIGHT, {"light": {}})))
        if EFFECT in self.about.abilities:
            polls.append(Poll(request=_get(EFFECT, {"effect": []}), pace="slow"))
        return polls

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe a light."""
        can = self._capacity
        has_white = Capacity.COLOR_TEMP in can
        modes = {
            "brightness": Capacity.BRIGHTNESS in can,
            "color_temp": has_white,
            "rgb": Capacity.RGB in can,
        }
        is_alone = channel == 0 and "Appliance.Control.Fan" not in self.about.abilities
        return [
            Light(
                key=entity_key(self.name, channel),
                name=None if is_alone else title(self.about, channel, "Light"),
                color_modes=frozenset(m for m in _MODES if modes[m]),
                min_color_temp_k=WARMEST_K if has_white else None,
                max_color_temp_k=COLDEST_K if has_white else None,
                effects=tuple(self._effects) if channel == self.channels[0] else (),
            )
        ]

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the lamp, what is on, and which effect runs."""
        light = self.take(LIGHT, digest, at_utc)
        toggled = self._switched(self._toggles.take_digest(digest))
        return Update(
            states={**light.states, **toggled},
            entities_changed=light.entities_changed,
        )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read a lamp, a switch, or the effects."""
        if namespace in TOGGLES:
            return Update(states=self._switched(self._toggles.take(namespace, payload)))
        if namespace == EFFECT:
            return self._take_effects(payload)
        return super().take(namespace, payload, at_utc)

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read a lamp."""
        lamp = self._lamps.setdefault(channel, _Lamp())
        lamp.take(item)
        if lamp.is_on is None:
            lamp.is_on = self._toggles.is_on.get(channel)
        return self._state(channel)

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Take over what was asked; of the effects, which one runs."""
        if request.namespace != EFFECT:
            return super().acknowledged(request, payload, at_utc)
        asked = items_of(request.payload, "effect")
        self._running = label_of(asked[0].get("effectName")) if asked else None
        first = self.channels[0]
        self._lamps.setdefault(first, _Lamp()).capacity = Capacity.EFFECT
        return Update(states=self._state(first))

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Set what shall change; whoever sets a colour wants to see it.

        Raises:
            UsageError: A colour and a colour temperature, or one of them and an effect.
        """
        if not isinstance(command, LightState):
            return []
        channel = channel_of_key(key, self.name)
        is_off = command.is_on is False or command.brightness_percent == 0
        looks = (command.rgb, command.color_temp_k, command.effect)
        if sum(look is not None for look in looks) > 1:
            message = f"{key} takes one of rgb, color_temp_k and effect at a time"
            raise UsageError(message)
        by_toggle = self._is_toggled(channel)
        item: dict[str, object] = {} if is_off else _fields(command)
        if not by_toggle:
            item["onoff"] = int(not is_off)
        requests = []
        if item:
            item = {"channel": channel, **item, "gradual": 0}
            requests.append(_set(LIGHT, {"light": item}))
        effect = self._effects.get(command.effect or "")
        if effect is not None and not is_off:
            requests.append(_set(EFFECT, {"effect": [{**effect, "enable": 1}]}))
        if by_toggle:
            requests.append(self._toggles.request(channel, is_on=not is_off))
        return requests

    def _is_toggled(self, channel: int) -> bool:
        if self._toggles.namespace is None:
            return False
        lamp = self._lamps.get(channel)
        tells_on = lamp is not None and lamp.tells_on
        return channel in self._toggles.is_on or (channel == 0 and not tells_on)

    def _switched(self, told: frozenset[int]) -> Mapping[str, State | None]:
        states: dict[str, State | None] = {}
        for channel in told & self._channels:
            lamp = self._lamps.setdefault(channel, _Lamp())
            lamp.is_on = self._toggles.is_on[channel]
            states.update(self._state(channel))
        return states

    def _state(self, channel: int) -> dict[str, State | None]:
        lamp, names = self._lamps[channel], tuple(self._effects)
        effect = self._running if channel == self.channels[0] else None
        index = lamp.effect_index
        if effect is None and index is not None and index < len(names):
            effect = names[index]
        return {entity_key(self.name, channel): lamp.state(effect)}

    def _take_effects(self, payload: Payload) -> Update:
        before = tuple(self._effects)
        found: dict[str, Item] = {}
        for item in items_of(payload, "effect"):
            name = label_of(item.get("effectName"))
            if name is not None and len(found) < _MAX_EFFECTS:
                found.setdefault(name, item)
        self._effects = found
        running = (name for name, item in found.items() if item.get("enable") == 1)
        self._running = next(running, None)
        first = self.channels[0]
        return Update(
            states=self._state(first) if first in self._lamps else {},
            entities_changed=tuple(found) != before,
        )


def kelvin_of(temperature: int) -> int:
    """Convert the wire's 1 (warm) to 100 (cold) to kelvin."""
    return round(WARMEST_K + (temperature - 1) * (COLDEST_K - WARMEST_K) / 99)


def temperature_of(kelvin: float) -> int:
    """Convert kelvin to the wire's 1 to 100, the nearest that there is."""
    temperature = 1 + (kelvin - WARMEST_K) * 99 / (COLDEST_K - WARMEST_K)
    return min(100, max(1, round(temperature)))


def _fields(command: LightState) -> dict[str, object]:
    """Give the fields of an order to a lamp, with the capacity that says which."""
    fields: dict[str, object] = {}
    capacity = Capacity(0)
    if command.rgb is not None:
        red, green, blue = (round(part) for part in command.rgb)
        fields["rgb"] = (red << 16) + (green << 8) + blue
        capacity |= Capacity.RGB
    if command.color_temp_k is not None:
        fields["temperature"] = temperature_of(command.color_temp_k)
        capacity |= Capacity.COLOR_TEMP
    if command.brightness_percent is not None:
        fields["luminance"] = max(1, round(command.brightness_percent))
        capacity |= Capacity.BRIGHTNESS
    return {"capacity": int(capacity), **fields} if capacity else {}


def _get(namespace: str, payload: Payload) -> Request:
    return Request(method=Method.GET, namespace=namespace, payload=payload)


def _set(namespace: str, payload: Payload) -> Request:
    return Request(method=Method.SET, namespace=namespace, payload=payload)


_LOOKS: Final = Capacity.RGB | Capacity.COLOR_TEMP | Capacity.EFFECT
_MODES: Final[tuple[Literal["brightness", "color_temp", "rgb"], ...]] = (
    "brightness",
    "color_temp",
    "rgb",
)
