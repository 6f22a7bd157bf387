"""What changed on a device: switches, and power beyond a threshold.

What is told is the difference from what was told last, not from the last poll: power
that creeps up is told as soon as it has crept far enough. A figure that is missing
from a reading changes nothing, and neither does a poll that fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.model import Reading

__all__ = ["Change", "ChangeBox", "PowerChanged", "StateChanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """A channel was switched, by whomever.

    Attributes:
        device: `DeviceInfo.id` of the device.
        channel: Channel, from 1; 0 is the whole device.
        is_on: Whether it is on now.
        previous: Whether it was on when this was told last.
        at_utc: When it was read; the change came between this reading and the one
            before.
    """

    device: str
    channel: int
    is_on: bool
    previous: bool
    at_utc: datetime

    @property
    def port(self) -> int:
        """The channel, in the word of power strips."""
        return self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerChanged:
    """The power of a channel changed by more than the threshold.

    Attributes:
        device: `DeviceInfo.id` of the device.
        channel: Channel, from 1; 0 is the whole device.
        power_w: Power now, in watts.
        previous_w: Power when this was told last, in watts.
        at_utc: When it was read.
    """

    device: str
    channel: int
    power_w: float
    previous_w: float
    at_utc: datetime

    @property
    def port(self) -> int:
        """The channel, in the word of power strips."""
        return self.channel

    @property
    def change_w(self) -> float:
        """How much it rose, in watts; negative if it fell."""
        return round(self.power_w - self.previous_w, 3)


Change: TypeAlias = StateChanged | PowerChanged


class ChangeBox(Mailbox[Change]):
    """The changes that wait for one watcher, who has a threshold of its own.

    Args:
        max_items: Changes that wait; the oldest are dropped and counted.
        min_power_w: Power has to differ by more than this, up or down.
        name: Whose changes, for the log.

    Raises:
        UsageError: `min_power_w` is no number, or less than 0.
    """

    __slots__ = ("_min_power_w", "_powers_w", "_states")

    def __init__(self, max_items: int, *, min_power_w: float, name: str) -> None:
        super().__init__(max_items, name=name)
        is_number = isinstance(min_power_w, int | float)
        if (
            not is_number
            or isinstance(min_power_w, bool)
            or not 0 <= min_power_w < math.inf
        ):
            message = f"min_power_w is 0 W or more, not {min_power_w!r}"
            raise UsageError(message)
        self._min_power_w = min_power_w
        self._states: dict[int, bool] = {}
        self._powers_w: dict[int, float] = {}

    def see(self, readings: Sequence[Reading]) -> None:
        """Put in what differs: all power first, then all states.

        What is seen for the first time is where it starts from.
        """
        for reading in readings:
            channel, power_w = reading.channel, reading.power_w
            if power_w is None:
                continue
            previous_w = self._powers_w.setdefault(channel, power_w)
            # Rounded, for 0.3 - 0.2 is a little less than 0.1.
            if round(abs(power_w - previous_w), 3) > self._min_power_w:
                self._powers_w[channel] = power_w
                self.put(
                    PowerChanged(
                        device=reading.device,
                        channel=channel,
                        power_w=power_w,
                        previous_w=previous_w,
                        at_utc=reading.at_utc,
                    )
                )
        for reading in readings:
            channel, is_on = reading.channel, reading.is_on
            if is_on is None:
                continue
            previous = self._states.setdefault(channel, is_on)
            if is_on is not previous:
                self._states[channel] = is_on
                self.put(
                    StateChanged(
                        device=reading.device,
                        channel=channel,
                        is_on=is_on,
                        previous=previous,
                        at_utc=reading.at_utc,
                    )
                )
