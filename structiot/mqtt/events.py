"""What happens to a client's connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from structiot.errors import StructiotError
from structiot.mqtt.wire.properties import ConnackProperties

__all__ = ["Connected", "ConnectionEvent", "Disconnected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker has accepted us.

    Attributes:
        session_present: Whether the broker remembered our session; if not, what was
            published while we were away is lost to us.
        limits: What the broker announced (MQTT 5.0).
        version: 4 for MQTT 3.1.1, 5 for 5.0.
        attempts: How many attempts it took.
    """

    session_present: bool
    limits: ConnackProperties
    version: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """There is no connection.

    Attributes:
        reason: Why, in one line that names host and port.
        error: The same as an error.
        attempt: How many attempts in a row have failed.
        retry_in_s: When the next attempt follows; None when there is none.
    """

    reason: str
    error: StructiotError | None
    attempt: int
    retry_in_s: float | None


ConnectionEvent: TypeAlias = Connected | Disconnected
