"""Fans of air purifiers and ceilings. Facts: reference 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from structiot.meross.features.channels import title
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.fields import Pace
from structiot.meross.features.figures import whole_of
from structiot.meross.features.toggles import TOGGLES, ToggledFeature
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import Command, Fan, FanState

__all__ = ["Fans"]

FAN: Final = "Appliance.Control.Fan"


class Fans(ToggledFeature):
    """A fan a channel, switched by ToggleX where the device has it for that channel."""

    name = "fan"
    abilities: ClassVar[tuple[str, ...]] = (FAN,)
    namespaces: ClassVar[frozenset[str]] = frozenset({FAN, *TOGGLES})
    members: ClassVar[Mapping[str, tuple[int, int]]] = {
        "maxSpeed": (1, 100),
        "speed": (0, 100),
    }
    digest_key = "fan"
    is_certain = True
    asked: ClassVar[object] = []
    pace: ClassVar[Pace] = "live"

    def __init__(self, about: About) -> None:
        super().__init__(about)
        for item in items_of(about.system.digest, self.digest_key):
            if channel_of(item) in self._channels:
                self.keep(channel_of(item), item)

    def keep(self, channel: int, item: Item) -> None:
        """Keep the last speed too: so it turns when it is switched on."""
        known = self.kept(channel)
        steps = whole_of(item.get("maxSpeed"), 1, 100) or known.get("maxSpeed", 100)
        speed = whole_of(item.get("speed"), 0, steps)
        super().keep(channel, {**item, "speed": speed})
        known["last"] = speed or known.get("last", 1)

    def entity_of(self, channel: int) -> Fan:
        """Describe a fan."""
        return Fan(
            key=entity_key(self.name, channel),
            name=title(self.about, channel, "Fan") if channel else None,
            speed_steps=self.kept(channel).get("maxSpeed", 0),
        )

    def state_of(self, channel: int) -> FanState:
        """Give how fast it turns; it turns at no speed while it is toggled off."""
        steps, speed = (self.kept(channel).get(name) for name in ("maxSpeed", "speed"))
        is_on = self.is_on(channel)
        if speed is None:
            return FanState(is_on=is_on)
        return FanState(
            is_on=is_on is not False and speed > 0,
            speed_percent=round(100 * speed / steps, 1) if steps else None,
        )

    def orders(self, channel: int, command: Command) -> Sequence[Request]:
        """Turn at a speed, or as fast as before, or not at all."""
        asked = FanState(is_on=command) if isinstance(command, bool) else command
        if not isinstance(asked, FanState):
            return []
        known, percent = self.kept(channel), asked.speed_percent
        by_toggle = channel in self._toggles.is_on
        is_on = not (asked.is_on is False or percent == 0)
        steps = known.get("maxSpeed", 0)
        speed = None
        if not is_on:
            speed = None if by_toggle else 0
        elif percent is not None and steps:
            speed = max(1, round(percent * steps / 100))
        elif not by_toggle or known.get("speed") == 0:
            speed = known.get("last", 1)
        requests = [] if speed is None else [self.order(channel, {"speed": speed})]
        if by_toggle:
            requests.append(self._toggles.order(channel, is_on=is_on))
        return requests
