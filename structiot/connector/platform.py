"""What the connector asks of a platform: one face for SEPL and SENERGY.

A platform is made from the configuration and holds nothing open; each connection is a
`Session`. Whoever implements them gets the environment and a function that stores the
gateway's id when it is made: SEPL's `gid`, SENERGY's hub id. Commands come by a function
that never waits, and a session calls nothing else of the connector's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from structiot._kit.flow.backoff import Backoff
    from structiot.connector.device import Device
    from structiot.connector.errors import PlatformRefused

__all__ = ["Incoming", "Platform", "PlatformResponse", "Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A command as a platform has sent it.

    Attributes:
        device_id: For which device: the id that the user gave it, without a prefix.
        service: For which of its services.
        parts: What is asked, by the names of the protocol's parts: `data`, `metadata`
            and whatever else the device type's protocol has; None where nothing was said.
        raw: What the platform wants back to know which command is answered; opaque.
        size_bytes: What it takes in memory, about.
        received_at: `anyio.current_time()` when it came.
    """

    device_id: str
    service: str
    parts: Mapping[str, str | None]
    raw: Mapping[str, Any] = field(repr=False)
    size_bytes: int
    received_at: float


@dataclass(frozen=True, slots=True)
class PlatformResponse:
    """How a platform answers an event that it has taken.

    Attributes:
        status: 200; what a platform refuses is `PlatformRefused`.
        content_type: What kind of value the payload is, such as `string`; empty where a
            platform does not say.
        payload: What it says; `ok` or None.
    """

    status: int
    content_type: str
    payload: Any


class Session(Protocol):
    """One connection, authenticated; made by `Platform.session`.

    Several tasks may call at once. Each call has a deadline of its own, and what is not
    answered by then is `ReplyTimeout`; the session ends with it, as nobody knows what
    the platform has done. Cancelled, a call may have had its effect.

    Each raises:
        PlatformRefused: The platform says no; the session lives on.
        LinkLost: The connection has ended; of all calls that wait, at once.
        ReplyTimeout: The platform has not answered in time.
    """

    async def synchronise(
        self, devices: Sequence[Device]
    ) -> Mapping[str, PlatformRefused]:
        """Bring the platform to where we are, and have commands for the devices come.

        Compares first: nothing is sent where all is alike.

        Returns:
            Which devices it refuses, by id, and why; the others are offered
            nevertheless. What is committed then is without them, so that the next
            session finds that something is missing.
        """
        ...

    async def put(self, device: Device) -> None:
        """Add a device or change it; commands for it come from then on."""
        ...

    async def disconnect(self, device_id: str) -> None:
        """Have no more commands come for a device, which stays at the platform, offline."""
        ...

    async def delete(self, device_id: str) -> None:
        """Remove a device from the platform."""
        ...

    async def commit(self) -> None:
        """Close one change or several: these are the gateway's devices now.

        They are those that the platform was told of in this session, as they were told:
        what was broken off, or never told, differs from what the next session compares.
        """
        ...

    async def event(
        self, device_id: str, service: str, data: str | None, metadata: str | None
    ) -> PlatformResponse:
        """Hand over a reading.

        Args:
            device_id: Of which device.
            service: Of which of its services.
            data: The protocol's part of that name.
            metadata: That one; None for none.
        """
        ...

    async def respond(
        self, incoming: Incoming, data: str | None, metadata: str | None
    ) -> None:
        """Answer a command, also one of an earlier session."""
        ...

    async def fail(self, incoming: Incoming, text: str) -> None:
        """Answer a command by saying that it has failed, and why.

        SEPL: the parts with metadata `error: <text>`, since its responses carry no
        status. SENERGY: its error topic.
        """
        ...

    async def wait_lost(self) -> None:
        """Wait until the connection has ended.

        Raises:
            LinkLost: It has ended.
            ReplyTimeout: Because the platform did not answer.
            StructiotError: What else ended it. It never returns.
        """
        ...


class Platform(Protocol):
    """A platform as it was configured.

    Attributes:
        name: `sepl` or `senergy`, host and port: for messages.
        gid: The gateway that we are there; empty until there is one.
        backoff: How long to wait between connections.
    """

    name: str
    gid: str
    backoff: Backoff

    def check_event(
        self, device_id: str, service: str, *, is_held: bool, was_held: bool
    ) -> None:
        """Look whether an event may be kept until there is a session.

        Args:
            device_id: Of which device.
            service: Of which of its services.
            is_held: Whether the device manager has the device.
            was_held: Whether it has, or had it, and has not had it deleted.

        Raises:
            PlatformRefused: A session would refuse it without asking the platform.
        """
        ...

    def session(
        self,
        on_command: Callable[[Incoming], None],
        on_authenticating: Callable[[], None],
    ) -> AbstractAsyncContextManager[Session]:
        """Connect and authenticate.

        Leaving the block says goodbye and closes the connection, in bounded time.

        Args:
            on_command: Called at once for each command that comes, also before
                authentication has ended.
            on_authenticating: Called once, when there is a connection.

        Raises:
            ConnectFailed: Nobody is there, or it is no platform.
            AuthRefused: It refuses the credentials. The connector asks twice more before
                it takes that for final, unless `code` is set: then it was said in words.
            LinkLost: The connection ended meanwhile.
            ReplyTimeout: It has not answered in time.
            ProtocolViolation: What it says makes no sense.
            ConfigError: Settings that cannot work.
        """
        ...
