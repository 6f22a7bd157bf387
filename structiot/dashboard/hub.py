"""What has changed, worked out and written down once for all browsers.

    gateway.events() --> dirty keys --- four times a second ---> Tick --> each Listener
    once a second: what has grown old, and which cards are others

Of each value the text that goes to browsers is kept, and shared by all of them. A
listener that does not keep up holds one dictionary of such texts, the latest of each
key, and never a queue. All of it is done in portions.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TypeAlias

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.json_text import compact
from structiot._kit.rare_lines import RareLines
from structiot.dashboard.listener import Changes, Listener, Tick
from structiot.dashboard.shown import seconds_of, shown_value
from structiot.errors import InternalError
from structiot.gateway import DeviceUpdate, Gateway, GatewayEvent
from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.isolation import called
from structiot.gateway.values import Value, is_stale
from structiot.model import Button, Occurrence, StateChange

__all__ = ["TICK_S", "Hub"]

TICK_S = 0.25
_SWEEP_S = 1.0
# What is heard again and again as it was is told by so much: only ages hang on it.
_SAME_AT_S = 15.0
_A_TURN = 100

_log = logging.getLogger(__name__)

_Cards: TypeAlias = tuple[object, ...]


class _Known:
    """One device, as browsers know it."""

    def __init__(self) -> None:
        self.card: _Cards = ()
        self.shown: dict[str, tuple[object, ...]] = {}
        self.at: dict[str, float | None] = {}
        # By key, not by entity: they are put together as they are.
        self.texts: dict[str, bytes] = {}


class Hub:
    """Follows a gateway for all browsers; `run` does it.

    Args:
        gateway: The gateway.
        now_utc: Tells the time.

    Attributes:
        boot: Tells this run from others.
        listeners: Those who are told.
    """

    def __init__(self, gateway: Gateway, now_utc: Callable[[], datetime]) -> None:
        self.boot: str = secrets.token_hex(4)
        self.listeners: set[Listener] = set()
        self._gateway = gateway
        self._now_utc = now_utc
        self._number = 0
        self._known: dict[str, _Known] = {}
        self._dirty_keys: set[tuple[str, str]] = set()
        self._dirty_devices: set[str] = set()
        self._places: object = None
        self._wake = anyio.Event()
        self._warnings = RareLines(_log, anyio.current_time)

    # ------------------------------------------------------------ for browsers

    def event_id(self) -> bytes:
        """Give the id of the next event."""
        self._number += 1
        return f"{self.boot}-{self._number}".encode()

    def texts(self, device: str | None = None) -> list[bytes]:
        """Give all values as they are now, or those of one device."""
        if device is not None:
            known = self._known.get(device)
            return [] if known is None else list(known.texts.values())
        return [text for one in self._known.values() for text in one.texts.values()]

    @contextmanager
    def listening(self, device: str | None = None) -> Iterator[Listener]:
        """Have somebody told of what changes, of all devices or of one."""
        listener = Listener(device)
        self.listeners.add(listener)
        try:
            yield listener
        finally:
            self.listeners.discard(listener)

    # ------------------------------------------------------------ its work

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Follow the gateway until cancelled; started once all values are known."""
        async with self._gateway.events() as events, service_group() as tasks:
            self._places = self._gateway.config.devices
            self._dirty_devices.update(self._gateway.devices)
            await self._worked_out()
            task_status.started()
            tasks.start_soon(self._tell, name="structiot.dashboard.tell")
            tasks.start_soon(self._sweep, events, name="structiot.dashboard.sweep")
            async for event in events:
                self._note(event)

    def _note(self, event: GatewayEvent) -> None:
        match event:
            case DeviceUpdate(device=slug, event=StateChange() | Occurrence() as told):
                self._dirty_keys.add((slug, told.key))
            case DeviceUpdate(device=slug):
                self._dirty_devices.add(slug)
            case _:
                return
        self._wake.set()

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            began_at = anyio.current_time()
            changes, cards = await self._worked_out()
            await self._hand_out(changes, cards)
            await anyio.sleep_until(began_at + TICK_S)

    async def _hand_out(self, changes: Changes, cards: tuple[str, ...]) -> None:
        if not (changes or cards):
            return
        tick = Tick(self.event_id(), changes, cards)
        for count, listener in enumerate(tuple(self.listeners), 1):
            listener.offer(tick)
            if count % _A_TURN == 0:
                await anyio.lowlevel.checkpoint()

    async def _worked_out(self) -> tuple[Changes, tuple[str, ...]]:
        """Work out what has changed, and whose cards are others."""
        keys, self._dirty_keys = self._dirty_keys, set()
        slugs, self._dirty_devices = self._dirty_devices, set()
        changes: Changes = {}
        cards: list[str] = []
        devices = self._gateway.devices
        for slug in slugs:
            if self._is_other_card(slug, devices.get(slug)):
                cards.append(slug)
            if slug in devices:
                keys.update((slug, key) for key in devices[slug].entities)
            else:
                self._known.pop(slug, None)
            await anyio.lowlevel.checkpoint()
        for count, (slug, key) in enumerate(keys, 1):
            device = devices.get(slug)
            if device is not None and (text := self._changed(slug, device, key)):
                changes.setdefault(slug, {})[f"{slug}/{key}"] = text
            if count % _A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        return changes, tuple(cards)

    def _is_other_card(self, slug: str, device: ServedDevice | None) -> bool:
        if device is None:
            return slug in self._known
        known = self._known.setdefault(slug, _Known())
        entities = device.entities
        if gone := known.shown.keys() - entities.keys():
            for key in gone:
                for kept in (known.shown, known.at):
                    del kept[key]
                known.texts.pop(f"{slug}/{key}", None)
        card = _card_of(device)
        before, known.card = known.card, card
        return before != card

    def _changed(self, slug: str, device: ServedDevice, key: str) -> bytes:
        """Write down a value if it is another one; nothing if it is not."""
        entity = device.entities.get(key)
        if entity is None or isinstance(entity, Button):
            return b""
        known = self._known.get(slug)
        if known is None:
            self._dirty_devices.add(slug)
            self._wake.set()
            return b""
        value = shown_value(device, entity, self._now_utc(), self._warnings)
        shown = (value.value, value.text, value.state, value.fields)
        at = seconds_of(value.at_utc)
        if known.shown.get(key) == shown and _is_same(known.at[key], at):
            return b""
        known.shown[key], known.at[key] = shown, at
        full = f"{slug}/{key}"
        text = known.texts[full] = _written(full, value, at)
        return text

    # ------------------------------------------------------------ what grows old

    async def _sweep(self, events: object) -> None:
        lost = 0
        while True:
            await anyio.sleep(_SWEEP_S)
            devices = self._gateway.devices
            self._dirty_devices.update(self._known.keys() ^ devices.keys())
            places = self._gateway.config.devices
            if places is not self._places:
                # Another room, perhaps.
                self._places = places
                for known in self._known.values():
                    known.card = ()
            if isinstance(events, Mailbox) and events.dropped > lost:
                lost = events.dropped
                self._dirty_devices.update(devices)
            await self._find_old(devices)
            if self._dirty_keys or self._dirty_devices:
                self._wake.set()

    async def _find_old(self, devices: Mapping[str, ServedDevice]) -> None:
        count = 0
        for slug, known in tuple(self._known.items()):
            device = devices.get(slug)
            if device is None:
                continue
            if known.card != _card_of(device):
                self._dirty_devices.add(slug)
                continue
            # One that cannot tell has been said to be so.
            with suppress(InternalError):
                called(partial(self._find_old_of, slug, known, device))
            count += len(known.shown)
            if count >= _A_TURN:
                count = 0
                await anyio.lowlevel.checkpoint()

    def _find_old_of(self, slug: str, known: _Known, device: ServedDevice) -> None:
        now_s = self._now_utc().timestamp()
        for key, (_, _, state, _) in known.shown.items():
            silent_s = None if state == "unavailable" else device.silent_s(key)
            if silent_s is None:
                continue
            is_same = _is_same(known.at[key], now_s - silent_s)
            if (state == "stale") != is_stale(device, key) or not is_same:
                self._dirty_keys.add((slug, key))


def _card_of(device: ServedDevice) -> _Cards:
    told, info = device.availability, device.info
    return (
        device.name,
        told.is_available,
        told.reason,
        info,
        tuple(device.entities.values()),
    )


def _is_same(before: float | None, at: float | None) -> bool:
    if before is None or at is None:
        return before is at
    return abs(before - at) < _SAME_AT_S


def _written(key: str, value: Value, at: float | None) -> bytes:
    told: dict[str, object] = {
        "value": value.value,
        "text": value.text,
        "state": value.state,
        "at": at,
    }
    if value.fields is not None:
        told["fields"] = dict(value.fields)
    name, text = compact(key, is_ascii=False), compact(told, is_ascii=False)
    return f"{name}:{text}".encode("utf-8", "replace")
