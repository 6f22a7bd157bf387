"""Somebody who notes readings for a store as a recorder does, and knows the truth of it.

The truth is kept moment by moment, as naively as can be: what was known in each, what a
counter has gained, and what the file had no room for in time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Part, Stretch
from structiot.gateway.history.hours import House
from structiot.gateway.history.recorded import Value
from structiot.gateway.history.store import Batch, Store

START_S = 1_767_225_600
# All happens at multiples of it, so that the truth has few moments.
TICK_S = 50
POWER = RecordedSeries(
    system="toy", device="P1", entity="power", kind="figure", unit="W"
)
RELAY = RecordedSeries(system="toy", device="P1", entity="relay", kind="switch")
METER = RecordedSeries(
    system="toy", device="P1", entity="meter", kind="energy", unit="Wh"
)
MODE = RecordedSeries(system="toy", device="P2", entity="mode", kind="text")


@dataclass
class Truth:
    """What a file has to hold."""

    known: dict[RecordedSeries, dict[int, Value]] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)
    gained: dict[int, float] = field(default_factory=dict)
    gaps: list[tuple[int, int, float]] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)


class Notebook:
    """Notes readings, cuts them into parts, and has them written."""

    def __init__(self, path: Path, zone: str = "UTC") -> None:
        self.path = path
        self.house = House(zone)
        self.store = Store(path)
        self.truth = Truth()
        self.now_s = START_S + 1800
        self.values: dict[RecordedSeries, Value] = {}
        self._part: Part | None = None
        self._waiting: list[Part] = []
        self._blocked: Stretch | None = None
        self._resume_s: int | None = None
        self._ended_s = 0
        self._stretch: Stretch | None = None
        self._meter: tuple[float, int] | None = None
        self._now_known: dict[RecordedSeries, Value] = {}

    # ------------------------------------------------------------ noted

    def _writing(self) -> Part:
        if self._part is None:
            at_ms = self.now_s * 1000
            house = self.house
            stretch = Stretch(at_ms, house.hour_of(at_ms), house.hour_end(at_ms))
            self._part = Part(stretch, at_ms, at_ms)
            for series, value in self.values.items():
                if value is not None:
                    self._part.add((series, at_ms, value))
        return self._part

    def tell(self, series: RecordedSeries, value: Value) -> None:
        part = self._writing()
        if self.values.get(series) != value:
            self.values[series] = value
            part.add((series, self.now_s * 1000, value))

    def wait(self, seconds: int) -> None:
        until_s = self.now_s + seconds
        while (end := self._writing().stretch.end_ms // 1000) <= until_s:
            self.now_s = end
            self.end()
        self.now_s = until_s
        if self._resume_s is not None and self.now_s >= self._resume_s:
            self.end()

    def _cut(self, *, is_last: bool = False) -> None:
        part = self._writing()
        part.until_ms = self.now_s * 1000
        part.is_last = is_last
        self._waiting.append(part)
        self._part = None
        if not is_last:
            self._part = Part(part.stretch, part.until_ms, part.until_ms)

    def end(self) -> None:
        self._resume_s = None
        self._cut(is_last=True)

    def jump(self, seconds: int) -> None:
        self.end()
        self.now_s += seconds

    def commit(self) -> None:
        if self._part is not None:
            self._cut()
        parts, self._waiting = self._waiting, []
        written = self.store.apply(Batch(parts=parts))
        lost = sum(self._live(part) for part in parts)
        assert written.lost == lost
        if written.resume_ms is not None:
            self._resume_s = written.resume_ms // 1000

    def crash(self, seconds: int) -> None:
        """End at once, and begin again later."""
        self.store.close()
        self.store = Store(self.path)
        self._part, self._waiting, self._resume_s = None, [], None
        self.now_s += seconds

    # ------------------------------------------------------------ the truth

    def _live(self, part: Part) -> int:
        """Go through a part moment by moment; give how many readings are lost."""
        begin, until = part.from_ms // 1000, part.until_ms // 1000
        if part.stretch is not self._stretch:
            self._stretch = part.stretch
            self._blocked = part.stretch if begin in self.truth.covered else None
            self._now_known = {}
            if begin < self._ended_s and self._blocked is None:
                self._meter = None
        told, lost = _by_second(part), 0
        for second in range(begin, until + 1, TICK_S):
            if second in self.truth.covered and self._blocked is not part.stretch:
                self._blocked = part.stretch
            rows = told.get(second, [])
            if self._blocked is part.stretch:
                lost += len(rows)
                if second < until:
                    self._widen_gap()
                continue
            for series, value in rows:
                self._now_known[series] = value
                if series is METER and isinstance(value, float):
                    self._count(value, second, part.stretch)
            if second < until:
                self._pass(second)
        return lost

    def _widen_gap(self) -> None:
        """Have the gap of the meter begin a moment earlier."""
        if self._meter is not None:
            self._meter = (self._meter[0], self._meter[1] - TICK_S)

    def _pass(self, second: int) -> None:
        truth = self.truth
        for series, value in self._now_known.items():
            if value is not None:
                truth.known.setdefault(series, {})[second] = value
        if self._now_known.get(METER) is not None and self._meter is not None:
            self._meter = (self._meter[0], second + TICK_S)
        truth.covered.add(second)
        self._ended_s = second + TICK_S

    def _count(self, value: float, second: int, stretch: Stretch) -> None:
        before, self._meter = self._meter, (value, second)
        if before is None or before[0] == value:
            return
        gained = value - before[0] if value >= before[0] else value
        if value < before[0]:
            self.truth.resets.append(second)
        if before[1] < second:
            if gained:
                self.truth.gaps.append((before[1], second, gained))
        else:
            hour = stretch.hour_ms // 1000
            self.truth.gained[hour] = self.truth.gained.get(hour, 0.0) + gained


def _by_second(part: Part) -> dict[int, list[tuple[RecordedSeries, Value]]]:
    told: dict[int, list[tuple[RecordedSeries, Value]]] = {}
    for series, at_ms, value in part.rows:
        told.setdefault(at_ms // 1000, []).append((series, value))
    return told
