"""A device that speaks by itself, and who listens to it.

This is the one place that keeps what a device said last and compares what it says. Its
readings go to each listener as they come, the oldest dropped where somebody is slow.
Its states are told by difference, and only the latest of each waits: whoever is slow
misses what was in between, never what is. Occurrences are moments, not states: each is
told, alike or not, to those who listen at that moment. Nothing here waits for anybody.
"""

from __future__ import annotations

import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Generic, Self, TypeAlias, TypeVar

import anyio

from structiot._device.changes import Change, ChangeBox
from structiot._device.commands import check_command
from structiot._device.poller import Poller
from structiot._device.told_states import ToldStates
from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.conflating import ConflatingQueue
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UnsupportedDevice, UsageError
from structiot.model import (
    Availability,
    Command,
    DeviceEvent,
    DeviceInfo,
    EntitiesChanged,
    Entity,
    Occurrence,
    Reading,
    State,
)

__all__ = ["BaseDevice", "InfoT"]

_MAX_DATA_CHARS = 16_384
_STALE_S = 30.0
_STALE_POLLS = 3

InfoT = TypeVar("InfoT", bound=DeviceInfo)

_EventBox: TypeAlias = ConflatingQueue[str, DeviceEvent]
B = TypeVar("B", Mailbox[Reading], ChangeBox, _EventBox)


