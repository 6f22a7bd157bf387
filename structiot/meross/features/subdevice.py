"""What hangs on a hub by radio: a valve, a sensor, a sprinkler.

As a device is composed of features, a subdevice is composed of subfeatures. Payloads are
the hub's, split into items by `Hub`; requests go to the hub, with the id in their items.
Facts: reference 4.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal

from structiot.errors import UsageError
from structiot.meross.features.feature import Happened, Request, Update
from structiot.meross.features.fields import Setting
from structiot.meross.features.freshness import Freshness
from structiot.meross.features.table import Table
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item, key_of
from structiot.model import Command, Entity, State

__all__ = [
    "DIGEST_HUB",
    "SubAbout",
    "SubFeature",
    "SubPoll",
    "Subdevice",
    "TableSubFeature",
    "joined",
]

# What the digest says of a subdevice is taken as if it came in this namespace.
DIGEST_HUB: Final = "Appliance.Digest.Hub"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubPoll:
    """What the hub is asked for subdevices that have a subfeature.

    Attributes:
        namespace: The namespace.
        pace: As `Poll.pace`.
        by_channel: Items are `subId` and `channel`, not `id`.
    """

    namespace: str
    pace: Literal["live", "slow", "once"] = "live"
    by_channel: bool = False


class SubFeature:
    """One ability of one subdevice.

    Attributes:
        name: What keys are called by.
        namespaces: Namespaces whose items it reads, and whose requests it makes.
        polls: What is to be asked for it besides the digest.
    """

    name: ClassVar[str]
    namespaces: ClassVar[frozenset[str]]
    polls: ClassVar[tuple[SubPoll, ...]] = ()

    def __init__(self, about: SubAbout) -> None:
        self.about: SubAbout = about
        self.freshness: Freshness = Freshness()

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What the subdevice has by this subfeature."""
        return ()

    @property
    def channels(self) -> tuple[int, ...]:
        """Its channels, for what is asked by channel."""
        return (0,)

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read its item of a GETACK or PUSH; in `DIGEST_HUB`, that of the digest."""
        raise NotImplementedError

    def acknowledged(
        self,
        namespace: str,
        asked: Item,
        item: Item | None,
        at_utc: datetime,
    ) -> Update:
        """Read its item of a SETACK; without one, what was asked is so now."""
        return self.take_item(namespace, asked if item is None else item, at_utc)

    def command(
        self,
        key: str,  # noqa: ARG002 - most take some
        command: Command,  # noqa: ARG002
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request] | None:
        """Give the requests to the hub that carry out a command; None: not its entity.

        Raises:
            UsageError: A value that the subdevice cannot take.
        """
        return None

    def order(
        self, namespace: str, members: Item, *, is_relative: bool = False
    ) -> Request:
        """Make an order to the hub about this subdevice."""
        item = {"id": self.about.sub_id, **members}
        return Request(
            method=Method.SET,
            namespace=namespace,
            payload={key_of(namespace): [item]},
            is_relative=is_relative,
        )


class TableSubFeature(SubFeature):
    """A subfeature that has settings, maybe besides something else."""

    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self.table: Table = Table(self.settings)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """One for each field of each setting."""
        return self.table.entities

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the settings of a namespace."""
        return self.table.take(namespace, item)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request] | None:
        """Set a field."""
        if not self.table.has(key):
            return None
        change = self.table.change(key, command)
        return [self.order(change.namespace, change.members)]


class Subdevice:
    """A subdevice: what is known of it, its subfeatures, and whether it is there.

    Attributes:
        about: What is known of it.
        is_online: Whether the hub reaches it; None: it has not said.
    """

    def __init__(self, about: SubAbout, features: Sequence[SubFeature]) -> None:
        self.about: SubAbout = about
        self.is_online: bool | None = None
        self._features: tuple[SubFeature, ...] = tuple(features)

    @property
    def features(self) -> tuple[SubFeature, ...]:
        """What it can."""
        return self._features

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it has, by all its subfeatures."""
        return tuple(entity for f in self._features for entity in f.entities)

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read its item of one of the hub's payloads."""
        return joined(
            feature.take_item(namespace, item, at_utc)
            for feature in self._features
            if namespace in feature.namespaces
        )

    def acknowledged(
        self, namespace: str, asked: Item, item: Item | None, at_utc: datetime
    ) -> Update:
        """Read its item of a SETACK, or what was asked if there is none."""
        return joined(
            feature.acknowledged(namespace, asked, item, at_utc)
            for feature in self._features
            if namespace in feature.namespaces
        )

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Give the requests to the hub that carry out a command, in order.

        Values have been checked against the entity (`check_command`).

        Raises:
            UsageError: A value that the subdevice cannot take.
        """
        for feature in self._features:
            requests = feature.command(key, command, at_utc)
            if requests is not None:
                return requests
        raise UsageError(f"{key} of a {self.about.kind} takes no commands")


def joined(updates: Iterable[Update]) -> Update:
    """Make one update of several; later states win."""
    states: dict[str, State | None] = {}
    happened: list[Happened] = []
    is_changed = False
    look_again_s: float | None = None
    for update in updates:
        states.update(update.states)
        happened.extend(update.happened)
        is_changed = is_changed or update.entities_changed
        look_again_s = update.look_again_s if look_again_s is None else look_again_s
    return Update(
        states=states,
        happened=tuple(happened),
        entities_changed=is_changed,
        look_again_s=look_again_s,
    )
