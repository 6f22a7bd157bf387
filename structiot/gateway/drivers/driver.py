"""What a system offers the gateway: sources of devices, found or listed.

A driver names devices; the gateway opens them, keeps them open, tries again when
they are lost and shields each from the others. So a driver for a further system is
one file: a class for its section, and a `Source` for each device that it lists or finds.

A driver that raises is started again by a growing schedule, its reason said once and
shown on MQTT; its devices stay in care meanwhile. What cannot succeed is not repeated:
`AuthRefused` and `ConfigError` park whatever raised them, a driver, a device or a shared
connection, until a restart or a reload, and `RateLimited` is obeyed, that of a command
too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from structiot._kit.environment import Environment
from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.config.values import check_name
from structiot.gateway.drivers.shared_connection import SharedConnection
from structiot.model import (
    Availability,
    Device,
    DeviceInfo,
    Entity,
    Occurrence,
    State,
)

if TYPE_CHECKING:
    from structiot.gateway.config.links import LinkSection
    from structiot.gateway.events import GatewayEvent
    from structiot.gateway.links.foreign_topics import ForeignTopics
    from structiot.gateway.state_file import StateFile
    from structiot.gateway.status import DriverStatus

__all__ = [
    "DeviceRegistry",
    "Driver",
    "GatewayView",
    "ManagedDevice",
    "ServedDevice",
    "SimulatesDevices",
    "Source",
    "TellsStatus",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One device that the gateway shall keep open.

    Attributes:
        key: What tells it from the driver's other sources, at each start alike: its
            address, its uuid. Adding a key again replaces the source in its place.
        label: What it is and where, for people: `"strip at 192.168.1.100"`.
        open: Opens the device; called anew for each attempt.
        name: Its configured name; decides its topics.
        is_found: Found by a search, not listed by the user; what is listed has
            precedence if both are the same device.
        comes_by_itself: It dials in: it is opened when the driver adds it or calls
            `ManagedDevice.reopen`, and when it leaves it is absent, which is no failure.
            One that is configured is added before it has come, too, and its `open` then
            raises `LinkLost`: it is shown as unavailable.
        parent: The connection that it hangs on; it is opened only while that is open.
        settings: What of the configuration `open` goes by, to be compared: after a
            reload a source that is added with equal ones leaves its device undisturbed,
            one with others, or with None, has it opened anew.

    Raises:
        UsageError: A name that is no name of a device.
    """

    key: str
    label: str
    open: Callable[[], AbstractAsyncContextManager[Device]]
    name: str | None = None
    is_found: bool = False
    comes_by_itself: bool = False
    parent: SharedConnection[Any] | None = None
    settings: object = None

    def __post_init__(self) -> None:
        if self.name is not None:
            try:
                check_name(self.name)
            except ValueError as exc:
                raise UsageError(f"a device cannot be called so: {exc}") from None
        object.__setattr__(self, "label", printable(self.label, most=100))


class ManagedDevice(Protocol):
    """A device in the gateway's care, as a driver sees it."""

    @property
    def info(self) -> DeviceInfo | None:
        """Who it is; None until it was opened once."""
        ...

    @property
    def remembered_serial(self) -> str | None:
        """Serial of the device that its source led to, now or in an earlier run.

        A driver that finds this device at another address opens it there: a device is
        known by its identity, not by its address. None if it is not known.
        """
        ...

    @property
    def is_available(self) -> bool:
        """Whether it can be reached."""
        ...

    def reopen(self) -> None:
        """Close it and open it again at once, for instance at another address."""
        ...

    def release(self) -> None:
        """Give it up for good: close it and take it off the broker."""
        ...


