"""What was noted last of each series of a device."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass

from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Stretch
from structiot.gateway.history.recorded import Value

__all__ = ["MOST_HAPPENED", "Known", "KnownDevice", "heard_ms"]

# One a second, for an hour: no button is pressed so often, and a file has an end.
MOST_HAPPENED = 3_600


@dataclass(slots=True)
class Known:
    """One series, and what was noted of it last.

    Attributes:
        series: It.
        key: Key of its entity.
        value: Its value; None while nothing is known.
        at_ms: When that was noted.
        stretch: In which it was noted.
    """

    series: RecordedSeries
    key: str
    value: Value = None
    at_ms: int = 0
    stretch: Stretch | None = None


class KnownDevice:
    """The series of one device.

    Attributes:
        by_name: All of them.
        by_key: Those of each entity.
    """

    __slots__ = ("_happened", "_hour_ms", "by_key", "by_name")

    def __init__(self) -> None:
        self.by_name: dict[str, Known] = {}
        self.by_key: dict[str, dict[str, Known]] = {}
        self._hour_ms: int | None = None
        self._happened = 0

    def may_happen(self, hour_ms: int) -> bool:
        """Count what happens; False if too much has in this hour."""
        if self._hour_ms != hour_ms:
            self._hour_ms, self._happened = hour_ms, 0
        self._happened += 1
        return self._happened <= MOST_HAPPENED

    def add(self, one: Known) -> None:
        """Add a series, in place of one of its name."""
        name = one.series.entity
        self.by_name[name] = self.by_key.setdefault(one.key, {})[name] = one

    def forget(self, keys: Container[str]) -> None:
        """Forget entities that it has no more and that nothing is known of."""
        for key, parts in list(self.by_key.items()):
            if key not in keys and all(one.value is None for one in parts.values()):
                del self.by_key[key]
                for name in parts:
                    del self.by_name[name]


def heard_ms(device: ServedDevice, key: str, now_ms: int) -> int:
    """Give until when a value is known."""
    silent_s = device.silent_s(key)
    if device.stale_after_s(key) is None or silent_s is None:
        return now_ms
    # Not in the future, and since when it is silent for ever is not known.
    silent_ms = max(0.0, silent_s * 1000)
    return now_ms - int(silent_ms) if math.isfinite(silent_ms) else now_ms
