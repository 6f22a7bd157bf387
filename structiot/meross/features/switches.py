"""Outlets and wall switches. Facts: reference 4.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import channel_name, channel_of_key
from structiot.meross.features.feature import (
    About,
    Feature,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.toggles import TOGGLE, TOGGLE_X, Toggles
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of
from structiot.model import Command, Entity, Switch

__all__ = ["Switches"]

# Whose ToggleX moves nothing that anyone would want to switch.
_OTHERWISE: Final = (
    "Appliance.GarageDoor.State",
    "Appliance.RollerShutter.Position",
    "Appliance.RollerShutter.State",
    "Appliance.Control.Diffuser.Light",
    "Appliance.Control.Diffuser.Spray",
)
# Whose entity is switched by ToggleX, with the key of the digest that has its channel.
_OWNERS: Final = {
    "Appliance.Control.Light": "light",
    "Appliance.Control.Fan": "fan",
}
_OUTLETS: Final = ("mss", "msp", "mop")
_WALL_SWITCHES: Final = tuple(f"mss{n}" for n in (51, 53, 55, 56, 57, 71, 81))


class Switches(Feature):
    """Each channel that is switched and belongs to nothing else; 0 of a strip is all."""

    name = "switch"
    abilities: ClassVar[tuple[str, ...]] = (TOGGLE_X, TOGGLE)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._toggles = Toggles(about)
        self._is_otherwise = any(each in about.abilities for each in _OTHERWISE)
        self._owned = _owned_channels(about)

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that are switches."""
        found = () if self._is_otherwise else sorted(self._toggles.is_on)
        return tuple(channel for channel in found if channel not in self._owned)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """A switch each."""
        model = self.about.model
        is_outlet = model.startswith(_OUTLETS) and not model.startswith(_WALL_SWITCHES)
        is_alone = self.channels == (0,)
        return tuple(
            Switch(
                key=entity_key(self.name, channel),
                name=None if is_alone else self._name(channel, is_outlet=is_outlet),
                device_class="outlet" if is_outlet else "switch",
            )
            for channel in self.channels
        )

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read what is on."""
        return self.take(self._toggles.namespace or TOGGLE_X, digest, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read what is on."""
        before = self.channels
        told = self._toggles.take(namespace, payload)
        return Update(
            states={
                entity_key(self.name, channel): self._toggles.is_on[channel]
                for channel in self.channels
                if channel in told
            },
            entities_changed=self.channels != before,
        )

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Take over what was asked; with channel 0 of a strip all have changed."""
        update = super().acknowledged(request, payload, at_utc)
        items = items_of(request.payload, "togglex")
        master = next((item for item in items if channel_of(item) == 0), None)
        if master is None or len(self.channels) < 2:
            return update
        all_of_it = [{**master, "channel": channel} for channel in self.channels]
        return self.take(request.namespace, {"togglex": all_of_it}, at_utc)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Switch a channel."""
        channel = channel_of_key(key, self.name)
        return [self._toggles.order(channel, is_on=command is True)]

    def _name(self, channel: int, *, is_outlet: bool) -> str:
        if channel == 0:
            return "All outlets" if is_outlet else "All"
        what = "Outlet" if is_outlet else "Switch"
        return channel_name(self.about, channel) or f"{what} {channel}"


def _owned_channels(about: About) -> frozenset[int]:
    """Give the channels that lamps and fans are switched by."""
    return frozenset(
        channel_of(item)
        for ability, key in _OWNERS.items()
        if ability in about.abilities
        for item in items_of(about.system.digest, key) or ({},)
    )
