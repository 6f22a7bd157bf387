"""What a manager tells of the devices that dial in to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from structiot.manager.base_client import BaseClient

__all__ = [
    "ClientConnected",
    "ClientDisconnected",
    "ClientRefused",
    "ClientReplaced",
    "ManagerEvent",
    "MessageReceived",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConnected:
    """A device has said who it is and is served; from now on it can be sent to.

    Attributes:
        client: The device.
        at_utc: When it was known here; of one that was there before, since when it is
            connected.
    """

    client: BaseClient
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDisconnected:
    """A device is gone; each that has connected is told of once.

    Attributes:
        client: The device.
        reason: Why, in one phrase.
        at_utc: When.
    """

    client: BaseClient
    reason: str
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientReplaced:
    """A device has connected anew while its older connection was open.

    The older one's `ClientDisconnected` comes before it, the newer one's
    `ClientConnected` behind.

    Attributes:
        client: The device, by its newer connection.
        former: By its older one, which has ended.
        at_utc: When.
    """

    client: BaseClient
    former: BaseClient
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRefused:
    """Somebody has dialled in and was not taken.

    Attributes:
        address: From where: host and port.
        reason: Why, in one phrase, printable.
        at_utc: When.
    """

    address: tuple[str, int]
    reason: str
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A device has sent something.

    Attributes:
        client: The device.
        data: What it has sent; in dialects without frames a piece of it, as it came.
        at_utc: When.
    """

    client: BaseClient
    data: bytes
    at_utc: datetime


ManagerEvent: TypeAlias = (
    ClientConnected
    | ClientDisconnected
    | ClientReplaced
    | ClientRefused
    | MessageReceived
)
