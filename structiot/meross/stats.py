"""What was asked of devices lately, and what became of it: counted, and bounded."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, NamedTuple, TypeAlias

import anyio

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError

__all__ = ["Call", "CallCounts", "CallStats", "Stats", "Transport"]

Transport: TypeAlias = Literal["lan", "cloud"]
"""The way that a call took: straight to the device, or through a broker."""

_A_MINUTE = timedelta(minutes=1)


class Call(NamedTuple):
    """One message to a device; a batch is one.

    Attributes:
        device: Its uuid.
        namespace: Such as `"Appliance.Control.ToggleX"`.
        method: `"GET"`, `"SET"` or `"PUSH"`.
        transport: The way that it took, or was to take.
        label: What messages to people call the device; its uuid if that is empty.
    """

    device: str
    namespace: str
    method: str
    transport: Transport
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCounts:
    """How many calls there were, in all and by what.

    Attributes:
        total: In all.
        by_device: By uuid.
        by_namespace: By namespace.
        by_method: By method.
        by_transport: By the way that they took.
    """

    total: int = 0
    by_device: Mapping[str, int] = field(default_factory=dict)
    by_namespace: Mapping[str, int] = field(default_factory=dict)
    by_method: Mapping[str, int] = field(default_factory=dict)
    by_transport: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStats:
    """What became of the calls of a span of time.

    Attributes:
        time_window: How far it reaches back.
        performed: Tried, whatever came of it, also where nobody was reached.
        delayed: Sent, but not before they had to wait for the budget.
        dropped: Not sent, for the budget.
        timed_out: Sent, and not answered in time.
    """

    time_window: timedelta
    performed: CallCounts
    delayed: CallCounts
    dropped: CallCounts
    timed_out: CallCounts


class Stats:
    """Counts calls as they happen; call it to have those of the last minute.

    Args:
        max_calls: How many calls of each kind are remembered, at least 1,000.
        now: Tells the time in seconds; anyio's by default.
    """

    def __init__(
        self,
        max_calls: int = 4_096,
        *,
        now: Callable[[], float] = anyio.current_time,
    ) -> None:
        if max_calls < 1_000:
            raise UsageError(f"at least 1000 calls are remembered, not {max_calls}")
        self._now = now
        self._performed, self._delayed, self._dropped, self._timed_out = (
            deque[tuple[float, Call]](maxlen=max_calls) for _ in range(4)
        )

    def performed(self, call: Call) -> None:
        """A call is being tried."""
        self._performed.append((self._now(), call))

    def delayed(self, call: Call) -> None:
        """A call has waited for the budget and may be sent now."""
        self._delayed.append((self._now(), call))

    def dropped(self, call: Call) -> None:
        """A call is not sent."""
        self._dropped.append((self._now(), call))

    def timed_out(self, call: Call) -> None:
        """A call was not answered."""
        self._timed_out.append((self._now(), call))

    def __call__(self, time_window: timedelta = _A_MINUTE) -> CallStats:
        """Count the calls of a span of time until now.

        Args:
            time_window: How far to reach back.

        Raises:
            UsageError: A span of nothing, or less.
        """
        check_argument("time_window", time_window, timedelta)
        if time_window <= timedelta():
            raise UsageError(f"time_window is more than nothing, not {time_window}")
        since = self._now() - time_window.total_seconds()
        return CallStats(
            time_window=time_window,
            performed=_counts(self._performed, since),
            delayed=_counts(self._delayed, since),
            dropped=_counts(self._dropped, since),
            timed_out=_counts(self._timed_out, since),
        )


def _counts(ring: deque[tuple[float, Call]], since: float) -> CallCounts:
    calls: list[Call] = []
    for at, call in reversed(ring):
        if at <= since:
            break
        calls.append(call)
    return CallCounts(
        total=len(calls),
        by_device=Counter(call.device for call in calls),
        by_namespace=Counter(call.namespace for call in calls),
        by_method=Counter(call.method for call in calls),
        by_transport=Counter(call.transport for call in calls),
    )
