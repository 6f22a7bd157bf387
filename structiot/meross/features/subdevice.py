"""What hangs on a hub by radio: a valve, a sensor, a sprinkler.

As a device, a subdevice is composed of features. Payloads are the hub's, split into items
by `Hub`; requests go to the hub, with the id in their items. Facts: reference 4.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from structiot.errors import UsageError
from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import About, Feature, Request, Update, joined
from structiot.meross.wire.envelope import Payload
from structiot.model import Command, Entity

__all__ = ["SubAbout", "SubFeature", "Subdevice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubAbout:
    """All that is known of a subdevice.

    Attributes:
        device: `DeviceInfo.id`, for readings.
        hub: `DeviceInfo.id` of its hub.
        sub_id: Its id with the hub.
        kind: Such as `"mts100v3"`, lower case; `"unknown"` until it is known.
        name: What its user calls it; None without a cloud.
        hardware: Version of the hardware.
        firmware: Version of the firmware.
    """

    device: str
    hub: str
    sub_id: str
    kind: str
    name: str | None = None
    hardware: str | None = None
    firmware: str | None = None

    @property
    def as_device(self) -> About:
        """What its features are told."""
        return About(device=self.device, model=self.kind, sub_id=self.sub_id)


class SubFeature(ChannelFeature):
    """A feature of a subdevice whose items have an `id`, and no channels."""

    has_channel = False
    is_certain = True
    asks_by_channel = True
    max_channels = 1


class Subdevice:
    """A subdevice: what is known of it, its features, and whether it is there.

    Attributes:
        about: What is known of it.
        features: What it can.
        is_online: Whether the hub reaches it; None: it has not said.
    """

    def __init__(self, about: SubAbout, features: Sequence[Feature]) -> None:
        self.about: SubAbout = about
        self.features: tuple[Feature, ...] = tuple(features)
        self.is_online: bool | None = None

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it has, by all its features."""
        return tuple(entity for f in self.features for entity in f.entities)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read one of the hub's payloads, with no item but its own."""
        return joined(
            feature.take(namespace, payload, at_utc)
            for feature in self.features
            if namespace in feature.namespaces
        )

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Read its item of the SETACK to a request, or what was asked if it has none."""
        return joined(
            feature.acknowledged(request, payload, at_utc)
            for feature in self.features
            if request.namespace in feature.namespaces
        )

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Give the requests to the hub that carry out a command, in order.

        Values have been checked against the entity (`check_command`).

        Raises:
            UsageError: A value that the subdevice cannot take.
        """
        for feature in self.features:
            if any(entity.key == key for entity in feature.entities):
                return feature.command(key, command, at_utc)
        raise UsageError(f"{key} of a {self.about.kind} takes no commands")
