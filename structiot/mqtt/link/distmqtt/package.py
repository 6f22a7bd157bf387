"""What the engine uses of the package distmqtt 0.35.2, as types.

The package has none of its own; these protocols are all that we rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from anyio.abc import TaskGroup

__all__ = ["Package", "PackageMessage", "PackageSession", "Parts"]


class PublishPacket(Protocol):
    """A PUBLISH as the package has received it."""

    @property
    def data(self) -> bytes | bytearray:
        """The payload."""
        ...

    @property
    def retain_flag(self) -> bool:
        """Whether it is a retained message."""
        ...


class PackageMessage(Protocol):
    """A message on its way in or out, with the packets of its flow."""

    @property
    def topic(self) -> str:
        """The topic name."""
        ...

    @property
    def qos(self) -> int:
        """The quality of service."""
        ...

    @property
    def publish_packet(self) -> PublishPacket:
        """The PUBLISH."""
        ...

    @property
    def puback_packet(self) -> object | None:
        """The PUBACK of a QoS 1 flow that has ended well."""
        ...

    @property
    def pubcomp_packet(self) -> object | None:
        """The PUBCOMP of a QoS 2 flow that has ended well."""
        ...


class PackageSession(Protocol):
    """The package's session of one connection."""

    @property
    def next_packet_id(self) -> int:
        """Take the next packet id."""
        ...

    async def get_next_message(self) -> PackageMessage:
        """Wait for the next message that was received."""
        ...


class Package(Protocol):
    """The package's client, and how to close its connection without a goodbye."""

    @property
    def session(self) -> PackageSession | None:
        """The session; None before `connect`."""
        ...

    async def connect(self, *, extra_headers: Sequence[tuple[bytes, bytes]]) -> int:
        """Connect to `config["broker"]`."""
        ...

    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        ...

    async def cut(self) -> None:
        """Close the connection as it is."""
        ...

    async def free(self) -> None:
        """Close what the package leaves open in memory."""
        ...

    async def ping(self) -> None:
        """Send PINGREQ and wait for the PINGRESP."""
        ...

    async def publish(
        self, topic: str, message: bytes, *, qos: int, retain: bool
    ) -> PackageMessage:
        """Publish, and wait for the end of the flow or of the connection."""
        ...

    async def subscribe(self, topics: Sequence[tuple[str, int]]) -> Sequence[int]:
        """Subscribe; give the codes of the SUBACK."""
        ...

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Unsubscribe and wait for the UNSUBACK."""
        ...

    async def deliver_message(self) -> PackageMessage | None:
        """Wait for a message; None when the connection has ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of the package has to be imported.

    Attributes:
        make_client: Makes its client of a task group, a client id and settings.
        connect_error: What it raises when there is no connection.
        refused: What it raises for a message that it does not send.
    """

    make_client: Callable[[TaskGroup, str, dict[str, Any]], Package]
    connect_error: type[Exception]
    refused: tuple[type[Exception], ...]
