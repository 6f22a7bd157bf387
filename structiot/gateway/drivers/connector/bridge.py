"""The gateway's devices at a platform: entities are services, their states events.

A device is offered while it can be reached, and a minute longer; from then on the
platform shows it as offline. Of each service the latest state is told, `every_s` apart
at least; while there is no connection only that waits. What the platform refuses is said
once and left out for an hour, as SEPL hangs up after too many refusals in a row.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.flow.conflating import ConflatingQueue
from structiot._kit.flow.tasks import service_group
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text, printable
from structiot.connector import Command, Connector, PlatformRefused, Ready, Waiting
from structiot.errors import LinkLost, StructiotError, UsageError
from structiot.gateway.drivers.connector.kept import KeptDevices
from structiot.gateway.drivers.connector.offers import Offer, offer_of
from structiot.gateway.drivers.connector.section import ConnectorSection
from structiot.gateway.drivers.connector.values import (
    command_payload,
    platform_id,
    state_data,
)
from structiot.gateway.drivers.driver import DeviceRegistry
from structiot.gateway.entities.states import occurrence_payload
from structiot.gateway.events import DeviceUpdate, GatewayEvent, LinksChanged
from structiot.model import Entity, Event, Occurrence, State, StateChange

__all__ = ["Bridge"]

_FIRST_S: Final = 3.0
_AWAY_S: Final = 60.0
_LOOK_EVERY_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.5
_LOOKS_A_TURN: Final = 64
_REFUSED_S: Final = 3600.0
_EVENTS_AT_ONCE: Final = 8
# A device that does not answer holds up its own commands alone, as long as there are not
# so many.
_COMMANDS_AT_ONCE: Final = 64
_DONE: Final = {"status": 0}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What a service has to tell: its state, or something that has happened."""

    offer: Offer
    service: str
    what: State | Occurrence | None

    @property
    def key(self) -> object:
        """What is the same for what takes its place."""
        is_state = not isinstance(self.what, Occurrence)
        return (self.offer.id, self.service) if is_state else self

    def data(self, entity: Entity) -> str:
        """Write it.

        Raises:
            UsageError: The entity is another one by now.
        """
        if not isinstance(self.what, Occurrence):
            return state_data(entity, self.what)
        if isinstance(entity, Event):
            return occurrence_payload(entity, self.what)
        raise UsageError(f"{self.service} is no event any more")


