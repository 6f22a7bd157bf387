"""Follows a gateway, and notes what is told and what is not heard any more.

Each change is noted when it comes. By a heartbeat is looked whether what was told last
is still heard: a value that is older than its device allows, or whose device is away, is
known no longer than it was heard. A stretch of time ends with the hour, when the clock
jumps, and when readings were lost; the next says everything anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import TypeAlias

import anyio
import anyio.lowlevel

from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable
from structiot.errors import InternalError
from structiot.gateway.config.history import HistorySection
from structiot.gateway.drivers.driver import GatewayView, ServedDevice
from structiot.gateway.events import DeviceUpdate
from structiot.gateway.history.backlog import Backlog, Occurred, Part, Stretch
from structiot.gateway.history.hours import House, ms_of
from structiot.gateway.history.known import (
    MOST_HAPPENED,
    Known,
    KnownDevice,
    heard_ms,
)
from structiot.gateway.history.recorded import Recorded, Value, recorded_of, series_of
from structiot.gateway.isolation import called
from structiot.gateway.values import is_stale
from structiot.model import (
    Availability,
    EntitiesChanged,
    Entity,
    Event,
    Occurrence,
    StateChange,
)

__all__ = ["Recorder"]

# By how much a clock is set before time is no longer taken to have passed.
_JUMP_MS = 1_000
_A_TURN = 256
_MOST_DATA = 4_096
_MOST_TYPE = 255
# How much of the room for what waits one stretch may take.
_SHARE = 8

_log = logging.getLogger(__name__)

Identity: TypeAlias = tuple[str, str]


class Recorder:
    """Notes what a gateway's devices tell.

    Args:
        gateway: Whose devices.
        now_utc: The clock.
        settings: Which series, as it is now.
        house: Where hours begin, as it is now.
        backlog: Where it is noted.
    """

    def __init__(
        self,
        gateway: GatewayView,
        now_utc: Callable[[], datetime],
        settings: Callable[[], HistorySection],
        house: Callable[[], House],
        backlog: Backlog,
    ) -> None:
        self.wanted: anyio.Event = anyio.Event()
        self._gateway = gateway
        self._now_utc = now_utc
        self._settings = settings
        self._house = house
        self._backlog = backlog
        self._known: dict[Identity, KnownDevice] = {}
        self._warnings = RareLines(_log, anyio.current_time)
        self._part: Part | None = None
        self._is_whole = True
        self._stretch_bytes = 0
        self._last_ms = 0
        self._offset_ms: float | None = None
        self._resume_ms: int | None = None
        self._kept: dict[str, bool] = {}

    async def follow(self) -> None:
        """Note what happens, until cancelled."""
        async with self._gateway.events() as events:
            async for event in events:
                if isinstance(event, DeviceUpdate):
                    self._followed(event)

    def forget_filters(self) -> None:
        """Go by other patterns of keys from now on."""
        self._kept.clear()

    # ------------------------------------------------------------ what is told

    def _take(self, update: DeviceUpdate) -> None:
        device = self._gateway.devices.get(update.device)
        if device is None or device.info is None or device.info.is_provisional:
            return
        now_ms = self._now()
        match update.event:
            case StateChange() as told:
                self._note(update.device, device, told.key, now_ms)
            case Availability() as told:
                if not told.is_available:
                    self._lose(device, now_ms)
                self._look_at(update.device, device, now_ms)
            case Occurrence() as told:
                self._happened(update.device, device, told)
            case EntitiesChanged():
                self._look_at(update.device, device, now_ms)

    def _followed(self, update: DeviceUpdate) -> None:
        """Note what a device tells, whose code may be anybody's."""
        try:
            called(lambda: self._take(update))
        except InternalError as exc:
            self._say_strange(update.device, exc)

    def _say_strange(self, slug: str, error: InternalError) -> None:
        text = "the history has nothing of what %s tells: %s"
        self._warnings.say(text, printable(slug), error, about=slug)

    def _note(self, slug: str, device: ServedDevice, key: str, now_ms: int) -> None:
        """Note what an entity is now, in all its parts."""
        entity = device.entities.get(key)
        if entity is None:
            return
        known = self._of(device)
        state = device.states.get(key)
        present = set()
        for part in recorded_of(entity, state):
            name = f"{key}{part[0]}"
            present.add(name)
            if self._is_kept(slug, name):
                one = self._series(slug, device, entity, part)
                self._tell(one, part[3], now_ms)
        if state is None or is_dataclass(state):
            for name, one in known.by_key.get(key, {}).items():
                if name not in present:
                    self._tell(one, None, now_ms)

    def _series(
        self, slug: str, device: ServedDevice, entity: Entity, part: Recorded
    ) -> Known:
        """Give the series of a part, as it is called now."""
        suffix, kind, unit, _ = part
        known = self._of(device)
        before = known.by_name.get(f"{entity.key}{suffix}")
        if before is not None:
            series = before.series
            told = series.slug, series.name, series.kind, series.unit
            if told == (slug, device.name, kind, unit):
                return before
        series = series_of(entity, part, device=device, slug=slug)
        if before is not None:
            if before.series == series:
                before.series = series
                return before
            # Another unit is another course.
            self._tell(before, None, self._last_ms)
        one = Known(series, entity.key)
        known.add(one)
        return one

    def _of(self, device: ServedDevice) -> KnownDevice:
        info = device.info
        assert info is not None  # noqa: S101 - it was asked before
        return self._known.setdefault((info.system, info.id), KnownDevice())

    def _is_kept(self, slug: str, name: str) -> bool:
        key = f"{slug}/{name}"
        found = self._kept.get(key)
        if found is None:
            wanted = self._settings()
            found = any(fnmatchcase(key, one) for one in wanted.include)
            found = found and not any(fnmatchcase(key, one) for one in wanted.exclude)
            if len(self._kept) > 100_000:
                self._kept.clear()
            self._kept[key] = found
        return found

    def _happened(self, slug: str, device: ServedDevice, told: Occurrence) -> None:
        entity = device.entities.get(told.key)
        if not isinstance(entity, Event) or not self._is_kept(slug, told.key):
            return
        one = self._series(slug, device, entity, ("", "event", "", None))
        part = self._writing()
        if not self._of(device).may_happen(part.stretch.hour_ms):
            self._backlog.lost += 1
            text = "%s tells too much: the history has the first %d of an hour"
            shown = printable(slug)
            self._warnings.say(text, shown, MOST_HAPPENED, about=slug)
            return
        data = json.dumps(dict(told.data), ensure_ascii=False, default=str)
        if len(data) > _MOST_DATA:
            data = "{}"
        at_ms, what = ms_of(told.at_utc), printable(told.event_type, most=_MOST_TYPE)
        part.happened(Occurred(one.series, at_ms, what, data))
        self._count(part)

    # ------------------------------------------------------------ what is not heard

    def _lose(self, device: ServedDevice, now_ms: int) -> None:
        for one in self._of(device).by_name.values():
            if one.value is not None:
                self._tell(one, None, heard_ms(device, one.key, now_ms))

    def _look_at(self, slug: str, device: ServedDevice, now_ms: int) -> None:
        if not device.is_available:
            self._lose(device, now_ms)
            return
        known = self._of(device)
        for key in list(device.states):
            if device.silent_s(key) is None or is_stale(device, key):
                for one in known.by_key.get(key, {}).values():
                    if one.value is not None:
                        self._tell(one, None, heard_ms(device, key, now_ms))
            else:
                self._note(slug, device, key, now_ms)
        for one in known.by_name.values():
            if one.value is not None and one.key not in device.states:
                self._tell(one, None, now_ms)
        known.forget(device.entities)

    async def look(self) -> None:
        """Look whether everything is heard still, some devices at a time."""
        seen: set[Identity] = set()
        for slug, device in list(self._gateway.devices.items()):
            info = device.info
            if info is None or info.is_provisional:
                continue
            seen.add((info.system, info.id))
            now_ms = self._now()
            try:
                called(partial(self._look_at, slug, device, now_ms))
            except InternalError as exc:
                self._say_strange(slug, exc)
                self._end_of((info.system, info.id), now_ms)
            await anyio.lowlevel.checkpoint()
        for identity in self._known.keys() - seen:
            self._end_of(identity, self._now())
            del self._known[identity]
            await anyio.lowlevel.checkpoint()

    def _end_of(self, identity: Identity, now_ms: int) -> None:
        """Note that nothing is known of a device any more."""
        known = self._known.get(identity)
        for one in () if known is None else known.by_name.values():
            self._tell(one, None, now_ms)

    # ------------------------------------------------------------ noted

    def _tell(self, one: Known, value: Value, at_ms: int) -> None:
        part = self._writing()
        stretch = part.stretch
        self._refresh(one, part)
        if value == one.value:
            return
        at_ms = max(at_ms, one.at_ms, stretch.from_ms)
        one.value, one.at_ms = value, at_ms
        part.add((one.series, at_ms, value))
        self._count(part)

    def _refresh(self, one: Known, part: Part) -> None:
        """Say anew in a stretch what was known at its beginning."""
        stretch = part.stretch
        if one.stretch is stretch:
            return
        one.stretch, one.at_ms = stretch, stretch.from_ms
        if one.value is not None:
            part.add((one.series, stretch.from_ms, one.value))

    def _count(self, part: Part) -> None:
        if part.bytes > self._backlog.most_bytes // _SHARE:
            self.wanted.set()

    def _writing(self) -> Part:
        if self._part is None:
            self._begin(max(self._last_ms, self._wall_ms()))
        assert self._part is not None  # noqa: S101 - it was begun
        return self._part

    # ------------------------------------------------------------ time

    def _wall_ms(self) -> int:
        return ms_of(self._now_utc())

    def _now(self) -> int:
        """Tell the time; begin a stretch where the last cannot go on."""
        wall_ms = self._wall_ms()
        offset_ms = wall_ms - anyio.current_time() * 1000
        before_ms, self._offset_ms = self._offset_ms, offset_ms
        if before_ms is not None and abs(offset_ms - before_ms) > _JUMP_MS:
            self._end(self._last_ms)
            self._last_ms = wall_ms
        elif self._resume_ms is not None and wall_ms >= self._resume_ms:
            self._end(max(wall_ms, self._last_ms))
        self._last_ms = now_ms = max(wall_ms, self._last_ms)
        if self._part is None:
            self._begin(now_ms)
        while self._part is not None and now_ms >= self._part.stretch.end_ms:
            end_ms = self._part.stretch.end_ms
            self._end(end_ms)
            self._begin(end_ms)
        return now_ms

    def _begin(self, at_ms: int) -> None:
        house = self._house()
        stretch = Stretch(at_ms, house.hour_of(at_ms), house.hour_end(at_ms))
        self._part = Part(stretch, at_ms, at_ms)
        self._is_whole = False
        self._stretch_bytes = 0
        self._resume_ms = None

    def _end(self, at_ms: int) -> None:
        part = self._part
        if part is None:
            return
        for one in self._all():
            self._refresh(one, part)
        self._part = None
        part.until_ms = max(at_ms, part.from_ms)
        part.is_last = True
        if self._backlog.gone is part.stretch:
            # It would be read as if nothing had been before.
            self._backlog.lost += len(part.rows)
            part.rows.clear()
            return
        self._backlog.put(part)

    def _all(self) -> Iterator[Known]:
        for known in self._known.values():
            yield from known.by_name.values()

    async def cut(self) -> None:
        """Give what was noted to be written, and go on with the next part."""
        self.wanted = anyio.Event()
        now_ms = self._now()
        while not self._is_whole and (part := self._part) is not None:
            self._is_whole = await self._refresh_all(part)
            now_ms = self._now()
        part = self._part
        if part is None:
            return
        is_due = now_ms - part.from_ms >= self._settings().heartbeat_s * 1000
        if not (part.rows or part.occurred or is_due or part.is_first):
            # Each commit wears a memory card.
            return
        self._part = Part(part.stretch, now_ms, now_ms)
        part.until_ms = max(now_ms, part.from_ms)
        self._stretch_bytes += part.bytes
        self._backlog.put(part)
        is_large = self._stretch_bytes > self._backlog.most_bytes // _SHARE
        if self._backlog.gone is part.stretch or is_large:
            self._end(now_ms)

    async def _refresh_all(self, part: Part) -> bool:
        """Say anew what is known; False if the stretch was over before."""
        for number, one in enumerate(list(self._all())):
            if self._part is not part:
                return False
            self._refresh(one, part)
            if number % _A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        return self._part is part

    def resume(self, at_ms: int) -> None:
        """Begin a stretch at a time, or at once if that is over."""
        self._resume_ms = at_ms

    def finish(self) -> None:
        """End what is noted now: nothing follows."""
        self._end(max(self._now(), self._last_ms))
