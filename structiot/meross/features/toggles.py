"""What is on and off by ToggleX, or by Toggle of legacy devices; X wins.

Outlets are switched by it, and lamps and fans too. Facts: reference 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from structiot.meross.features.channels import MAX_CHANNELS
from structiot.meross.features.composed import ComposedFeature
from structiot.meross.features.feature import About, Request, Update
from structiot.meross.features.figures import on_off_of
from structiot.meross.features.requests import order
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of, key_of

__all__ = ["TOGGLE", "TOGGLES", "TOGGLE_X", "ToggledFeature", "Toggles"]

TOGGLE: Final = "Appliance.Control.Toggle"
TOGGLE_X: Final = "Appliance.Control.ToggleX"
TOGGLES: Final = frozenset({TOGGLE, TOGGLE_X})


class Toggles:
    """Which channels are on.

    Attributes:
        namespace: By which of the two it is switched; None if by neither.
        is_on: What is known, by channel.
    """

    def __init__(self, about: About) -> None:
        found = [each for each in (TOGGLE_X, TOGGLE) if each in about.abilities]
        self.namespace: str | None = found[0] if found else None
        self.is_on: dict[int, bool] = {}
        self.take(self.namespace, about.system.digest)

    def take(self, namespace: str | None, payload: Payload) -> frozenset[int]:
        """Read a payload, or the digest; give the channels that it told of."""
        told: set[int] = set()
        if namespace is None or namespace != self.namespace:
            return frozenset()
        for item in items_of(payload, key_of(namespace)):
            channel, is_on = channel_of(item), on_off_of(item.get("onoff"))
            is_known = channel in self.is_on or len(self.is_on) < MAX_CHANNELS
            if is_on is not None and is_known:
                self.is_on[channel] = is_on
                told.add(channel)
        return frozenset(told)

    def order(self, channel: int, *, is_on: bool) -> Request:
        """Give the order to switch a channel; of a strip, 0 is all of them."""
        item = {"channel": channel, "onoff": int(is_on)}
        return order(self.namespace or TOGGLE_X, item)


class ToggledFeature(ComposedFeature):
    """A feature whose channels are toggled, where the device has that for them."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._toggles = Toggles(about)

    def is_on(self, channel: int) -> bool | None:
        """Tell whether a channel is on, as it was told last, in whatever way."""
        onoff = self.kept(channel).get("onoff")
        return self._toggles.is_on.get(channel) if onoff is None else onoff == 1

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read its items, and what is on."""
        update = super().take_digest(digest, at_utc)
        toggled = self.take(self._toggles.namespace or TOGGLE_X, digest, at_utc)
        return replace(update, states={**update.states, **toggled.states})

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read its items, or what is on."""
        if namespace not in TOGGLES:
            return super().take(namespace, payload, at_utc)
        told = self._toggles.take(namespace, payload) & self._channels
        for channel in told:
            self.kept(channel)["onoff"] = int(self._toggles.is_on[channel])
        return Update(states=self.states_of(told))
