"""What changed on a strip: its ports' states, and their power beyond a threshold.

What is told is the difference from what was told last, not from the last poll: power
that creeps up is told as soon as it has crept far enough. A figure that is missing
from a poll changes nothing, and neither does a poll that fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.maxsmart.values import StripData

__all__ = ["ChangeWatch", "PowerChanged", "StateChanged", "StripChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """A port was switched, by whomever.

    Attributes:
        device: `StripInfo.id` of the strip.
        port: Port, from 1.
        is_on: Whether it is on now.
        previous: Whether it was on when this was told last.
        at_utc: When it was read; the change came between this poll and the one before.
    """

    device: str
    port: int
    is_on: bool
    previous: bool
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerChanged:
    """The power of a port changed by more than the threshold.

    Attributes:
        device: `StripInfo.id` of the strip.
        port: Port, from 1.
        power_w: Power now, in watts.
        previous_w: Power when this was told last, in watts.
        at_utc: When it was read.
    """

    device: str
    port: int
    power_w: float
    previous_w: float
    at_utc: datetime

    @property
    def change_w(self) -> float:
        """How much it rose, in watts; negative if it fell."""
        return round(self.power_w - self.previous_w, 3)


StripChange: TypeAlias = StateChanged | PowerChanged


class ChangeWatch:
    """Compares data with what was told last, for one watcher.

    Attributes:
        box: The changes that wait for the watcher.
    """

    def __init__(self, box: Mailbox[StripChange], min_power_w: float) -> None:
        is_number = isinstance(min_power_w, int | float)
        if (
            not is_number
            or isinstance(min_power_w, bool)
            or not 0 <= min_power_w < math.inf
        ):
            message = f"min_power_w is 0 W or more, not {min_power_w!r}"
            raise UsageError(message)
        self.box = box
        self._min_power_w = min_power_w
        self._states: dict[int, bool] = {}
        self._powers_w: dict[int, float] = {}

    def see(self, data: StripData) -> None:
        """Tell what differs; what is seen for the first time is where it starts from."""
        for power in self._power_changes(data):
            self.box.put(power)
        for state in self._state_changes(data):
            self.box.put(state)

    def _power_changes(self, data: StripData) -> Iterator[PowerChanged]:
        for port, power_w in enumerate(data.power_w, start=1):
            if power_w is None:
                continue
            previous_w = self._powers_w.setdefault(port, power_w)
            # Rounded, for 0.3 - 0.2 is a little less than 0.1.
            if round(abs(power_w - previous_w), 3) > self._min_power_w:
                self._powers_w[port] = power_w
                yield PowerChanged(
                    device=data.device,
                    port=port,
                    power_w=power_w,
                    previous_w=previous_w,
                    at_utc=data.at_utc,
                )

    def _state_changes(self, data: StripData) -> Iterator[StateChanged]:
        for port, is_on in enumerate(data.is_on, start=1):
            if is_on is None:
                continue
            previous = self._states.setdefault(port, is_on)
            if is_on is not previous:
                self._states[port] = is_on
                yield StateChanged(
                    device=data.device,
                    port=port,
                    is_on=is_on,
                    previous=previous,
                    at_utc=data.at_utc,
                )
