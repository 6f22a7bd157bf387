"""Readings of one stretch of time, made into five minutes and hours. Pure.

A value holds from when it was told until the next is told, or until nothing is known any
more. Whoever feeds the same readings gets the same figures, however they are portioned:
so what a crash has left undone is made from the readings themselves.

A counter's gain counts where the reading that shows it was told. What it has gained
while nobody heard it stands by itself, over the whole gap; one that shows less than before
has begun anew.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from structiot.energy import EnergyTotal
from structiot.gateway.energy_totals import WH_OF
from structiot.gateway.history.hours import HOUR_MS, at_utc
from structiot.gateway.history.recorded import Value

__all__ = [
    "FIVE_MS",
    "Bucket",
    "Course",
    "Mark",
    "Meter",
    "merged",
    "packed",
    "unpacked",
]

FIVE_MS = 300_000
# Index, milliseconds, mean, lowest, highest, gained, resets.
_FIVE = struct.Struct("<BIddddH")
_MOST_PACKED = 12 * _FIVE.size


@dataclass(slots=True)
class Bucket:
    """What is known of one span of time.

    Attributes:
        known_ms: For how long there was a value.
        area: The sum of values, each by its milliseconds.
        low: The lowest; None if nothing is known.
        high: The highest.
        gained: What a counter has gained.
        resets: How often it began anew.
    """

    known_ms: int = 0
    area: float = 0.0
    low: float | None = None
    high: float | None = None
    gained: float = 0.0
    resets: int = 0

    @property
    def mean(self) -> float | None:
        """The mean by time, never beyond the bounds; None if nothing is known."""
        if not self.known_ms or self.low is None or self.high is None:
            return None
        return min(max(self.area / self.known_ms, self.low), self.high)

    def hold(self, value: float, ms: int) -> None:
        """Add a value for as long as it was."""
        self.known_ms += ms
        self.area += value * ms
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)

    def take(self, other: Bucket) -> None:
        """Add what is known of another part of the same span."""
        self.known_ms += other.known_ms
        self.area += other.area
        self.gained += other.gained
        self.resets += other.resets
        if other.low is not None and other.high is not None:
            self.low = other.low if self.low is None else min(self.low, other.low)
            self.high = other.high if self.high is None else max(self.high, other.high)


@dataclass(slots=True)
class Meter:
    """What a counter showed last.

    Attributes:
        counter: The figure.
        told_ms: When it was told first.
        until_ms: Until when it is known to have been so.
    """

    counter: float
    told_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Something about a counter that is in no bucket.

    Attributes:
        from_ms: Where a gap begins; when the counter began anew.
        until_ms: Where the gap ends; the same for a reset.
        gained: What came in the gap.
    """

    from_ms: int
    until_ms: int
    gained: float = 0.0


@dataclass(slots=True)
class Course:
    """One series in one stretch of time that lies within an hour of the house.

    Attributes:
        from_ms: Where the stretch begins.
        hour_ms: Where the hour begins.
        span_ms: The length of its buckets.
        unit: Unit of a counter; empty for anything else.
        meter: What the counter showed before, if it is one that counts on.
        buckets: What is known, by the number of the span within the hour.
        marks: What is in no bucket.
    """

    from_ms: int
    hour_ms: int
    span_ms: int = FIVE_MS
    unit: str = ""
    meter: Meter | None = None
    buckets: dict[int, Bucket] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    _value: Value = None
    _since_ms: int = 0

    def tell(self, at_ms: int, value: Value) -> None:
        """Take the next value; None where nothing is known from then on."""
        self.hold(at_ms)
        self._value = value
        self._since_ms = at_ms
        if self.unit and isinstance(value, int | float):
            self._count(float(value), at_ms)

    def hold(self, until_ms: int) -> None:
        """Let the value hold until then."""
        value, at_ms = self._value, self._since_ms
        if not isinstance(value, int | float) or until_ms <= at_ms:
            return
        self._since_ms = until_ms
        while at_ms < until_ms:
            number = (at_ms - self.hour_ms) // self.span_ms
            end_ms = min(until_ms, self.hour_ms + (number + 1) * self.span_ms)
            self._bucket(number).hold(value, end_ms - at_ms)
            at_ms = end_ms
        if self.meter is not None:
            self.meter.until_ms = until_ms

    def _bucket(self, number: int) -> Bucket:
        return self.buckets.setdefault(number, Bucket())

    def _count(self, counter: float, at_ms: int) -> None:
        before = self.meter
        if before is None or before.until_ms > at_ms:
            self.meter = Meter(counter, at_ms, at_ms)
            return
        if counter == before.counter:
            before.until_ms = at_ms
            return
        self.meter = Meter(counter, at_ms, at_ms)
        wh = WH_OF.get(self.unit, 1.0)
        total = EnergyTotal(
            0.0, counter_wh=before.counter * wh, at_utc=at_utc(before.told_ms)
        )
        gained = (total.add(counter * wh, at_utc(at_ms)) or 0.0) / wh
        number = min(at_ms - self.hour_ms, HOUR_MS - 1) // self.span_ms
        if counter < before.counter:
            self._bucket(number).resets += 1
            self.marks.append(Mark(at_ms, at_ms))
        if before.until_ms < at_ms:
            if gained:
                self.marks.append(Mark(before.until_ms, at_ms, gained))
        else:
            self._bucket(number).gained += gained

    def whole(self) -> Bucket:
        """Give all of it as one."""
        found = Bucket()
        for bucket in self.buckets.values():
            found.take(bucket)
        return found


def merged(one: dict[int, Bucket], other: dict[int, Bucket]) -> dict[int, Bucket]:
    """Put two parts of one hour together; the first is changed."""
    for number, bucket in other.items():
        one.setdefault(number, Bucket()).take(bucket)
    return one


def packed(fives: dict[int, Bucket]) -> bytes:
    """Write the five minutes of an hour as few bytes."""
    plain = b"".join(
        _FIVE.pack(
            number,
            one.known_ms,
            one.area / one.known_ms if one.known_ms else 0.0,
            0.0 if one.low is None else one.low,
            0.0 if one.high is None else one.high,
            one.gained,
            min(one.resets, 0xFFFF),
        )
        for number, one in sorted(fives.items())
    )
    return zlib.compress(plain, 1)


def unpacked(data: object) -> dict[int, Bucket]:
    """Read what `packed` has written; nothing of what is something else."""
    found: dict[int, Bucket] = {}
    if not isinstance(data, bytes):
        return found
    try:
        plain = zlib.decompressobj().decompress(data, _MOST_PACKED)
        for number, ms, mean, low, high, gained, resets in _FIVE.iter_unpack(plain):
            bucket = Bucket(ms, mean * ms, gained=gained, resets=resets)
            if ms:
                bucket.low, bucket.high = low, high
            found[number] = bucket
    except (zlib.error, struct.error):
        # The hour itself is still told by its row.
        return {}
    return found
