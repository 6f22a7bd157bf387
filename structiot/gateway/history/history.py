"""What a gateway has of the past: asked by the page, by programs and by commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from structiot.gateway.history.answers import (
    EnergyHistory,
    Happened,
    Period,
    Series,
)
from structiot.gateway.status import StoreStatus

__all__ = ["History"]


class History:
    """The history of a gateway; made by `open_gateway`, it is `Gateway.history`.

    Keys are `<device>/<entity>`, as in topics; `<device>/<entity>.<value>` for one value
    of an entity with several, such as `hall/lamp.brightness_percent`. A device is known by
    its identity: one that was renamed has its past under the new name. What the history
    has nothing of is an empty answer.

    Each question is answered in a worker thread, on what was written and what was told
    since. It may be cancelled at any time.
    """

    @property
    def timezone(self) -> str:
        """Name of the house's zone, in which hours and days begin."""
        raise NotImplementedError

    def status(self) -> StoreStatus:
        """Tell how the file is."""
        raise NotImplementedError

    async def series(
        self, key: str, from_utc: datetime, to_utc: datetime, points: int = 1000
    ) -> Series:
        """Give the course of a figure or a state.

        Args:
            key: What is asked for.
            from_utc: Where it begins.
            to_utc: Where it ends.
            points: Most points, 1 to 1,000; how fine it is follows.

        Raises:
            UsageError: A range that ends before it begins, or other arguments that
                mean nothing.
            ReplyTimeout: The file did not answer in ten seconds.
            ConfigError: The file cannot be read now.
        """
        raise NotImplementedError

    async def recent(
        self, keys: Iterable[str], hours: float = 1.0
    ) -> Mapping[str, Series]:
        """Give the last hours of many figures, a point a minute, by one question.

        Args:
            keys: What is asked for; what has no figures is left out of the answer.
            hours: How much of the past, at most 24.

        Raises:
            UsageError: Arguments that mean nothing.
            ReplyTimeout: The file did not answer in ten seconds.
            ConfigError: The file cannot be read now.
        """
        raise NotImplementedError

    async def energy(
        self, key: str, from_utc: datetime, to_utc: datetime, period: Period = "day"
    ) -> EnergyHistory:
        """Give energy by hours, days or months of the house's calendar.

        It is what a counter has gained; of a figure in watts, its power for as long as
        it was heard.

        Args:
            key: What is asked for.
            from_utc: The first period is that in which this lies.
            to_utc: Where it ends.
            period: What a bar is; of hours at most 1,000, of others as well.

        Raises:
            UsageError: Arguments that mean nothing, or something that is no energy.
            ReplyTimeout: The file did not answer in ten seconds.
            ConfigError: The file cannot be read now.
        """
        raise NotImplementedError

    async def occurrences(self, device: str, limit: int = 100) -> tuple[Happened, ...]:
        """Give what happened to a device last, the latest first.

        Args:
            device: The device's level in topics.
            limit: How many, 1 to 1,000.

        Raises:
            UsageError: Arguments that mean nothing.
            ReplyTimeout: The file did not answer in ten seconds.
            ConfigError: The file cannot be read now.
        """
        raise NotImplementedError
