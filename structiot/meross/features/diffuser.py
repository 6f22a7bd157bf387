"""Oil diffusers: their light, spray and sensors. Facts: reference 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Final

from structiot.errors import UsageError
from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Choice, Field, Pace
from structiot.meross.features.figures import figure_of, on_off_of, whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import (
    Command,
    Entity,
    Light,
    LightState,
    Sensor,
    State,
)
from structiot.units import from_deci

__all__ = [
    "DiffuserClimate",
    "DiffuserLightMode",
    "DiffuserLights",
    "DiffuserSprays",
]

LIGHT: Final = "Appliance.Control.Diffuser.Light"
SENSOR: Final = "Appliance.Control.Diffuser.Sensor"
SPRAY: Final = "Appliance.Control.Diffuser.Spray"


class DiffuserLightMode(IntEnum):
    """How a diffuser shines."""

    ROTATING = 0
    COLOR = 1
    WHITE = 2


_EFFECTS: Final = {
    "rotating": DiffuserLightMode.ROTATING,
    "white": DiffuserLightMode.WHITE,
}


class _DiffuserFeature(ChannelFeature):
    """A feature whose items stand in the digest under `diffuser`."""

    is_certain = True

    digest_key = "diffuser"
    pace: ClassVar[Pace] = "live"

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read its items."""
        return self.take(self.abilities[0], object_of(digest, "diffuser"), at_utc)


@dataclass(slots=True)
class _Lamp:
    is_on: bool | None = None
    mode: DiffuserLightMode | None = None
    luminance: int | None = None
    rgb: tuple[int, int, int] | None = None


class DiffuserLights(_DiffuserFeature):
    """The light: a colour, white, or colours in turn."""

    name = "light"
    abilities: ClassVar[tuple[str, ...]] = (LIGHT,)
    namespaces: ClassVar[frozenset[str]] = frozenset({LIGHT})

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._lamps: dict[int, _Lamp] = {}

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the light."""
        return [
            Light(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Light"),
                color_modes=frozenset({"brightness", "rgb"}),
                effects=tuple(_EFFECTS),
            )
        ]

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read the light."""
        lamp = self._lamps.setdefault(channel, _Lamp())
        is_on = on_off_of(item.get("onoff"))
        lamp.is_on = lamp.is_on if is_on is None else is_on
        mode = whole_of(item.get("mode"), 0, len(DiffuserLightMode) - 1)
        lamp.mode = lamp.mode if mode is None else DiffuserLightMode(mode)
        luminance = whole_of(item.get("luminance"), 0, 100)
        lamp.luminance = lamp.luminance if luminance is None else luminance
        rgb = whole_of(item.get("rgb"), 0, 0xFFFFFF)
        if rgb is not None:
            lamp.rgb = (rgb >> 16, rgb >> 8 & 255, rgb & 255)
        names = {mode: name for name, mode in _EFFECTS.items()}
        state = LightState(
            is_on=lamp.is_on,
            brightness_percent=lamp.luminance,
            rgb=lamp.rgb if lamp.mode is DiffuserLightMode.COLOR else None,
            effect=None if lamp.mode is None else names.get(lamp.mode),
        )
        return {entity_key(self.name, channel): state}

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Set what shall change; whoever sets a colour wants to see it.

        Raises:
            UsageError: A colour and an effect.
        """
        if not isinstance(command, LightState):
            return []
        if command.rgb is not None and command.effect is not None:
            message = f"{key} takes one of rgb and effect at a time"
            raise UsageError(message)
        is_off = command.is_on is False or command.brightness_percent == 0
        item: dict[str, object] = {
            "channel": channel_of_key(key, self.name),
            "onoff": int(not is_off),
        }
        if not is_off:
            item.update(_fields(command))
        return [Request(method=Method.SET, namespace=LIGHT, payload={"light": [item]})]


def _fields(command: LightState) -> dict[str, object]:
    fields: dict[str, object] = {}
    if command.rgb is not None:
        red, green, blue = (round(part) for part in command.rgb)
        fields["mode"] = int(DiffuserLightMode.COLOR)
        fields["rgb"] = (red << 16) + (green << 8) + blue
    if command.effect is not None:
        fields["mode"] = int(_EFFECTS[command.effect])
    if command.brightness_percent is not None:
        fields["luminance"] = max(1, round(command.brightness_percent))
    return fields


class DiffuserSprays(_DiffuserFeature):
    """A choice of how strongly to spray."""

    name = "spray"
    abilities: ClassVar[tuple[str, ...]] = (SPRAY,)
    namespaces: ClassVar[frozenset[str]] = frozenset({SPRAY})

    fields: ClassVar[tuple[Field, ...]] = (
        Choice(
            key="spray",
            path=("mode",),
            name="Spray",
            icon="mdi:sprinkler",
            tells_unknown=True,
            options={2: "off", 0: "light", 1: "strong"},
        ),
    )


class DiffuserClimate(Feature):
    """Temperature and humidity where it stands."""

    name = "climate"
    abilities: ClassVar[tuple[str, ...]] = (SENSOR,)
    namespaces: ClassVar[frozenset[str]] = frozenset({SENSOR})

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe two sensors."""
        return tuple(
            Sensor(
                key=what,
                name=what.capitalize(),
                device_class=what,
                unit=unit,
                state_class="measurement",
                decimals=1,
            )
            for what, (unit, _, _) in _CLIMATE.items()
        )

    @property
    def polls(self) -> Sequence[Poll]:
        """Both; they are not pushed."""
        return [Poll(request=Request(method=Method.GET, namespace=SENSOR), pace="slow")]

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read both, in tenths; they stand at the top of the payload."""
        states: dict[str, State | None] = {}
        for what, (_, low, high) in _CLIMATE.items():
            if what in payload:
                value = object_of(payload, what).get("value")
                states[what] = from_deci(figure_of(value, low, high))
        return Update(states=states)


_CLIMATE: Final = {
    "temperature": ("°C", -400, 1000),
    "humidity": ("%", 0, 1000),
}
