"""What is on and off by ToggleX, or by Toggle of legacy devices; X wins.

Outlets are switched by it, and lamps and fans too. Facts: reference 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from structiot.meross.features.channels import MAX_CHANNELS
from structiot.meross.features.feature import About, Request
from structiot.meross.features.figures import on_off_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import channel_of, items_of, key_of

__all__ = ["TOGGLE", "TOGGLES", "TOGGLE_X", "Toggles"]

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
        self.take_digest(about.system.digest)

    def take_digest(self, digest: Mapping[str, object]) -> frozenset[int]:
        """Read the digest; give the channels that it told of."""
        return self.take(self.namespace, digest)

    def take(self, namespace: str | None, payload: Payload) -> frozenset[int]:
        """Read a payload; give the channels that it told of."""
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

    def request(self, channel: int, *, is_on: bool) -> Request:
        """Give the order to switch a channel; of a strip, 0 is all of them."""
        namespace = self.namespace or TOGGLE_X
        item = {"channel": channel, "onoff": int(is_on)}
        return Request(
            method=Method.SET, namespace=namespace, payload={key_of(namespace): item}
        )
