"""What a feature of a device is: one ability, read, told and commanded.

A device is composed of features, one for each of its abilities that we know. A feature is
pure: it takes payloads and gives updates, it takes commands and gives requests; who sends
them, and how, is the device's. Keys of entities are made of the feature's name and the
channel (`entity_key`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import ClassVar, Literal

from structiot.errors import UsageError
from structiot.meross.wire.device_list import Channel
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import items_of, key_of
from structiot.meross.wire.system import Abilities, SystemAll
from structiot.model import Command, Entity, Reading, State

__all__ = [
    "About",
    "Feature",
    "Happened",
    "Poll",
    "Request",
    "Update",
    "entity_key",
    "joined",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """All that is known of a device, or of a subdevice, before it is asked for states.

    Attributes:
        device: `DeviceInfo.id`, for readings.
        model: Such as `"msg100"`, lower case.
        system: What it says of itself.
        abilities: What it can, by namespace, with attributes.
        channels: Its channels as the cloud lists them; none without a cloud.
        zone: Its time zone; None if it is not known.
        sub_id: Its id with its hub, if it is a subdevice.
    """

    device: str
    model: str
    system: SystemAll = field(default_factory=SystemAll)
    abilities: Abilities = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    zone: tzinfo | None = None
    sub_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question or an order to a device, before it has an id and a signature.

    Attributes:
        method: GET, SET, or PUSH for what is only answered to that.
        namespace: What it is about.
        payload: What is asked or ordered.
        is_relative: It changes something by so much, not to so much: whoever does not
            know whether it arrived never sends it again.
    """

    method: Method
    namespace: str
    payload: Payload = field(default_factory=dict)
    is_relative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What a feature wants to be asked.

    Attributes:
        request: The question.
        pace: `"live"`: with every poll of the device; `"counting"`: every minute in the
            local network, every ten through the cloud; `"slow"`: every ten minutes;
            `"once"`: when the device is opened, and after it was away.
    """

    request: Request
    pace: Literal["live", "counting", "slow", "once"] = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An occurrence, to be told of an `Event` entity."""

    key: str
    event_type: str
    data: Mapping[str, object] = field(default_factory=dict)
    at_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a payload has told.

    Attributes:
        states: States by key, None for what is not reported any more.
        readings: What was metered.
        happened: What happened.
        entities_changed: Whether `Feature.entities` differ from before.
        look_again_s: When it is worth to ask again, such as when a door has arrived.
    """

    states: Mapping[str, State | None] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    happened: tuple[Happened, ...] = ()
    entities_changed: bool = False
    look_again_s: float | None = None


class Feature(ABC):
    """One ability of one device; made by the device of what is known about it.

    Attributes:
        about: What is known of the device.
        name: What keys and entities are called by.
        fixed: The entities of a feature that always has the same.
        abilities: Namespaces, of which a device must have one to have the feature.
        is_metered: Whether it gives readings.
        namespaces: Namespaces whose payloads it reads, and whose requests it makes; those
            of `abilities` if it names none.
    """

    name: ClassVar[str]
    fixed: ClassVar[tuple[Entity, ...]] = ()
    is_metered: ClassVar[bool] = False
    abilities: ClassVar[tuple[str, ...]]
    namespaces: ClassVar[frozenset[str]]

    def __init_subclass__(cls) -> None:
        own = cls.__dict__
        if "abilities" in own and "namespaces" not in own:
            cls.namespaces = frozenset(cls.abilities)

    def __init__(self, about: About) -> None:
        self.about: About = about

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What the device has by this feature."""
        return self.fixed

    @property
    def polls(self) -> Sequence[Poll]:
        """What is to be asked besides `Appliance.System.All`, whose digest it is given."""
        return ()

    def take_digest(
        self,
        digest: Mapping[str, object],  # noqa: ARG002 - most have something there
        at_utc: datetime,  # noqa: ARG002
    ) -> Update:
        """Read what concerns it in the digest of `Appliance.System.All`."""
        return Update()

    @abstractmethod
    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the payload of a GETACK or PUSH; whatever makes no sense is left out."""

    def passed(self, at_utc: datetime) -> Update:  # noqa: ARG002 - most need no time
        """Take it that it is later now: what has arrived in the meantime."""
        return Update()

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Read the payload of the SETACK to a request of `command`.

        By default, what it says; one without items says that it is as asked.
        """
        has_items = items_of(payload, key_of(request.namespace))
        said = payload if has_items else request.payload
        return self.take(request.namespace, said, at_utc)

    def command(
        self,
        key: str,
        command: Command,  # noqa: ARG002 - most take some
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Give the requests that carry out a command on one of `entities`, in order.

        Values have been checked against the entity (`check_command`).

        Raises:
            UsageError: A value that the device cannot take.
        """
        message = f"{key} of a {self.about.model} takes no commands"
        raise UsageError(message)


def entity_key(name: str, channel: int) -> str:
    """Give the key of an entity: `switch` for channel 0, `switch_2` for channel 2."""
    return f"{name}_{channel}" if channel else name


def joined(updates: Iterable[Update]) -> Update:
    """Make one update of several; later states win."""
    told = list(updates)
    looks_s = [u.look_again_s for u in told if u.look_again_s is not None]
    return Update(
        states={key: state for u in told for key, state in u.states.items()},
        readings=tuple(reading for u in told for reading in u.readings),
        happened=tuple(one for u in told for one in u.happened),
        entities_changed=any(u.entities_changed for u in told),
        look_again_s=min(looks_s, default=None),
    )