class ServedDevice(Protocol):
    """A device in the gateway's care, as everybody sees it.

    Attributes:
        system: Whose driver named it.
    """

    system: str

    @property
    def info(self) -> DeviceInfo | None:
        """Who it is; None until it was opened once."""
        ...

    @property
    def name(self) -> str:
        """What people call it; may change."""
        ...

    @property
    def is_available(self) -> bool:
        """Whether it can be reached."""
        ...

    @property
    def availability(self) -> Availability:
        """Whether it can be reached, since when, and why not."""
        ...

    @property
    def entities(self) -> Mapping[str, Entity]:
        """What it has, by key."""
        ...

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one that it can have, by key."""
        ...

    @property
    def changed_at_utc(self) -> Mapping[str, datetime]:
        """Since when each of these is as it is."""
        ...

    @property
    def occurrences(self) -> Mapping[str, Occurrence]:
        """What happened last to each entity that something has happened to, by key."""
        ...

    def stale_after_s(self, key: str) -> float | None:
        """Say how old a state may be; None if the device tells by itself what changes."""
        ...

    def silent_s(self, key: str) -> float | None:
        """Give for how long an entity's state was not told; None if it never was."""
        ...

    async def carry_out(
        self, entity: str, payload: bytes, *, within_s: float | None = None
    ) -> None:
        """Carry out a command as if it were published on the entity's set topic.

        Raises:
            UnknownEntity: There is no such entity.
            UsageError: It takes no such command.
            LinkLost: The device is not available.
            CommandRefused: The device, or the gateway for it, has said no.
            CommandExpired: The time was over before its turn came, or before the device
                had confirmed it.
        """
        ...


class GatewayView(Protocol):
    """All that is in the gateway's care, for a driver that offers it elsewhere.

    Attributes:
        state: What outlasts a restart; a driver has the section of its system's name.
        foreign_topics: The way to topics of others on the gateway's broker.
    """

    state: StateFile
    foreign_topics: ForeignTopics

    @property
    def links(self) -> tuple[LinkSection, ...]:
        """The links in force; `LinksChanged` tells of others."""
        ...

    @property
    def devices(self) -> Mapping[str, ServedDevice]:
        """The devices that have a place in the topics, by that place."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[GatewayEvent]]:
        """Iterate over all that happens, what is known now first."""
        ...


class DeviceRegistry(Protocol):
    """The gateway, as a driver sees it."""

    @property
    def gateway(self) -> GatewayView:
        """All that is in the gateway's care, of whichever driver."""
        ...

    def failing(self, reason: str) -> None:
        """Show that the driver runs and yet does not do what it is there for.

        It is for what the driver itself tries again. An empty reason says that all is
        well again.
        """
        ...

    def add(self, source: Source) -> ManagedDevice:
        """Take a device into care until it is released or the gateway ends."""
        ...

    def started(self, *, keeps_found: bool = False) -> None:
        """Tell that all devices that are known from the beginning have been added.

        Called within a minute, or the driver is taken for hung and started again.
        Devices of an earlier start that were not added again by then are released.

        Args:
            keeps_found: Whether those stay that a search has found, as it will find
                them again.
        """
        ...

    def share(
        self, label: str, open_it: Callable[[], AbstractAsyncContextManager[T]]
    ) -> SharedConnection[T]:
        """Keep a connection open for many devices: an account, a hub, a server.

        It is opened at once and again whenever it is lost, until the driver ends; name
        it as `Source.parent` of the devices that hang on it.
        """
        ...


class Driver(Protocol):
    """One system's devices.

    Attributes:
        system: Name of the system, as in `DeviceInfo.system` and the entry point.
        section: Class of its section in the configuration.
    """

    system: ClassVar[str]
    section: ClassVar[type[SystemSection]]

    def __init__(self, section: Any, environment: Environment) -> None:  # noqa: ANN401 - its own class
        """Take the settings; made anew for each start, and nothing runs yet."""
        ...

    @property
    def finds_more(self) -> bool:
        """Whether devices may turn up that are not listed by name.

        If not, what an earlier run left on the broker and is not there any more, is
        taken off.
        """
        ...

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the devices, and look for more as long as the gateway runs.

        It may return when there is nothing more to do; its devices stay.
        """
        ...


class TellsStatus(Protocol):
    """What a driver has, too, if there is more to tell of it than its devices."""

    def status(self) -> DriverStatus:
        """Tell what it is connected to, what is limited, what waits; without secrets.

        Asked at any time after `run` was called; it neither waits nor raises.
        """
        ...


class SimulatesDevices(Protocol):
    """What a driver class has, too, if its system is to be seen in the demonstration.

    One whose `simulated` takes `day_s` as well is told there how many seconds a day takes.
    """

    @classmethod
    def simulated(
        cls, environment: Environment, *, count: int | None = None
    ) -> AbstractAsyncContextManager[Mapping[str, Any]]:
        """Simulate devices for the length of the block.

        Args:
            environment: Where they are.
            count: How many; the driver's choice if None.

        Yields:
            The section that leads to them, as it would stand in a file.
        """
        ...
