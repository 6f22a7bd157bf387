"""What happens to a gateway, for programs that hold one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from structiot.model import DeviceEvent

__all__ = [
    "BrokerConnected",
    "BrokerLost",
    "CommandDone",
    "CommandFailed",
    "DeviceUpdate",
    "DriverState",
    "DriverUpdate",
    "GatewayEvent",
    "HistoryFailing",
    "HistoryWritten",
    "LinksChanged",
    "TopicAccepted",
    "TopicRefused",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConnected:
    """The broker has accepted the gateway; everything is published anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLost:
    """There is no connection to the broker.

    Attributes:
        reason: Why, in one line that names host and port.
        retry_in_s: When the next attempt follows; None when there is none before a
            restart or a reload, because another one could not help.
    """

    reason: str
    retry_in_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpdate:
    """A device told something, or was lost.

    Attributes:
        device: The device's level in topics.
        event: What it told.
    """

    device: str
    event: DeviceEvent


DriverState: TypeAlias = Literal[
    "starting", "running", "failing", "parked", "removed", "ended"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverUpdate:
    """A system's driver does something else than before.

    Attributes:
        system: Name of the system.
        state: `"starting"`; `"running"`; `"failing"`: it, or a connection that its devices
            share, is tried again by itself; `"parked"`: not before a restart or a reload;
            `"removed"`: a reload has taken the system out of the configuration;
            `"ended"`: the gateway has, whatever was so before.
        reason: Why it fails; empty while it does not.
        at_utc: Since when.
    """

    system: str
    state: DriverState
    reason: str
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone:
    """A device has carried out a command from the broker.

    Attributes:
        device: The device's level in topics.
        entity: The entity's level in topics.
        payload: What was published.
        id: What the command was called by its sender; None if it was not.
    """

    device: str
    entity: str
    payload: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed:
    """A command from the broker was not carried out.

    Attributes:
        device: The device's level in topics, as it was written.
        entity: The entity's level in topics, as it was written; empty if what was
            published for a whole device names none.
        payload: What was published.
        error: Why not, as it was told on the error topic.
        id: What the command was called by its sender; None if it was not.
    """

    device: str
    entity: str
    payload: str
    error: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRefused:
    """The broker does not take what the gateway publishes on a topic, or subscribes to.

    Attributes:
        topic: The topic or the filter.
        reason: Why not, such as its permissions or a limit.
    """

    topic: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicAccepted:
    """The broker takes again what it has refused before.

    Attributes:
        topic: The topic or the filter.
    """

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksChanged:
    """A reload has brought other links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFailing:
    """The history cannot be written; all else goes on, and it is tried again.

    Attributes:
        reason: Why not, such as a full disk.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWritten:
    """The history is written, from the beginning or again."""


GatewayEvent: TypeAlias = (
    BrokerConnected
    | BrokerLost
    | DeviceUpdate
    | DriverUpdate
    | CommandDone
    | CommandFailed
    | TopicRefused
    | TopicAccepted
    | LinksChanged
    | HistoryFailing
    | HistoryWritten
)
