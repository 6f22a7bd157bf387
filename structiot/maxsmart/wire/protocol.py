"""Decisions without a wire: what is verified, who is who, what makes suspicious.

A strip never speaks by itself: everything known about it is the answer to a question,
and an address is no identity. After every silence, and where the data look like
another device's, the strip is first asked who it is, and nothing that another device
says is taken for its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from structiot.maxsmart.wire.messages import ALL_PORTS, DiscoveryReply, PortData

__all__ = [
    "VERIFY_AFTER_S",
    "DiscoveryDeduplicator",
    "Identity",
    "Suspicion",
    "has_jumped",
    "is_other_kind",
    "mismatched_ports",
    "suspicion_of",
]

Suspicion: TypeAlias = Literal["none", "some", "strong"]

# When to read back after a command: at once, then as long as a relay may lag.
VERIFY_AFTER_S: Final = (0.0, 0.3, 0.5, 1.0)

_JUMP_MW: Final = 5000.0
_JUMP_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells one device from another; None for what is not known."""

    serial: str | None = None
    mac: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anything to compare."""
        return self.serial is not None or self.mac is not None

    def is_other(self, reply: DiscoveryReply) -> bool:
        """Whether the reply comes from another device than this.

        The serial decides; the MAC does where a serial is unknown or unreadable.
        """
        if self.serial is not None and reply.serial is not None:
            return self.serial != reply.serial
        return self.mac is not None and reply.mac is not None and self.mac != reply.mac


def is_other_kind(before: PortData, after: PortData) -> bool:
    """Whether data cannot come from the same firmware as those before them.

    The number of ports and the way of writing figures are fixed in a firmware.
    """
    if len(before.switches) != len(after.switches):
        return True
    return before.style is not None and after.style not in {before.style, None}


def has_jumped(before: PortData, after: PortData) -> bool:
    """Whether power changed so much that it may be another device's.

    Loads are switched all the time, so it proves nothing, but it is worth a question
    that costs little. Smaller differences do no harm under a wrong name.
    """
    return any(
        (old is None) != (new is None)
        or (
            old is not None
            and new is not None
            and abs(new - old) > max(_JUMP_MW, _JUMP_SHARE * abs(old))
        )
        for old, new in zip(before.power_mw, after.power_mw, strict=False)
    )


def suspicion_of(before: PortData, after: PortData) -> Suspicion:
    """Judge data from a strip that nobody here has switched."""
    if before.switches != after.switches:
        # Somebody pressed a button, or it is no more the same strip.
        return "strong"
    return "some" if has_jumped(before, after) else "none"


def mismatched_ports(
    switches: Sequence[bool | None], port: int, *, is_on: bool
) -> tuple[int, ...]:
    """Give the ports that do not show what was asked of `port` (0: of all)."""
    return tuple(
        number
        for number, state in enumerate(switches, start=1)
        if port in {ALL_PORTS, number} and state is not is_on
    )


class DiscoveryDeduplicator:
    """Tells which answers to discovery are new: by serial, then MAC, then address.

    Args:
        max_devices: Answers beyond these are not believed; nobody has so many.
    """

    def __init__(self, *, max_devices: int = 4096) -> None:
        self.max_devices = max_devices
        self._serials: set[str] = set()
        # Value: whether the device of this MAC (address) gave its serial (any name).
        self._macs: dict[str, bool] = {}
        self._hosts: dict[str, tuple[bool, bool]] = {}
        self._count = 0

    def is_new(self, reply: DiscoveryReply, host: str) -> bool:
        """Note an answer and tell whether its device has not answered before."""
        if self._is_known(reply, host) or self._count >= self.max_devices:
            return False
        self._count += 1
        if reply.serial is not None:
            self._serials.add(reply.serial)
        if reply.mac is not None:
            self._macs[reply.mac] = reply.serial is not None
        self._hosts[host] = (reply.serial is not None, reply.mac is not None)
        return True

    def _is_known(self, reply: DiscoveryReply, host: str) -> bool:
        has_serial, has_mac = reply.serial is not None, reply.mac is not None
        if reply.serial in self._serials:
            return True
        if reply.mac in self._macs and not (has_serial and self._macs[reply.mac]):
            return True
        if host not in self._hosts:
            return False
        had_serial, had_mac = self._hosts[host]
        # The same address, and no name that both answers give: one device.
        return not (has_serial and had_serial) and not (has_mac and had_mac)
