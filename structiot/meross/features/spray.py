"""Humidifiers. Facts: reference 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Final

from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import Poll, Request, entity_key
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item
from structiot.model import Command, Entity, Select, State

__all__ = ["SprayMode", "Sprays"]

SPRAY: Final = "Appliance.Control.Spray"


class SprayMode(IntEnum):
    """How a humidifier sprays."""

    OFF = 0
    CONTINUOUS = 1
    INTERMITTENT = 2


class Sprays(ChannelFeature):
    """A choice of how to spray, a channel."""

    name = "spray"
    abilities: ClassVar[tuple[str, ...]] = (SPRAY,)
    namespaces: ClassVar[frozenset[str]] = frozenset({SPRAY})
    digest_key = "spray"
    is_certain = True

    @property
    def polls(self) -> Sequence[Poll]:
        """Nothing where the digest has it."""
        request = Request(method=Method.GET, namespace=SPRAY)
        return [] if "spray" in self.about.system.digest else [Poll(request=request)]

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the choice."""
        return [
            Select(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Spray"),
                icon="mdi:sprinkler",
                options=tuple(mode.name.lower() for mode in SprayMode),
            )
        ]

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read how it sprays; None for a way that we do not know."""
        mode = whole_of(item.get("mode"), 0, len(SprayMode) - 1)
        state = None if mode is None else SprayMode(mode).name.lower()
        return {entity_key(self.name, channel): state}

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Choose how to spray."""
        mode = SprayMode[str(command).upper()]
        item = {"channel": channel_of_key(key, self.name), "mode": int(mode)}
        return [Request(method=Method.SET, namespace=SPRAY, payload={"spray": item})]
