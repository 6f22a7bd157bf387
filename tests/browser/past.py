"""Two days of readings in a history's file, as devices would have told them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Occurred, Part, Stretch
from structiot.gateway.history.hours import HOUR_MS, ms_of
from structiot.gateway.history.recorded import Recorded, Value, recorded_of
from structiot.gateway.history.store import Batch, Store
from structiot.model import DeviceInfo, Entity, Event, State

MINUTE_MS = 60_000
LENGTH_MS = 48 * HOUR_MS
# How long ago, in hours. In the first gap the device was away, and in the middle of it
# there for a minute; in the second there was no gateway.
AWAY = (14.4, 12.0)
LONE = 13.2
OFF = (30.0, 28.5)
RESET = 6.5
MODES = ("auto", "eco", "boost")

Told = tuple[DeviceInfo, str, Sequence[Entity], dict[str, State]]
Curve = Callable[[float], Value]


def write_past(path: Path, devices: Iterable[Told], *, hours: float = 48.0) -> None:
    """Write what devices have told up to now: information, slug, entities, states."""
    end_ms = ms_of(datetime.now(UTC)) - 5_000
    begin_ms = end_ms - int(hours * HOUR_MS)
    curves = [
        curve
        for info, slug, entities, states in devices
        for entity in entities
        for curve in _curves(info, slug, entity, states.get(entity.key))
    ]
    store = Store(path)
    store.apply(Batch(parts=list(_parts(curves, begin_ms, end_ms))))
    store.close()


def _curves(
    info: DeviceInfo, slug: str, entity: Entity, state: State | None
) -> Iterator[tuple[RecordedSeries, Curve | None]]:
    def series(part: Recorded) -> RecordedSeries:
        return RecordedSeries(
            system=info.system,
            device=info.id,
            entity=f"{entity.key}{part[0]}",
            kind=part[1],
            unit=part[2],
            slug=slug,
            name=info.name or slug,
            label=entity.name or "",
        )

    if isinstance(entity, Event):
        yield series(("", "event", "", None)), None
    for part in recorded_of(entity, state):
        yield series(part), _CURVES[part[1]]


def _parts(
    curves: Sequence[tuple[RecordedSeries, Curve | None]], begin_ms: int, end_ms: int
) -> Iterator[Part]:
    """Give a part for each hour, and none while there was no gateway."""
    off_ms, on_ms = (end_ms - int(ago * HOUR_MS) for ago in OFF)
    at_ms = begin_ms
    while at_ms < end_ms:
        hour_ms = at_ms // HOUR_MS * HOUR_MS
        until_ms = min(hour_ms + HOUR_MS, end_ms)
        if off_ms <= at_ms < on_ms:
            at_ms = on_ms
            continue
        if at_ms < off_ms:
            until_ms = min(until_ms, off_ms)
        part = Part(Stretch(at_ms, hour_ms, hour_ms + HOUR_MS), at_ms, until_ms)
        for series, curve in curves:
            if curve is None:
                part.happened(Occurred(series, at_ms, "ring", "{}"))
            else:
                _tell(part, series, curve, end_ms)
        part.is_last = True
        yield part
        at_ms = until_ms


def _tell(part: Part, series: RecordedSeries, curve: Curve, end_ms: int) -> None:
    """Tell a reading a minute, where it has changed."""
    last: Value = None
    for at_ms in range(part.from_ms, part.until_ms, MINUTE_MS):
        ago = (end_ms - at_ms) / HOUR_MS
        is_away = AWAY[1] < ago < AWAY[0] and not LONE - 1 / 60 < ago <= LONE
        value = None if is_away else curve(ago)
        if value != last:
            part.add((series, at_ms, value))
            last = value


def _power(ago: float) -> float:
    swing = 220 * math.sin(ago / 24 * 2 * math.pi) + 60 * math.sin(ago * 1.9)
    return round(300 + swing + 12 * math.sin(ago * 15), 1)


def _energy(ago: float) -> float:
    """Count 0.3 kWh an hour, and from the reset on anew."""
    since = RESET if ago <= RESET else 100.0
    return round((since - ago) * 0.3, 3)


_CURVES: dict[str, Curve] = {
    "figure": _power,
    "energy": _energy,
    "switch": lambda ago: float(int(ago * 2) % 2),
    "text": lambda ago: MODES[int(ago / 2) % 3],
}