class Bridge:
    """Offers the devices of a gateway to a platform.

    Args:
        registry: The gateway.
        section: The platform.
        kept: What is offered.
    """

    def __init__(
        self, registry: DeviceRegistry, section: ConnectorSection, kept: KeptDevices
    ) -> None:
        self._registry = registry
        self._gateway = registry.gateway
        self._section = section
        self._kept = kept
        self._connector: Connector | None = None
        # By id as soon as commands may come, by place as soon as events may go.
        self._offers: dict[str, Offer] = {}
        self._by_place: dict[str, Offer] = {}
        # Since when what is offered cannot be reached.
        self._away: dict[str, float] = {}
        # What the platform refuses, and was to tell something.
        self._untold: set[str] = set()
        self._to_look_at: dict[str, None] = {}
        self._looks_at_all = False
        self._changed = anyio.Event()
        self._failures = RareLines(_log, anyio.current_time, logging.INFO)
        self._queue = ConflatingQueue[tuple[str, str], _Told](
            name="events for the platform"
        )

    async def begin(self) -> None:
        """Look what there is, so that it is offered at once and not one by one."""
        with anyio.move_on_after(_FIRST_S):
            while not self._are_all_there():  # noqa: ASYNC110 - nothing tells of it
                await anyio.sleep(0.1)
        await self._look(self._gateway.devices)
        await self._withdraw_who_is_away()

    def _are_all_there(self) -> bool:
        devices = self._gateway.devices
        return bool(devices) and all(one.is_available for one in devices.values())

    async def run(self, connector: Connector) -> None:
        """Offer them until cancelled, or until there will be no connection any more.

        Raises:
            StructiotError: Why there will be none.
        """
        self._connector = connector
        async with self._gateway.events() as events, service_group() as tasks:
            serve = partial(connector.serve, self._answer, limit=_COMMANDS_AT_ONCE)
            tasks.start_soon(serve, name="structiot.bridge.commands")
            tasks.start_soon(self._send, connector, name="structiot.bridge.events")
            name = "structiot.bridge.devices"
            tasks.start_soon(self._keep_looking, connector, name=name)
            name = "structiot.bridge.states"
            tasks.start_soon(self._show_states, connector, name=name)
            async for event in events:
                self._take(event)

    async def _show_states(self, connector: Connector) -> None:
        async with connector.states() as states:
            async for state in states:
                if connector.gid and self._section.conf is None:
                    self._kept.keep_gid(self._section.place, connector.gid)
                # The log has it from the connector.
                if isinstance(state, Waiting):
                    self._registry.failing(error_text(state.reason))
                elif isinstance(state, Ready):
                    self._registry.failing("")

    # ------------------------------------------------------------ devices

    async def _keep_looking(self, connector: Connector) -> None:
        all_at = anyio.current_time() + _LOOK_EVERY_S
        while True:
            with anyio.CancelScope(deadline=all_at):
                await self._changed.wait()
                # Much changes at once, as when a hub is reached again.
                await anyio.sleep(_LOOK_AGAIN_S)
            self._changed = anyio.Event()
            places, self._to_look_at = self._to_look_at, {}
            if anyio.current_time() < all_at and not self._looks_at_all:
                await self._look(places)
                continue
            # Nothing tells of who is given up.
            self._looks_at_all = False
            await self._look({**self._gateway.devices, **self._by_place})
            await self._withdraw_who_is_away()
            for device_id in self._untold - connector.refused.keys():
                self._untold.remove(device_id)
                if (offer := self._offers.get(device_id)) is not None:
                    self._tell_all(offer)
            all_at = anyio.current_time() + _LOOK_EVERY_S

    async def _look(self, places: Iterable[str]) -> None:
        """See what is in some places now, and offer it."""
        devices = self._gateway.devices
        for number, place in enumerate(places):
            if number % _LOOKS_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
            served, before = devices.get(place), self._by_place.pop(place, None)
            offer = (
                None if served is None else offer_of(place, served, self._gateway.links)
            )
            if before is not None and (offer is None or offer.id != before.id):
                # It may have another place by now.
                if self._offers.get(before.id) is before:
                    del self._offers[before.id]
                before = None
            if offer is not None:
                await self._offer(place, offer, before)
            elif served is not None and served.info is not None:
                # There is no link for it, or none any more.
                self._away[platform_id(served.info)] = -math.inf

    async def _offer(self, place: str, offer: Offer, before: Offer | None) -> None:
        served = offer.served
        if before is not None:
            offer.refused = before.refused
        self._offers[offer.id] = offer
        if served.is_available:
            self._away.pop(offer.id, None)
        is_new = await self._describe(offer)
        self._by_place[place] = offer
        if is_new or before is None or offer.services - before.services:
            self._tell_all(offer)

    async def _describe(self, offer: Offer) -> bool:
        """Have the platform know of a device as it is; whether it is added."""
        device, held = offer.device(), self._kept.get(offer.id)
        is_new = held is None
        is_same = held is not None and held.hash == device.hash
        if is_same or (is_new and not offer.served.is_available):
            return False
        connector, kept = self._connector, self._kept
        if connector is None:
            (kept.add if is_new else kept.update)(device)
        else:
            # What comes of it the connector says and sees to.
            await (connector.add if is_new else connector.update)(device)
        return is_new

    async def _withdraw_who_is_away(self) -> None:
        now = anyio.current_time()
        for device_id in self._kept.devices():
            offer = self._offers.get(device_id)
            if offer is not None and offer.served.is_available:
                continue
            if now - self._away.setdefault(device_id, now) < _AWAY_S:
                continue
            _log.info("%s is not offered any more", printable(device_id))
            if self._connector is None:
                self._kept.remove(device_id)
            else:
                await self._connector.disconnect(device_id)
        self._away = {k: v for k, v in self._away.items() if self._kept.get(k)}

    # ------------------------------------------------------------ events

    def _take(self, event: GatewayEvent) -> None:
        if isinstance(event, LinksChanged):
            self._looks_at_all = True
            self._changed.set()
        if not isinstance(event, DeviceUpdate):
            return
        match event.event:
            case StateChange(key=key, state=state):
                if (offer := self._by_place.get(event.device)) is not None:
                    self._tell(offer, key, state)
            case Occurrence(key=key) as occurrence:
                offer = self._by_place.get(event.device)
                if offer is None or key not in offer.services:
                    return
                if self._connector is not None and self._connector.is_ready:
                    self._queue.append(_Told(offer, key, occurrence))
                else:
                    # Who hears of it later would take it for the present.
                    place = printable(event.device)
                    _log.info("%s of %s is not told: no platform", key, place)
            case _:
                self._to_look_at[event.device] = None
                self._changed.set()

    def _tell_all(self, offer: Offer) -> None:
        for key, state in offer.served.states.items():
            self._tell(offer, key, state)

    def _tell(self, offer: Offer, key: str, state: State | None) -> None:
        if key in offer.services:
            self._queue.put((offer.id, key), _Told(offer, key, state))

    async def _send(self, connector: Connector) -> None:
        async for first in self._queue:
            await connector.wait_ready()
            # The first may have waited long, and be told again since.
            latest = {first.key: first}
            for _ in range(len(self._queue)):
                told = await anext(self._queue)
                latest[told.key] = told
            refused = connector.refused.keys()
            self._untold |= {one.offer.id for one in latest.values()} & refused
            offered = self._kept.devices().keys() - refused
            todo = (told for told in latest.values() if told.offer.id in offered)
            async with service_group(is_awaited=True) as tasks:
                for _ in range(_EVENTS_AT_ONCE):
                    tasks.start_soon(self._send_each, connector, todo)
            await anyio.sleep(self._section.every_s)

    async def _send_each(self, connector: Connector, todo: Iterator[_Told]) -> None:
        for told in todo:
            offer, service = told.offer, told.service
            entity = offer.served.entities.get(service)
            now = anyio.current_time()
            if entity is None or now < offer.refused.get(service, -math.inf):
                continue
            try:
                await connector.event(offer.id, service, told.data(entity))
            except PlatformRefused as exc:
                if service not in offer.refused:
                    name, why = printable(offer.served.name), error_text(exc)
                    _log.warning("events of %s, %s: %s", name, service, why)
                offer.refused[service] = now + _REFUSED_S
            except UsageError as exc:
                _log.debug("%s is not told: %s", service, error_text(exc))

    # ------------------------------------------------------------ commands

    async def _answer(self, command: Command) -> None:
        try:
            answer = await self._carried_out(command)
        except StructiotError as exc:
            why = error_text(exc)
            self._failures.say("%r is answered by a failure: %s", command, why)
            await command.fail(why)
        else:
            await command.respond(answer)

    async def _carried_out(self, command: Command) -> object:
        """Carry out a command, or read a state; give what is answered."""
        offer, service = self._offers.get(command.device_id), command.service
        if offer is None:
            raise UsageError("the gateway does not have this device, or not yet")
        served = offer.served
        entity = served.entities.get(service)
        name = printable(served.name, most=100)
        if entity is None or service not in offer.services:
            known = ", ".join(sorted(offer.services)) or "none"
            shown = printable(service, most=40)
            raise UsageError(f"{name} has no service {shown!r}; services: {known}")
        payload = command_payload(entity, command.data)
        if payload is not None:
            await served.carry_out(service, payload)
            return _DONE
        if isinstance(entity, Event):
            raise UsageError(f"{service} of {name} has no state: it only happens")
        if not served.is_available:
            raise LinkLost(f"{name} is not available")
        return state_data(entity, served.states.get(service))
