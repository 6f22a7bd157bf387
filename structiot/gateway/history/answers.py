"""What a history answers: a course over time, energy by the bar, what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = [
    "EnergyBar",
    "EnergyHistory",
    "Happened",
    "Kind",
    "Period",
    "RecordedSeries",
    "Series",
]

Kind: TypeAlias = Literal["figure", "energy", "switch", "text", "event"]
Period: TypeAlias = Literal["hour", "day", "month"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSeries:
    """One figure or state of one device that the history has.

    Attributes:
        system: System of the device.
        device: `DeviceInfo.id` of the device: what it is known by, whatever its name.
        entity: Key of the entity; of one with several values, `lamp.brightness_percent`.
        kind: `"figure"`; `"energy"`, a counter; `"switch"`, 0 or 1; `"text"`; or
            `"event"`, which only happens.
        unit: Unit as Home Assistant writes it; empty if it has none.
        slug: Level in topics that the device had last.
        name: What people called the device last.
        label: What people call the entity; empty for the device's main feature.
        decimals: Decimals worth showing, where that is known.
    """

    system: str
    device: str
    entity: str
    kind: Kind
    unit: str = ""
    slug: str = field(default="", compare=False)
    name: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    decimals: int | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """How it is asked for: `<device>/<entity>`."""
        return f"{self.slug}/{self.entity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The course of a figure or a state; `None` where nothing was heard.

    Of raw readings the three figures of a point are the same. Where each point stands
    for a span of time, it begins at the point's time, `mean` is weighted by time, and
    between the bounds the figure has been. Both bounds are `None` together.

    Attributes:
        key: What was asked for.
        unit: Unit as Home Assistant writes it; None if it has none, or nothing is there.
        resolution_s: How much time a point stands for; 0 for raw readings.
        is_step: It keeps its value until the next, as a switch does: no slopes.
        t: Times, in seconds since 1970 UTC, rising.
        mean: The figure at each; of a switch 1 for on and 0 for off.
        min: The lowest of each span.
        max: The highest of each span.
        texts: Of a text what it was at each, and no figures; else None.
    """

    key: str
    unit: str | None = None
    resolution_s: int = 0
    is_step: bool = False
    t: tuple[float, ...] = ()
    mean: tuple[float | None, ...] = ()
    min: tuple[float | None, ...] = ()
    max: tuple[float | None, ...] = ()
    texts: tuple[str | None, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBar:
    """Energy that came in a span of time.

    Attributes:
        from_utc: Where it begins.
        until_utc: Where it ends.
        energy_wh: How much, in watt-hours, never below 0; None if nothing was heard.
        known_s: For how long something was heard.
    """

    from_utc: datetime
    until_utc: datetime
    energy_wh: float | None
    known_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyHistory:
    """Energy by hours, days or months of the house's calendar.

    Attributes:
        key: What was asked for.
        period: What a bar is.
        bars: One for each period, oldest first; energy of a gap is in none of them.
        gaps: Energy that a counter has gained while nobody heard it, one for each gap.
        resets: When a counter has begun anew.
    """

    key: str
    period: Period
    bars: tuple[EnergyBar, ...] = ()
    gaps: tuple[EnergyBar, ...] = ()
    resets: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that happened to a device.

    Attributes:
        entity: Key of the event entity.
        event_type: What happened.
        at_utc: When.
        data: What else was told of it.
    """

    entity: str
    event_type: str
    at_utc: datetime
    data: Mapping[str, object]
