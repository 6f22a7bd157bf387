"""What can go wrong with devices that dial in, beyond the common errors."""

from __future__ import annotations

from structiot.errors import LinkLost, ProtocolViolation, ReplyTimeout

__all__ = ["ConnectionEnd", "FateUnknown", "InvalidInfo"]


class ConnectionEnd(LinkLost):
    """The connection to a device has ended, by whichever side; `reason` says why."""


class FateUnknown(ReplyTimeout):
    """Whether a message has arrived is not known, and will not be.

    Nothing was sent twice. Who sends it again may have it arrive twice.
    """


class InvalidInfo(ProtocolViolation):
    """What a device says of itself is no info, or not its own."""
