"""A Meross account: its devices as they come and go, and all that they tell."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text
from structiot.errors import (
    AuthRefused,
    PeerError,
    StructiotError,
    TransportError,
)
from structiot.meross.account_events import (
    AccountEvent,
    DeviceAdded,
    DeviceRemoved,
    DeviceRenamed,
)
from structiot.meross.budget import Budget
from structiot.meross.device import MerossDevice
from structiot.meross.features.feature import About, Channel
from structiot.meross.features.hub import is_hub
from structiot.meross.finding import device_called, devices_like
from structiot.meross.holder import DeviceHolder
from structiot.meross.link.brokers import BrokerPlace, Brokers
from structiot.meross.link.cloud import MerossCloud
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.notifications import Notification
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Stats
from structiot.meross.wire.device_list import CloudDevice, OnlineStatus
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.system import (
    ABILITY,
    ALL,
    SystemAll,
    max_batch_of,
    read_abilities,
    read_all,
)

__all__ = ["Meross"]

# The list is asked for again: a rename reaches us by no push.
LIST_EVERY_S: Final = 86_400.0
_LIST_PAUSE_S: Final = 60.0
_LEARN_AGAIN_S: Final = 300.0
# Devices that are asked at once what they can; those that are off take ten seconds.
_MOST_AT_ONCE: Final = 8
_BIND: Final = "Appliance.Control.Bind"
_UNBIND: Final = "Appliance.Control.Unbind"
_HUB_BIND: Final = "Appliance.Hub.Bind"

_log = logging.getLogger("structiot.meross")


class Meross:
    """An open account; made by `open_meross`, and safe to use from several tasks.

    Attributes:
        stats: Call it for what was sent, delayed, dropped and timed out.
        budget: What may still be sent through the cloud.
    """

    # Set by `begin`.
    _brokers: Brokers
    _router: Router

    def __init__(
        self,
        cloud: MerossCloud,
        budget: Budget,
        stats: Stats,
        holder: DeviceHolder,
        environment: Environment,
    ) -> None:
        self.stats: Stats = stats
        self.budget: Budget = budget
        self._cloud = cloud
        self._holder = holder
        self._environment = environment
        self._devices: dict[str, MerossDevice] = {}
        self._notes: FanOut[Mailbox[Notification]] = FanOut()
        self._events: FanOut[Mailbox[AccountEvent]] = FanOut()
        self._list_wanted = anyio.Event()
        # When each device that is not known is to be asked.
        self._to_learn: dict[str, float] = {}
        self._limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)
        self._learning = anyio.Event()
        self._lan_ports: Mapping[str, int] = {}

    def __repr__(self) -> str:
        return f"<Meross account of {len(self._devices)} devices>"

    # ------------------------------------------------------------ for its user

    @property
    def devices(self) -> Mapping[str, MerossDevice]:
        """All devices of the account by uuid, as they are at any moment."""
        return MappingProxyType(self._devices)

    @property
    def rate_limiter(self) -> RateLimitChecker | None:
        """What limits messages through the cloud; it may be replaced at any time."""
        return self.budget.rate_limiter

    @rate_limiter.setter
    def rate_limiter(self, rate_limiter: RateLimitChecker | None) -> None:
        self.budget.rate_limiter = rate_limiter

    def device(self, name_or_uuid: str) -> MerossDevice:
        """Give a device by its uuid, or by its name if only one is called so.

        Raises:
            UsageError: There is none, or there are several of this name.
        """
        return device_called(self._devices, name_or_uuid)

    def find(
        self,
        *,
        type: str | None = None,  # noqa: A002 - Meross's word for it
        ability: str | None = None,
        online: bool | None = None,
        name: str | None = None,
    ) -> list[MerossDevice]:
        """Give the devices that are all of this; all devices if nothing is said.

        Args:
            type: Such as `"mss310"`, in any case.
            ability: A namespace, such as `"Appliance.Control.ToggleX"`.
            online: Whether it can be reached.
            name: What it is called, in any case.
        """
        return devices_like(
            self._devices, model=type, ability=ability, is_online=online, name=name
        )

    @asynccontextmanager
    async def notifications(
        self, *, max_items: int = 1024
    ) -> AsyncGenerator[Mailbox[Notification]]:
        """Iterate over what any device tells by itself, through the cloud.

        Args:
            max_items: Notifications that wait for a slow consumer; the oldest are
                dropped and counted (`.dropped`).
        """
        box: Mailbox[Notification] = Mailbox(max_items, name="notifications of Meross")
        with self._notes.listening(box):
            yield box

    @asynccontextmanager
    async def events(
        self, *, max_items: int = 1024
    ) -> AsyncGenerator[Mailbox[AccountEvent]]:
        """Iterate over devices that come, go and are renamed, present ones first.

        That a device is offline or back is told by its own `events()`.

        Args:
            max_items: Events that wait for a slow consumer.
        """
        box: Mailbox[AccountEvent] = Mailbox(
            max(max_items, len(self._devices)), name="events of Meross"
        )
        for device in self._devices.values():
            box.put(DeviceAdded(device))
        with self._events.listening(box):
            yield box

    async def refresh(self) -> None:
        """Ask the cloud for the list of devices now.

        Raises:
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        await self._list()

    async def log_out(self) -> None:
        """Give the token back, so that the next opening signs in again.

        Raises:
            StructiotError: The cloud did not take it back.
        """
        await self._cloud.log_out()

    # ------------------------------------------------------------ what opening calls

    async def begin(
        self, brokers: Brokers, router: Router, lan_ports: Mapping[str, int]
    ) -> None:
        """List the devices for the first time."""
        self._brokers, self._router, self._lan_ports = brokers, router, lan_ports
        await self._list()

    def close(self) -> None:
        """End all iterators."""
        self._notes.close()
        self._events.close()

    async def keep_list(self) -> None:
        """List the devices anew each day and whenever one is bound, until cancelled."""
        while True:
            with anyio.move_on_after(LIST_EVERY_S):
                await self._list_wanted.wait()
            self._list_wanted = anyio.Event()
            try:
                await self._list()
            except AuthRefused:
                raise
            except (TransportError, PeerError) as exc:
                _log.warning("the list of devices: %s", error_text(exc))
            # Whoever may bind devices may not have it asked for without a pause.
            await anyio.sleep(_LIST_PAUSE_S)

    async def keep_learning(self) -> None:
        """Ask devices that are not known yet what they can, until cancelled."""
        while True:
            due_at = min(self._to_learn.values(), default=math.inf)
            with anyio.CancelScope(deadline=due_at):
                await self._learning.wait()
            self._learning = anyio.Event()
            now = anyio.current_time()
            due = [uuid for uuid, at in self._to_learn.items() if at <= now]
            async with service_group(is_awaited=True) as tg:
                for uuid in due:
                    self._to_learn[uuid] = now + _LEARN_AGAIN_S
                    tg.start_soon(self._learn, uuid)

    def _learn_soon(self, uuid: str, *, after_s: float = 0.0) -> None:
        at = anyio.current_time() + after_s
        self._to_learn[uuid] = min(at, self._to_learn.get(uuid, math.inf))
        self._learning.set()

    def pushed(self, envelope: Envelope) -> None:
        """Take what a device, or the cloud for it, told by itself."""
        if envelope.namespace == _BIND:
            self._list_wanted.set()
        device = self._devices.get(envelope.device_uuid or "")
        if device is None:
            return
        note = device.pushed(envelope)
        for box in self._notes:
            box.put(note)
        if envelope.namespace == _UNBIND:
            self._remove(device)
        elif envelope.namespace == _HUB_BIND:
            self._learn_soon(device.info.id, after_s=_LIST_PAUSE_S)
        elif device.info.id in self._to_learn:
            # It is there, then.
            self._learn_soon(device.info.id, after_s=_LIST_PAUSE_S)

    def connected(self, place: BrokerPlace) -> None:
        """A broker has accepted us: what devices told meanwhile was lost."""
        for device in self._devices.values():
            if device.route.broker == place:
                device.refresh_soon()

    def lost(self, place: BrokerPlace, error: StructiotError) -> None:
        """A broker cannot be reached."""
        for device in self._devices.values():
            if device.route.broker == place:
                device.cloud_lost(error_text(error))

    # ------------------------------------------------------------ inside

    async def _list(self) -> None:
        listed = {one.uuid: one for one in await self._cloud.devices()}
        for uuid in self._devices.keys() - listed.keys():
            self._remove(self._devices[uuid])
        for uuid, known in listed.items():
            device = self._devices.get(uuid)
            if device is None:
                self._add(known)
            else:
                self._update(device, known)

    def _add(self, known: CloudDevice) -> None:
        about = About(
            device=known.uuid,
            model=known.model or "unknown",
            system=SystemAll(uuid=known.uuid),
            abilities={},
            channels=_channels(known),
        )
        place = BrokerPlace(*known.broker)
        route = Route(known.uuid, broker=place, environment=self._environment)
        device = MerossDevice(
            about,
            route,
            self._router,
            name=known.name,
            lan_at=self._lan_link,
            environment=self._environment,
        )
        self._devices[known.uuid] = device
        self._holder.hold(device)
        self._brokers.connect(place)
        if known.status is OnlineStatus.OFFLINE:
            device.cloud_lost("it is not connected to the cloud")
        for box in self._events:
            box.put(DeviceAdded(device))
        self._learn_soon(known.uuid)

    def _update(self, device: MerossDevice, known: CloudDevice) -> None:
        before = device.info.name
        device.route.broker = place = BrokerPlace(*known.broker)
        self._brokers.connect(place)
        about = replace(device.about, channels=_channels(known))
        device.described(about, known.name)
        if device.info.name != before:
            for box in self._events:
                box.put(DeviceRenamed(device, before))

    def _remove(self, device: MerossDevice) -> None:
        self._devices.pop(device.info.id, None)
        self._to_learn.pop(device.info.id, None)
        self._holder.let_go(device)
        for box in self._events:
            box.put(DeviceRemoved(device))

    async def _learn(self, uuid: str) -> None:
        """Ask a device what it can and where it is, if it answers."""
        device = self._devices.get(uuid)
        if device is None:
            return
        async with self._limiter:
            try:
                ability = await self._router.request(device.route, Method.GET, ABILITY)
                reply = await self._router.request(device.route, Method.GET, ALL)
            except (TransportError, PeerError) as exc:
                _log.debug("%s: not known yet: %s", device.info.name, error_text(exc))
                return
        if self._devices.get(uuid) is not device:
            return
        del self._to_learn[uuid]
        system, abilities = read_all(reply.payload), read_abilities(ability.payload)
        about = replace(
            device.about,
            model=system.model or device.about.model,
            system=system,
            abilities=abilities,
        )
        device.route.batches.max_requests = max_batch_of(abilities)
        device.described(about, device.info.name)
        device.take(ALL, reply.payload)
        if is_hub(system.digest, abilities):
            await self._list_subdevices(device)

    def _lan_link(self, system: SystemAll) -> LanLink:
        """Make the way to a device in the local network."""
        host = system.lan_host or ""
        return LanLink(
            host,
            self._lan_ports.get(host, 80),
            key=self._cloud.credentials.key.reveal(),
            uuid=system.uuid,
            mac=system.mac,
            environment=self._environment,
        )

    async def _list_subdevices(self, hub: MerossDevice) -> None:
        try:
            hub.listed(await self._cloud.subdevices(hub.info.id))
        except AuthRefused:
            raise
        except (TransportError, PeerError) as exc:
            _log.warning("subdevices of %s: %s", hub.info.name, error_text(exc))


def _channels(known: CloudDevice) -> tuple[Channel, ...]:
    return tuple(
        Channel(number=one.index, name=one.name, kind=one.kind)
        for one in known.channels
    )
