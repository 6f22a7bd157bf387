"""How a strip is at this moment."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.maxsmart.wire.messages import Transport

__all__ = ["StripHealth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StripHealth:
    """How a device is at this moment.

    Attributes:
        is_reachable: It answered, and it is the right one.
        latency_s: Seconds from the last question to its answer; None without one.
        transport: `"http"` or `"udp_v3"`.
        is_polled: Whether somebody watches it, so that it is polled.
        name: Its name.
        host: Its address.
        firmware: Its firmware.
        error: Why it is not reachable; None if it is.
    """

    is_reachable: bool
    latency_s: float | None
    transport: Transport
    is_polled: bool
    name: str
    host: str
    firmware: str | None
    error: str | None
