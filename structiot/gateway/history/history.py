"""What a gateway has of the past: asked by the page, by programs and by commands."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.environment import Environment, system_clock
from structiot._kit.flow.tasks import service_group
from structiot.errors import UsageError
from structiot.gateway.config.history import HistorySection
from structiot.gateway.drivers.driver import GatewayView
from structiot.gateway.events import GatewayEvent
from structiot.gateway.history.answers import (
    EnergyHistory,
    Happened,
    Period,
    Series,
)
from structiot.gateway.history.backlog import Backlog
from structiot.gateway.history.bars import energy_between, happened_to
from structiot.gateway.history.courses import recent_courses, series_between
from structiot.gateway.history.finding import Which
from structiot.gateway.history.hours import House, ms_of
from structiot.gateway.history.influxdb import InfluxSink
from structiot.gateway.history.lines import lines_of
from structiot.gateway.history.reader import Reader
from structiot.gateway.history.recorder import Recorder
from structiot.gateway.history.retention import Keep
from structiot.gateway.history.writer import Writer
from structiot.gateway.status import LinkStatus, StoreStatus

__all__ = ["History", "house_of"]

# Most readings that wait while nothing can be written.
_WAITING_BYTES = 8_000_000
_LEAVE_S = 10.0
_MOST_POINTS = 1_000
_MOST_BARS = 1_000
_MOST_KEYS = 20_000
_MOST_HOURS = 24.0
_PRUNE_S = 600.0
# There is nothing before, and a house's clock may not count on after these.
_FIRST_MS = ms_of(datetime(1970, 1, 2, tzinfo=UTC))
_LAST_MS = ms_of(datetime(9999, 1, 1, tzinfo=UTC))

_log = logging.getLogger(__name__)


def house_of(section: HistorySection, environment: Environment) -> House:
    """Give the clock of the house: the configured zone, else that of the clock."""
    if section.timezone is not None or environment.clock is system_clock:
        return House(section.timezone)
    return House(zone=environment.clock().tzinfo)


class History:
    """The history of a gateway; made by `open_gateway`, it is `Gateway.history`.

    Keys are `<device>/<entity>`, as in topics; `<device>/<entity>.<value>` for one value
    of an entity with several, such as `hall/lamp.brightness_percent`. A device is known by
    its identity: one that was renamed has its past under the new name. What the history
    has nothing of is an empty answer.

    Each question is answered in a worker thread, from what was written: the last commit
    is `commit_s` ago at most. It may be cancelled at any time.

    Attributes:
        path: Its file.
    """

    def __init__(
        self,
        path: Path,
        section: HistorySection,
        gateway: GatewayView,
        *,
        environment: Environment,
        emit: Callable[[GatewayEvent], None],
    ) -> None:
        self.path: Path = path
        self._section = section
        self._gateway = gateway
        self._environment = environment
        self._house = house_of(section, environment)
        self._life = anyio.CancelScope()
        self._ended: anyio.Event | None = None
        self._backlog = Backlog(_WAITING_BYTES)
        self._reader = Reader(path)
        self._writer = Writer(
            path,
            self._backlog,
            now_utc=environment.now_utc,
            random=environment.random,
            emit=emit,
        )
        self._recorder = Recorder(
            gateway,
            environment.now_utc,
            settings=lambda: self._section,
            house=lambda: self._house,
            backlog=self._backlog,
        )
        self._sending: anyio.CancelScope | None = None
        self._renew_sink()

    # ------------------------------------------------------------ its life

    async def run(self) -> None:
        """Note and write what devices tell, until cancelled."""
        self._ended = anyio.Event()
        try:
            with self._life:
                async with service_group() as tasks:
                    name = "structiot.gateway.noting"
                    tasks.start_soon(self._recorder.follow, name=name)
                    tasks.start_soon(self._send, name="structiot.gateway.influxdb")
                    await self._write()
        finally:
            self._ended.set()

    async def _write(self) -> None:
        looked_at = pruned_at = -math.inf
        while True:
            now = anyio.current_time()
            if now - looked_at >= self._section.heartbeat_s:
                looked_at = now
                await self._recorder.look()
            await self._recorder.cut()
            keep = self._keep() if now - pruned_at >= _PRUNE_S else None
            written = await self._writer.commit(keep)
            if written is not None and written.resume_ms is not None:
                self._recorder.resume(written.resume_ms)
            if written is not None and keep is not None:
                pruned_at = now
            wait_s = min(self._section.commit_s, self._section.heartbeat_s)
            with anyio.move_on_after(wait_s):
                await self._recorder.wanted.wait()

    async def _send(self) -> None:
        """Send readings elsewhere as well, as the settings have it."""
        while True:
            with anyio.CancelScope() as self._sending:
                if self._sink is None:
                    await anyio.sleep_forever()
                else:
                    await self._sink.run()

    def _renew_sink(self) -> None:
        section = self._section.influxdb
        self._sink: InfluxSink | None = None
        self._writer.lines_of = None
        if section is not None:
            measurement = section.measurement
            self._writer.lines_of = lambda parts: lines_of(parts, measurement)
            self._writer.store.most_outbox_bytes = int(section.most_mb * 1_000_000)
            self._sink = InfluxSink(
                section,
                self._reader,
                self._writer.sent.append,
                network=self._environment.network,
                random=self._environment.random,
            )
        if self._sending is not None:
            self._sending.cancel()

    def _keep(self) -> Keep:
        section, now_ms = self._section, ms_of(self._environment.now_utc())

        def since(days: int) -> int:
            return now_ms - days * 86_400_000

        return Keep(
            raw_ms=since(section.raw_days),
            fives_ms=since(section.five_minutes_days),
            hours_ms=since(section.hours_days) if section.hours_days else None,
        )

    async def leave(self) -> None:
        """Write what is noted and close the file, in ten seconds at most."""
        with anyio.move_on_after(_LEAVE_S, shield=True) as patience:
            self._life.cancel()
            if self._ended is not None:
                await self._ended.wait()
            self._recorder.finish()
            await self._writer.commit()
            await self._writer.close()
        if patience.cancelled_caught:
            text = "the history %s was not written after %g s"
            _log.warning(text, self.path, _LEAVE_S)

    def change(self, section: HistorySection) -> None:
        """Go by other settings, and try what was given up."""
        before, self._section = self._section, section
        if before.influxdb != section.influxdb:
            self._renew_sink()
        elif self._sink is not None:
            self._sink.try_again()
        self._house = house_of(section, self._environment)
        self._recorder.forget_filters()
        self._writer.try_again()

    # ------------------------------------------------------------ what is asked

    @property
    def timezone(self) -> str:
        """Name of the house's zone, in which hours and days begin."""
        return self._house.name

    def status(self) -> StoreStatus:
        """Tell how the file is."""
        return self._writer.status()

    def links(self) -> tuple[LinkStatus, ...]:
        """Tell where readings go as well, and whether that can be reached."""
        return () if self._sink is None else (self._sink.status(),)

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
        check_argument("key", key, str)
        check_argument("points", points, int)
        if not 1 <= points <= _MOST_POINTS:
            raise UsageError(f"points are 1 to {_MOST_POINTS:,}, not {points}")
        span, house = _range(from_utc, to_utc), self._house
        which = self._which(key, span)
        return await self._reader.ask(
            lambda one: series_between(one, which, points, house),
            Series(key=key),
        )

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
        wanted = list(keys)
        if not 0 < hours <= _MOST_HOURS or len(wanted) > _MOST_KEYS:
            message = f"{len(wanted)} keys, {hours:g} hours: too much, or nothing"
            raise UsageError(message)
        asked = [self._which(key) for key in wanted]
        end = ms_of(self._environment.now_utc())
        begin = end - int(hours * 3_600_000)
        nothing: dict[str, Series] = {}
        return await self._reader.ask(
            lambda one: recent_courses(one, asked, begin, end), nothing
        )

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
        check_argument("key", key, str)
        if period not in get_args(Period):
            raise UsageError(f"a period is hour, day or month, not {period!r}")
        begin, end = _range(from_utc, to_utc)
        which, house = self._which(key, (begin, end)), self._house
        shortest_ms = {"hour": 1, "day": 23, "month": 28 * 24}[period] * 3_600_000
        if (end - begin) // shortest_ms > _MOST_BARS:
            raise UsageError(f"these are more than {_MOST_BARS:,} {period}s")
        return await self._reader.ask(
            lambda one: energy_between(one, which, period, house),
            EnergyHistory(key=key, period=period),
        )

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
        check_argument("device", device, str)
        check_argument("limit", limit, int)
        if not 1 <= limit <= _MOST_POINTS:
            raise UsageError(f"limit is 1 to {_MOST_POINTS:,}, not {limit}")
        which = self._which(f"{device}/")
        nothing: tuple[Happened, ...] = ()
        return await self._reader.ask(
            lambda one: happened_to(one, which, limit), nothing
        )

    def _which(self, key: str, span: tuple[int, int] = (0, 0)) -> Which:
        slug, _, entity = key.partition("/")
        device = self._gateway.devices.get(slug)
        info = None if device is None else device.info
        identity = None if info is None else (info.system, info.id)
        return Which(key, slug, entity, identity, *span)


def _range(from_utc: datetime, to_utc: datetime) -> tuple[int, int]:
    for name, given in (("from_utc", from_utc), ("to_utc", to_utc)):
        check_argument(name, given, datetime)
        if given.tzinfo is None:
            raise UsageError(f"{name} needs a time zone: {given.isoformat()}")
    begin, end = (
        min(max(ms_of(one), _FIRST_MS), _LAST_MS) for one in (from_utc, to_utc)
    )
    if begin >= end:
        raise UsageError(f"a range ends after it begins: {from_utc} to {to_utc}")
    return begin, end
