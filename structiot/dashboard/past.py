"""What the page asks of a gateway's history, where it has one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, cast

from structiot.gateway import Gateway
from structiot.gateway.status import StoreStatus

__all__ = ["Bar", "Energy", "Happened", "Past", "Period", "Series", "past_of"]


class Series(Protocol):
    """The course of a figure or a state; None where nothing was heard."""

    @property
    def unit(self) -> str | None:
        """Its unit."""
        ...

    @property
    def resolution_s(self) -> int:
        """How far apart its points are; 0 for what was heard as it was."""
        ...

    @property
    def is_step(self) -> bool:
        """Whether it keeps its value until the next."""
        ...

    @property
    def t(self) -> Sequence[float]:
        """Seconds of the epoch."""
        ...

    @property
    def mean(self) -> Sequence[float | None]:
        """The figure at each."""
        ...

    @property
    def min(self) -> Sequence[float | None]:
        """The lowest of each."""
        ...

    @property
    def max(self) -> Sequence[float | None]:
        """The highest of each."""
        ...

    @property
    def texts(self) -> Sequence[str | None] | None:
        """Of a text what it was."""
        ...


Period: TypeAlias = Literal["hour", "day", "month"]


class Bar(Protocol):
    """Energy that came in a span of time."""

    @property
    def from_utc(self) -> datetime:
        """Where it begins."""
        ...

    @property
    def until_utc(self) -> datetime:
        """Where it ends."""
        ...

    @property
    def energy_wh(self) -> float | None:
        """How much; None if nothing was heard."""
        ...


class Energy(Protocol):
    """Energy by hours, days or months."""

    @property
    def bars(self) -> Sequence[Bar]:
        """One for each period."""
        ...

    @property
    def gaps(self) -> Sequence[Bar]:
        """What came while nobody heard it."""
        ...

    @property
    def resets(self) -> Sequence[datetime]:
        """When a counter has begun anew."""
        ...


class Happened(Protocol):
    """Something that happened to a device."""

    @property
    def entity(self) -> str:
        """To which of its entities."""
        ...

    @property
    def event_type(self) -> str:
        """What happened."""
        ...

    @property
    def at_utc(self) -> datetime:
        """When."""
        ...


class Past(Protocol):
    """A history."""

    def status(self) -> StoreStatus:
        """Tell how its file is."""
        ...

    async def series(
        self, key: str, from_utc: datetime, to_utc: datetime, points: int = 1000
    ) -> Series:
        """Give the course of `<device>/<entity>`."""
        ...

    async def energy(
        self, key: str, from_utc: datetime, to_utc: datetime, period: Period = "day"
    ) -> Energy:
        """Give what a counter has gained."""
        ...

    async def recent(
        self, keys: Iterable[str], hours: float = 1.0
    ) -> Mapping[str, Series]:
        """Give the last hours of many figures."""
        ...

    async def occurrences(self, device: str, limit: int = 100) -> Sequence[Happened]:
        """Give what happened to a device, the latest first."""
        ...


def past_of(gateway: Gateway) -> Past | None:
    """Give the history of a gateway; None where it has none."""
    return cast("Past | None", getattr(gateway, "history", None))
