"""What Meross devices tell by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from structiot._device.device import BaseDevice
from structiot._kit.flow.mailbox import Mailbox
from structiot.meross.wire.envelope import Envelope
from structiot.model import DeviceInfo

__all__ = ["NoteBox", "Notification", "note_of"]

# Read, a long one may take twenty times its length; the longest that was seen has 4 kB.
_MOST_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message that nobody asked for: something has changed, or happened.

    Attributes:
        device: Which device told it.
        namespace: As on the wire, such as `"Appliance.Control.ToggleX"`.
        data: The payload, as on the wire; not shown, as it may hold what is secret.
        at_utc: When it came.
        wire_bytes: How long it was.
    """

    device: BaseDevice[DeviceInfo]
    namespace: str
    data: Mapping[str, object] = field(repr=False)
    at_utc: datetime
    wire_bytes: int = 0


class NoteBox(Mailbox[Notification]):
    """A mailbox that long notifications cannot fill with more than a megabyte."""

    __slots__ = ()

    def __init__(self, max_items: int, *, name: str = "notifications") -> None:
        super().__init__(
            max_items,
            name=name,
            max_bytes=_MOST_BYTES,
            size_of=lambda one: one.wire_bytes,
        )


def note_of(
    device: BaseDevice[DeviceInfo], envelope: Envelope, at_utc: datetime
) -> Notification:
    """Make a notification of the message that a device has sent."""
    return Notification(
        device=device,
        namespace=envelope.namespace,
        data=envelope.payload,
        at_utc=at_utc,
        wire_bytes=envelope.wire_bytes,
    )
