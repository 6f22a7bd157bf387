"""Decisions without a wire: when to poll, who is away, what is verified, who is who.

A strip never speaks by itself: everything known about it is the answer to a poll.
The official app asks every 5 seconds, and after a command every 2 seconds for four
cycles (*captured* by the authors of the original package); we do the same, on a grid
that does not drift. A strip answers one request at a time and may be deaf for
seconds, so one failed poll says little: it is away after several in a row
(*experience* of the Home Assistant integration), and is then asked less and less
often by a schedule that the caller draws. An address is no identity: after every
silence, and where the data look like another device's, the strip is first asked who
it is, and nothing that another device says is taken for its data.

Times are seconds of one monotonic clock and come in as `now`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from structiot.maxsmart.wire.messages import ALL_PORTS, DiscoveryReply, PortData

__all__ = [
    "VERIFY_AFTER_S",
    "DiscoveryDeduplicator",
    "Identity",
    "PollSchedule",
    "Reachability",
    "Verdict",
    "has_jumped",
    "is_other_kind",
    "mismatched_ports",
]

# When to read back after a command: at once, then as long as a relay may lag.
VERIFY_AFTER_S: Final = (0.0, 0.3, 0.5, 1.0)

_JUMP_MW: Final = 5000.0
_JUMP_SHARE: Final = 0.25


class PollSchedule:
    """Ticks at a steady pace, quicker for some cycles after a command.

    The grid does not drift: how long a poll takes does not move the next. Ticks that
    were missed (a slow strip, a suspended computer) are left out, not caught up on.

    Args:
        poll_s: Seconds from tick to tick.
        burst_s: The same after a command; never slower than `poll_s`.
        burst_polls: How many ticks after a command come at the quicker pace.

    Attributes:
        next_at: When the next poll is due.
    """

    def __init__(
        self, *, poll_s: float = 5.0, burst_s: float = 2.0, burst_polls: int = 4
    ) -> None:
        self.poll_s: float = poll_s
        self.burst_s: float = min(burst_s, poll_s)
        self.burst_polls = burst_polls
        self.next_at: float = math.inf
        self._burst_left = 0

    @property
    def is_burst(self) -> bool:
        """Whether the next tick is one of those after a command."""
        return self._burst_left > 0

    def begin(self, now: float) -> None:
        """Poll at once, then steadily."""
        self.next_at = now
        self._burst_left = 0

    def stop(self) -> None:
        """Poll no more."""
        self.next_at = math.inf
        self._burst_left = 0

    def tick(self, now: float) -> None:
        """Note that the poll that was due is made now."""
        self._burst_left = max(0, self._burst_left - 1)
        pace_s = self.burst_s if self.is_burst else self.poll_s
        due_at = min(self.next_at, now) + pace_s
        if due_at <= now:
            due_at += math.floor((now - due_at) / pace_s + 1) * pace_s
            if due_at <= now:
                # Rounded to this very tick, which is being made.
                due_at += pace_s
        self.next_at = due_at

    def commanded(self, now: float) -> None:
        """Note a command: the quicker pace begins (anew) from here."""
        if self.next_at < math.inf and self.burst_polls > 0:
            self._burst_left = self.burst_polls
            self.next_at = now + self.burst_s

    def retry(self, now: float, delay_s: float) -> None:
        """Poll after a delay of its own, because the last poll failed."""
        if self.next_at < math.inf:
            self._burst_left = 0
            self.next_at = now + delay_s

    def hurry(self, now: float) -> None:
        """Poll at once, because something is worth finding out."""
        self.next_at = min(self.next_at, now) if self.next_at < math.inf else math.inf


class Verdict(Enum):
    """What a poll changed about the availability of a strip."""

    AS_BEFORE = auto()
    WENT_AWAY = auto()
    CAME_BACK = auto()


class Reachability:
    """Judges from the outcome of polls whether a strip is there.

    Args:
        offline_after: Failures in a row that make it away.

    Attributes:
        is_available: The present judgement; a strip that was opened is there.
        failures: Failures in a row.
        away_since: When it went away; None while it is there.
        must_identify: It has been silent: ask who it is before trusting its data.
    """

    def __init__(self, *, offline_after: int = 3) -> None:
        self.offline_after = offline_after
        self.is_available: bool = True
        self.failures: int = 0
        self.away_since: float | None = None
        self.must_identify: bool = False

    def succeeded(self) -> Verdict:
        """Note an answer from the right strip."""
        was_available, self.is_available = self.is_available, True
        self.failures = 0
        self.away_since = None
        self.must_identify = False
        return Verdict.AS_BEFORE if was_available else Verdict.CAME_BACK

    def failed(self, now: float, *, is_certain: bool = False) -> Verdict:
        """Note a failure; a certain one (another device) needs no second."""
        self.failures += 1
        self.must_identify = True
        if not self.is_available:
            return Verdict.AS_BEFORE
        if self.failures < self.offline_after and not is_certain:
            return Verdict.AS_BEFORE
        self.is_available = False
        self.away_since = now
        return Verdict.WENT_AWAY


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
