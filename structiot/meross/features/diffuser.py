"""Oil diffusers: their light, spray and sensors. Facts: reference 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.errors import UsageError
from structiot.meross.features.channels import ChannelFeature, title
from structiot.meross.features.composed import ComposedFeature
from structiot.meross.features.feature import Request, Update, entity_key
from structiot.meross.features.fields import Choice, Field, Measured, Pace
from structiot.meross.features.light import is_off, split_rgb, written
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import key_of, object_of
from structiot.model import Command, Light, LightState

__all__ = ["DiffuserClimate", "DiffuserLights", "DiffuserSprays"]

_COLOR: Final = 1
_EFFECTS: Final = {0: "rotating", 2: "white"}
_MODES: Final = {effect: mode for mode, effect in _EFFECTS.items()}


class _InDigest(ChannelFeature):
    """A feature whose items stand in the digest under `diffuser`."""

    is_certain = True
    digest_key = "diffuser"
    pace: ClassVar[Pace] = "live"

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read its items."""
        return self.take(self.abilities[0], object_of(digest, "diffuser"), at_utc)


class DiffuserLights(_InDigest, ComposedFeature):
    """The light: a colour, white, or colours in turn."""

    name = "light"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Diffuser.Light",)
    members: ClassVar[Mapping[str, tuple[int, int]]] = {
        "luminance": (0, 100),
        "mode": (0, 2),
        "onoff": (0, 1),
        "rgb": (0, 0xFFFFFF),
    }

    def entity_of(self, channel: int) -> Light:
        """Describe the light."""
        return Light(
            key=entity_key(self.name, channel),
            name=title(self.about, channel, "Light"),
            color_modes=frozenset({"brightness", "rgb"}),
            effects=tuple(_EFFECTS.values()),
        )

    def state_of(self, channel: int) -> LightState:
        """Give what it shows."""
        known = self.kept(channel)
        mode = known.get("mode", -1)
        return LightState(
            is_on=known["onoff"] == 1 if "onoff" in known else None,
            brightness_percent=known.get("luminance"),
            rgb=split_rgb(known.get("rgb")) if mode == _COLOR else None,
            effect=_EFFECTS.get(mode),
        )

    def orders(self, channel: int, command: Command) -> Sequence[Request]:
        """Set what shall change; whoever sets a colour wants to see it.

        Raises:
            UsageError: A colour and an effect.
        """
        if not isinstance(command, LightState):
            return []
        if command.rgb is not None and command.effect is not None:
            key = entity_key(self.name, channel)
            raise UsageError(f"{key} takes one of rgb and effect at a time")
        if is_off(command):
            return [self.order(channel, {"onoff": 0})]
        members = {"onoff": 1, **written(command)}
        if command.rgb is not None:
            members["mode"] = _COLOR
        if command.effect is not None:
            members["mode"] = _MODES[command.effect]
        return [self.order(channel, members)]


class DiffuserSprays(_InDigest):
    """A choice of how strongly to spray."""

    name = "spray"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Diffuser.Spray",)
    fields: ClassVar[tuple[Field, ...]] = (
        Choice(
            "spray",
            ("mode",),
            icon="mdi:sprinkler",
            tells_unknown=True,
            options={2: "off", 0: "light", 1: "strong"},
        ),
    )


def _sensor(key: str, unit: str, lowest: float) -> Measured:
    return Measured(
        key,
        (key, "value"),
        name=key.capitalize(),
        device_class=key,
        tells_unknown=True,
        scale=10,
        lowest=lowest,
        highest=100,
        unit=unit,
        decimals=1,
    )


class DiffuserClimate(ChannelFeature):
    """Temperature and humidity where it stands; they are not pushed."""

    name = "climate"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Diffuser.Sensor",)
    fields: ClassVar[tuple[Field, ...]] = (
        _sensor("temperature", "°C", -40),
        _sensor("humidity", "%", 0),
    )
    is_certain = True

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read both; they stand at the top of the payload."""
        item = {**payload, "channel": 0}
        return super().take(namespace, {key_of(namespace): item}, at_utc)
