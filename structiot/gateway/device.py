"""Keeps one device open, and its trouble to itself.

Whatever a device does (is unreachable, hangs while it is opened, ends its events,
tells nonsense, raises something it should not) costs its own availability and nothing
else. It is opened again and again by a growing schedule; what fails is said once when
it begins and once when it is over.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import datetime

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text, printable
from structiot.errors import (
    DeviceReplaced,
    LinkLost,
    ReplyTimeout,
    TransportError,
)
from structiot.gateway.asking import Asked
from structiot.gateway.context import GatewayContext, Places
from structiot.gateway.device_commands import DeviceCommands
from structiot.gateway.drivers.driver import Source
from structiot.gateway.entities.description import presentable
from structiot.gateway.events import DeviceUpdate
from structiot.gateway.flooding import EventBudget
from structiot.gateway.isolation import as_ours, failure_of
from structiot.gateway.known_device import KnownDevice
from structiot.gateway.retrying import Retrying, when
from structiot.model import (
    Availability,
    Device,
    DeviceEvent,
    DeviceInfo,
    EntitiesChanged,
    Occurrence,
    StateChange,
)

__all__ = ["GatewayDevice"]

# Opening includes what a system retries by itself; this only ends a hang.
_OPEN_S = 60.0
_LEFT = "it has left"
_CLOSED = "it is closed"
_ANEW = "it is opened anew"
# A device that always has something to tell lets others have their turn.
_EVENTS_A_TURN = 16

_log = logging.getLogger(__name__)


class GatewayDevice(KnownDevice):
    """A device in the gateway's care; made by the gateway.

    Attributes:
        is_running: Whether somebody keeps it open.
        retrying: Its attempts.
        opened: How often it was tried to open it.
        budget: What it may tell.
        reported: What is wrong with it, as it was said; empty while nothing is.
    """

    def __init__(
        self,
        source: Source,
        context: GatewayContext,
        places: Places,
        system: str,
        *,
        slug: str | None = None,
    ) -> None:
        super().__init__(source, context, system)
        self._places = places
        if slug is not None:
            self._topics.take_place(slug, is_chosen=False)
        self.is_running: bool = False
        self.retrying: Retrying = context.retrying()
        self.opened: int = 0
        self._life = anyio.CancelScope()
        self._opening: anyio.CancelScope | None = None
        self.reported: str = ""
        self.budget: EventBudget = EventBudget(
            self.label, self._take, entities=lambda: len(self._topics.entities)
        )
        self._commands = DeviceCommands(
            self.label,
            context,
            self._topics,
            retrying=lambda: (self.source.parent or self).retrying,
        )

    # ------------------------------------------------------------ its life

    def reopen(self) -> None:
        """Close it and open it again at once."""
        self.retrying.retry_now()
        if self._opening is not None:
            self._opening.cancel()

    def try_again(self) -> None:
        """Open it at once if its last failure was one that is not tried again."""
        if self.retrying.is_parked:
            self.reported = ""
            self.retrying.retry_now()

    def replace_source(self, source: Source) -> None:
        """Take another source in its place; one that is connected is opened anew."""
        before = self.source
        self.source: Source = source
        is_other = source.settings != before.settings
        if is_other or source.comes_by_itself or source.parent is not before.parent:
            self.reopen()

    def release(self) -> None:
        """Give it up for good: close it and take it off the broker."""
        self._end()
        self._topics.withdraw()

    def supersede(self) -> None:
        """Give it up for another in its place, which clears what it leaves."""
        self._end()
        self._topics.leave("it has another place now")

    def _end(self) -> None:
        self.is_released = True
        self._life.cancel()
        self._places.leave(self)

    def forget(self) -> None:
        """Leave its place in topics as offline: another device is here now."""
        self._topics.leave("another device answers in its place")

    async def run(self) -> None:
        """Keep it open until cancelled or released."""
        self.is_running = True
        try:
            await self._keep_open()
        finally:
            self.is_running = False

    async def _keep_open(self) -> None:
        with self._life:
            self._tell_availability(self.availability)
            while True:
                error = await self._open_once()
                if error is None:
                    self._lost(_ANEW)
                    _log.info("%s: %s", self.label, _ANEW)
                    await self.retrying.pause(0.0)
                    continue
                reason = error_text(error)
                self._lost(reason)
                delay_s = self.retrying.delay_after(error)
                if self.source.comes_by_itself:
                    delay_s = None
                if self.source.comes_by_itself and isinstance(error, TransportError):
                    _log.info("%s is absent: %s", self.label, reason)
                else:
                    said = f"{reason}; {when(delay_s)}"
                    self._say_failing(said, reason, error.__cause__)
                await self.retrying.pause(delay_s)

    async def _open_once(self) -> Exception | None:
        """Open it and follow it; give why it was lost, None if it is opened anew."""
        self.opened += 1
        try:
            return await failure_of(self._open_in_scope)
        finally:
            self._opening = None

    async def _open_in_scope(self) -> None:
        with anyio.CancelScope() as self._opening:
            await self._serve()

    async def _serve(self) -> None:
        parent = self.source.parent
        if parent is None:
            await self._serve_alone()
        else:
            async with parent.in_use(self._wait_for_parent):
                await self._serve_alone()

    def _wait_for_parent(self, reason: str) -> None:
        self._lost(reason)
        self._say_failing(reason, reason)

    async def _serve_alone(self) -> None:
        with anyio.move_on_after(_OPEN_S) as patience:
            async with self.source.open() as device:
                patience.deadline = math.inf
                opened_at = anyio.current_time()
                try:
                    await self._until_known(device)
                    self._opened(device)
                    await self._follow(device)
                # Nobody takes it for reachable while it is closed, however long.
                except Exception as exc:
                    self._lost(error_text(as_ours(exc)))
                    raise
                except BaseException:
                    is_anew = self._opening is not None and self._opening.cancel_called
                    self._lost(_ANEW if is_anew else _CLOSED)
                    raise
                finally:
                    self.retrying.lived(anyio.current_time() - opened_at)
        if patience.cancelled_caught:
            message = f"it was not open after {_OPEN_S:g} s"
            raise ReplyTimeout(message, request="open", after_s=_OPEN_S)

    async def _until_known(self, device: Device) -> None:
        """Wait for a device to say who it is, if that decides its place in topics."""
        if not _is_provisional(device):
            return
        waits_for = "it is announced when it has said who it is"
        if self.slug is None:
            waits_for = "it gets its topics when it has said who it is"
        _log.warning("%s keeps silent about its serial: %s", self.label, waits_for)
        if self.slug is not None:
            return
        async with device.events() as events:
            async for _ in events:
                if not _is_provisional(device):
                    return
        raise LinkLost(_LEFT)

    async def _follow(self, device: Device) -> None:
        async with device.events() as events, service_group() as tg:
            tg.start_soon(
                self._commands.work, device, name="structiot.gateway.commands"
            )
            self.budget.begin()
            tg.start_soon(self.budget.run, name="structiot.gateway.late_events")
            taken = 0
            async for event in events:
                self.budget.let_through(event)
                taken += 1
                if taken % _EVENTS_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
        told = device.availability
        raise LinkLost(told.reason if told.reason and not told.is_available else _LEFT)

    def _opened(self, device: Device) -> None:
        if self.is_released:
            raise LinkLost("it was released")
        info = device.info
        slug = self._take_place(info)
        self._topics.forgive()
        self._device = device
        self._describe(info)
        self._commands.is_open = True
        what = "is reached again" if self.reported else "is open"
        _log.info("%s %s as %s", self.label, what, slug)
        self.reported = ""

    def _lost(self, reason: str) -> None:
        self._commands.close(reason)
        if self.is_released:
            return
        at_utc = self._context.clock()
        lost = Availability(is_available=False, at_utc=at_utc, reason=reason)
        if self.is_available or self.availability.reason != reason:
            self._tell_availability(lost)

    def _say_failing(
        self, message: str, reason: str, cause: BaseException | None = None
    ) -> None:
        """Say once what is wrong, until it is another thing or over."""
        is_final = self.retrying.is_parked and self.reported != reason
        is_said = bool(self.reported) and not is_final
        level = logging.DEBUG if is_said else logging.WARNING
        # Where it comes from is worth a traceback only if it is nobody's word.
        trace = cause if reason.startswith("internal error") and not is_said else None
        self.reported = reason
        _log.log(level, "%s: %s", self.label, message, exc_info=trace)

    # ------------------------------------------------------------ what it tells

    def _take(self, event: object) -> None:
        if self.is_released:
            return
        match self._timely(event):
            case StateChange() as event:
                if (shown := self._topics.show_state(event)) is not None:
                    self._emit(shown)
            case Occurrence() as event:
                if self._topics.show_occurrence(event):
                    self._emit(event)
            case Availability(is_replaced=True) as event:
                raise DeviceReplaced(event.reason)
            case Availability() as event:
                self._tell_availability(replace(event, reason=printable(event.reason)))
            case EntitiesChanged() as event:
                if self._device is not None:
                    self._described_anew(self._device.info)
                self._emit(event)
            case _:
                self._topics.say_nonsense("event", f"{event!r} is no event")

    def _timely(self, event: object) -> object:
        """Give an event a time if it has none that can be compared with others."""
        if not isinstance(event, DeviceEvent):
            return event
        at_utc: object = event.at_utc
        if isinstance(at_utc, datetime) and at_utc.tzinfo is not None:
            return event
        self._topics.say_nonsense("time", f"{at_utc!r} is no time in UTC")
        return replace(event, at_utc=self._context.clock())

    def show_place(self) -> None:
        """Announce it once more: the configuration puts it into another room."""
        if self.info is not None:
            entities = tuple(self._topics.entities.values())
            self._topics.describe(self.name, self.info, entities)

    def show_energy(self) -> None:
        """Show what its counters come to, of which more has been written down."""
        try:
            for told in self._topics.counters:
                self._take(told)
        # It is still somebody else's word.
        except Exception as exc:  # noqa: BLE001
            self._topics.say_nonsense("energy", error_text(as_ours(exc)))

    def _described_anew(self, info: DeviceInfo) -> None:
        before = self.info
        if before is None or (before.id, before.is_provisional) != (
            info.id,
            info.is_provisional,
        ):
            self._take_place(info)
            _log.info("%s has said who it is: %s", self.label, printable(info.id))
        self._describe(info)

    def _take_place(self, info: DeviceInfo) -> str:
        slug = self._places.claim(self, info)
        if slug != self.slug:
            self._topics.take_place(slug, is_chosen=True)
        return slug

    def _describe(self, told: DeviceInfo) -> None:
        info = presentable(told)
        self.info: DeviceInfo | None = info
        if not (info.is_provisional or self.source.is_found):
            self._context.records.remember(self.system, self.source.key, info)
        if self._device is not None:
            self._topics.describe(self.name, info, self._device.entities)

    def _tell_availability(self, availability: Availability) -> None:
        self._topics.show_availability(availability)
        self._emit(availability)

    def _emit(self, event: DeviceEvent) -> None:
        if self.slug is not None:
            self._context.emit(DeviceUpdate(device=self.slug, event=event))

    def request(self, entity: str, *, topic: str, payload: bytes) -> None:
        """Take a plain command from the broker; what cannot be done is told at once."""
        self.take_command(entity, Asked(topic=topic, payload=payload))

    def take_command(self, entity: str | None, asked: Asked) -> None:
        """Take a command from the broker, for one entity or, as JSON, for several."""
        if entity is None:
            self._commands.request_several(asked)
        else:
            self._commands.request(entity, asked)

    async def carry_out(
        self, entity: str, payload: bytes, *, within_s: float | None = None
    ) -> None:
        """Carry out a command as if it were published on the entity's set topic.

        It waits for its turn among those from the broker. Cancelled while it waits, it
        is not carried out; cancelled later, it may have its effect all the same.

        Args:
            entity: Key of the entity.
            payload: What would be published.
            within_s: For how long it is worth doing, from now on.

        Raises:
            UnknownEntity: There is no such entity.
            UsageError: It takes no such command.
            LinkLost: The device is not available.
            CommandRefused: The device, or the gateway for it, has said no.
            CommandExpired: The time was over before its turn came, or before the device
                had confirmed it.
        """
        await self._commands.carry_out(entity, payload, within_s=within_s)


def _is_provisional(device: Device) -> bool:
    return device.info.is_provisional