class BaseDevice(anyio.AsyncContextManagerMixin, Generic[InfoT]):
    """A `structiot.model.Device` that speaks by itself; safe to use from several tasks.

    It is open for the length of its `async with` block, once. Whoever writes one calls
    `_tell`, `_tell_occurrence`, `_tell_availability` and `_describe` as the device
    speaks, and defines `_command`.

    Args:
        info: Who the device is.
        entities: What it has.
        poller: Who polls it, where it is polled. That of another device, such as a
            hub, will do: that one is then polled while somebody watches this one.
        is_available: Whether it is there from the start.
        environment: Network, host network, clock and chance; the system's by default.
    """

    def __init__(
        self,
        info: InfoT,
        entities: Iterable[Entity] = (),
        *,
        poller: Poller | None = None,
        is_available: bool = True,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        check_argument("environment", environment, Environment)
        self._environment = environment
        self._info: InfoT = info
        self._entities = tuple(entities)
        self._availability = Availability(
            is_available=is_available, at_utc=environment.now_utc()
        )
        self._told = ToldStates()
        self._readings: dict[int, Reading] = {}
        self._reading_boxes: FanOut[Mailbox[Reading]] = FanOut()
        self._event_boxes: FanOut[_EventBox] = FanOut()
        self._change_boxes: FanOut[ChangeBox] = FanOut()
        self._watched = poller
        self._is_used = False
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._label}>"

    @property
    def info(self) -> InfoT:
        """Who the device is, as told last."""
        return self._info

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it has; changes are told by `EntitiesChanged`."""
        return self._entities

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one, by key, as it is now."""
        return self._told.states

    @property
    def availability(self) -> Availability:
        """Whether the device was there when that last changed, and why not."""
        return self._availability

    @property
    def is_available(self) -> bool:
        """Whether the device is there."""
        return self._availability.is_available

    def stale_after_s(self, key: str) -> float | None:
        """Say how old a state may be: three polls, at least 30 s; None if it is not polled."""
        poll_s = math.inf if self._watched is None else self._watched.schedule.poll_s
        every_s = self._told.every_s(key, poll_s)
        return None if math.isinf(every_s) else max(_STALE_S, _STALE_POLLS * every_s)

    def silent_s(self, key: str) -> float | None:
        """Give for how long the entity's state was not told; None if it never was."""
        return self._told.silent_s(key)

    # ------------------------------------------------------------ for its user

    def readings(
        self, *, max_items: int = 256
    ) -> AbstractAsyncContextManager[Mailbox[Reading]]:
        """Iterate over what is metered, a reading a channel, as it comes.

        A device that is polled is polled at once (while it fails, when its next retry
        is due; at most once a second), then by its schedule; all consumers share the
        polls, and one that joins others is given the latest readings first.
        While the device is away the iterator waits.

        Args:
            max_items: Readings that wait for a slow consumer; the oldest are dropped
                and counted (`.dropped`).

        Raises:
            UnsupportedDevice: It has no meter, or turns out to have none.
        """

        def box() -> Mailbox[Reading]:
            name = f"readings of {self._info.name}"
            readings: Mailbox[Reading] = Mailbox(max_items, name=name)
            for reading in self._present(may_be_recent=False):
                readings.put(reading)
            return readings

        return self._listening(box, self._reading_boxes)

    def changes(
        self, *, min_power_w: float = 1.0, max_items: int = 256
    ) -> AbstractAsyncContextManager[Mailbox[Change]]:
        """Iterate over what changes: channels that are switched, and their power.

        Where they start from is never told: the latest readings, if the device is being
        polled already or was heard of within the time from poll to poll, else the next
        ones. After that, what differs from what was told last is told: all changes of
        power, by channel, then all of state. It shares the polls with `readings`.

        A poll that fails, a figure that is missing and another device in its place
        change nothing. When the device is back after an outage, what differs from
        before is told then, once.

        Args:
            min_power_w: Power has to differ by more than this, up or down.
            max_items: As of `readings`.

        Raises:
            UsageError: `min_power_w` is no number, or less than 0.
            UnsupportedDevice: As of `readings`.
        """

        def box() -> ChangeBox:
            name = f"changes of {self._info.name}"
            changes = ChangeBox(max_items, min_power_w=min_power_w, name=name)
            changes.see(self._present(may_be_recent=True))
            return changes

        return self._listening(box, self._change_boxes)

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[DeviceEvent]]:
        """Iterate over availability, states and occurrences, present states first.

        It shares the polls with `readings`. Only the latest of each state waits for a
        slow consumer, but every occurrence, up to 256; then the oldest is dropped,
        which is logged.
        While the device is away the iterator waits; availability says why.
        """

        def box() -> _EventBox:
            events: _EventBox = ConflatingQueue(name=f"events of {self._info.name}")
            events.put("availability", self._availability)
            for change in self._told.changes:
                events.put(f"state {change.key}", change)
            return events

        return self._listening(box, self._event_boxes, is_of_meter=False)

    async def command(self, key: str, command: Command) -> None:
        """Carry out a command on the entity `key`; return when the device has it.

        Raises:
            UsageError: No such entity, or a value it cannot take; nothing was sent.
            PeerError: The device refused.
            TransportError: The device could not be reached.
        """
        self._check_open()
        check_command(self._entities, key, command, device=self._info.name)
        await self._command(key, command)

    # ------------------------------------------------------------ for who writes one

    async def _command(self, key: str, command: Command) -> None:
        """Carry out a command for an entity that there is, of a type it can take."""
        raise NotImplementedError

    def _tell(
        self,
        states: Mapping[str, State | None] | None = None,
        readings: Sequence[Reading] = (),
        *,
        at_utc: datetime | None = None,
        every_s: float | None = None,
    ) -> None:
        """Tell what the device reports, asked or not; a poller has it heard of.

        Args:
            states: Some or all states, by the keys of their entities; None for one that
                is not reported any more. Those that differ from before are told.
            readings: What was metered, all of it told.
            at_utc: When the states were so; now by default.
            every_s: How often they are told, `math.inf` for when they change; by default
                as was said before, else with each poll.
        """
        if self._watched is not None:
            self._watched.heard()
        for reading in readings:
            self._readings[reading.channel] = reading
            for box in self._reading_boxes:
                box.put(reading)
        for changes in self._change_boxes:
            changes.see(readings)
        if states:
            at_utc = at_utc or self._environment.now_utc()
            for change in self._told.take(states, at_utc, every_s):
                self._put(f"state {change.key}", change)

    def _tell_occurrence(
        self,
        key: str,
        event_type: str,
        *,
        data: Mapping[str, object] | None = None,
        at_utc: datetime | None = None,
    ) -> None:
        """Tell that something happened, whatever happened before.

        Args:
            key: Key of the `Event` entity.
            event_type: What happened, one of its `event_types`.
            data: What else is known of it; JSON values, of 16,384 characters at most.
            at_utc: When; now by default.

        Raises:
            UsageError: `data` is larger than that; nothing was told.
        """
        data = data or {}
        if (size := len(repr(data))) > _MAX_DATA_CHARS:
            message = f"{key} of {self._label}: {size} characters of data are too many"
            raise UsageError(message)
        if self._watched is not None:
            self._watched.heard()
        at_utc = at_utc or self._environment.now_utc()
        occurrence = Occurrence(
            key=key, event_type=event_type, at_utc=at_utc, data=data
        )
        for box in self._event_boxes:
            box.append(occurrence)

    def _tell_availability(
        self, *, is_available: bool, reason: str = "", is_replaced: bool = False
    ) -> bool:
        """Tell that the device is there, or why not; whether that was news."""
        told = self._availability
        news = Availability(
            is_available=is_available,
            at_utc=self._environment.now_utc(),
            reason=reason,
            is_replaced=is_replaced,
        )
        if replace(news, at_utc=told.at_utc) == told:
            return False
        self._availability = news
        self._put("availability", news)
        return True

    def _describe(
        self, info: InfoT, entities: Iterable[Entity], *, reason: str = ""
    ) -> None:
        """Tell that the device is described anew, if it differs.

        States of entities that it has no more are forgotten.
        """
        before, self._info = (self._info, self._entities), info
        self._entities = tuple(entities)
        if not self._is_metered:
            for metered in (*self._reading_boxes, *self._change_boxes):
                metered.close(self._without_meter())
        if before == (self._info, self._entities):
            return
        for key in self._told.keep(one.key for one in self._entities):
            for box in self._event_boxes:
                box.discard(f"state {key}")
        self._tell_described(reason)

    def _tell_described(self, reason: str) -> None:
        """Tell that the device is described anew."""
        changed = EntitiesChanged(at_utc=self._environment.now_utc(), reason=reason)
        for box in self._event_boxes:
            # Before the states of what it has now, which may wait already.
            box.put("entities", changed, keeps_place=True)

    @property
    def _is_metered(self) -> bool:
        """Whether it may tell readings; `_describe` is called when that turns out."""
        return True

    @property
    def _label(self) -> str:
        """The device in log lines and messages; its name by default."""
        return self._info.name

    def _without_meter(self) -> UnsupportedDevice:
        return UnsupportedDevice(f"{self._label} has no meter", model=self._info.model)

    def _check_open(self) -> None:
        if self._is_closed:
            message = f"{self._label} is closed: its `async with` block has ended"
            raise UsageError(message)

    def _running(self) -> AbstractAsyncContextManager[object]:
        """What runs while the device is open; by default nothing."""
        return nullcontext()

    # ------------------------------------------------------------ inside

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._is_used:
            raise UsageError(f"{self._label} is opened once, by one `async with` block")
        self._is_used = True
        try:
            async with self._running():
                yield self
        finally:
            self._is_closed = True
            for fan_out in (self._reading_boxes, self._event_boxes, self._change_boxes):
                fan_out.close()

    @asynccontextmanager
    async def _listening(
        self, box: Callable[[], B], fan_out: FanOut[B], *, is_of_meter: bool = True
    ) -> AsyncGenerator[B]:
        self._check_open()
        if is_of_meter and not self._is_metered:
            raise self._without_meter()
        opened = box()
        polled = self._watched.watching() if self._watched else nullcontext()
        with polled, fan_out.listening(opened):
            yield opened

    def _present(self, *, may_be_recent: bool) -> Sequence[Reading]:
        """Give the latest readings, if they are as good as new."""
        poller = self._watched
        is_told = poller is None or poller.is_current(may_be_recent=may_be_recent)
        return tuple(self._readings.values()) if is_told and self.is_available else ()

    def _put(self, key: str, event: DeviceEvent) -> None:
        for box in self._event_boxes:
            box.put(key, event)
