"""What the SEPL platform keeps: users, device types, devices and gateways.

It is all of one process, outlives every connection, and is lost with the simulator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import final
from uuid import UUID

from structiot.errors import UsageError

__all__ = ["SeplDevice", "SeplGateway", "SeplStore", "merged_tags"]


@dataclass(slots=True, kw_only=True)
class SeplDevice:
    """A device as the platform knows it.

    Attributes:
        id: The platform's own name for it.
        uri: The gateway's name for it.
        type: Its device type; never changed by a `put`.
        name: What it is called.
        tags: Texts such as `room:kitchen`. One that a gateway has dropped stays.
        user: Whose it is.
        listeners: How many connections listen to it.
    """

    id: str
    uri: str
    type: str
    name: str
    tags: list[str]
    user: str
    listeners: int = 0

    @property
    def is_online(self) -> bool:
        """Whether any connection listens to it."""
        return self.listeners > 0


@dataclass(slots=True, kw_only=True)
class SeplGateway:
    """A gateway as the platform knows it.

    Attributes:
        id: Its `gid`.
        user: Whose it is.
        hash: What was committed last, as it was given.
        devices: URIs of the devices that belonged to it then.
        connections: How many connections it has now.
    """

    id: str
    user: str
    hash: str = ""
    devices: list[str] = field(default_factory=list)
    connections: int = 0


@final
class SeplStore:
    """All that the platform keeps.

    Args:
        users: Passwords by user.
        types: Services by device type; None has any type, with any services.
        random: For ids.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        types: Mapping[str, Collection[str]] | None,
        random: Random,
    ) -> None:
        self.users: dict[str, str] = dict(users)
        self.gateways: dict[str, SeplGateway] = {}
        self._types = (
            None if types is None else {one: frozenset(types[one]) for one in types}
        )
        self._random = random
        self._devices: dict[tuple[str, str], list[SeplDevice]] = {}

    def new_id(self) -> str:
        """Make up an id."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def __iter__(self) -> Iterator[SeplDevice]:
        """All devices, the oldest of each URI first."""
        for same in self._devices.values():
            yield from same

    def find(self, user: str, uri: str) -> Sequence[SeplDevice]:
        """Give the devices of a user that have a URI; more than one is a mishap."""
        return self._devices.get((user, uri), ())

    def has_type(self, name: str) -> bool:
        """Whether devices may be of a type."""
        return self._types is None or name in self._types

    def has_service(self, device: SeplDevice, service_uri: str) -> bool:
        """Whether devices of this one's type have a service."""
        return self._types is None or service_uri in self._types.get(device.type, ())

    def add(
        self, *, uri: str, type_: str, name: str, tags: Collection[str], user: str
    ) -> SeplDevice:
        """Make a device, whether or not there is one of this URI."""
        device = SeplDevice(
            id=f"iot#{self.new_id()}",
            uri=uri,
            type=type_,
            name=name,
            tags=merged_tags((), tags),
            user=user,
        )
        self._devices.setdefault((user, uri), []).append(device)
        return device

    def remove(self, device: SeplDevice) -> None:
        """Forget a device, and whatever has its URI."""
        self._devices.pop((device.user, device.uri), None)

    def gateway(self, user: str, gid: str) -> SeplGateway:
        """Give a user's gateway; one that is unknown or somebody else's is made anew."""
        found = self.gateways.get(gid)
        if found is None or found.user != user:
            found = SeplGateway(id=f"iot#{self.new_id()}", user=user)
            self.gateways[found.id] = found
        return found

    def check_user(self, user: str) -> None:
        """Refuse a user that there is not.

        Raises:
            UsageError: There is none of this name.
        """
        if user not in self.users:
            raise UsageError(f"the platform has no user {user!r:.100}")


def merged_tags(known: Collection[str], given: Collection[str]) -> list[str]:
    """Merge tags by their key, as the platform does; one without a colon is left out."""
    merged = {tag.partition(":")[0]: tag for tag in (*known, *given) if ":" in tag}
    return list(merged.values())
