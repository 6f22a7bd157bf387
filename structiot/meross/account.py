"""A Meross account: its devices as they come and go, and all that they tell."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from structiot._kit.arguments import check_argument
from structiot._kit.environment import Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.text import counted, error_text
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    StructiotError,
)
from structiot.meross.account_events import (
    AccountEvent,
    DeviceAdded,
    DeviceBound,
    DeviceOffline,
    DeviceOnline,
    DeviceRemoved,
    DeviceRenamed,
)
from structiot.meross.budget import Budget
from structiot.meross.device import ONLINE, MerossDevice
from structiot.meross.features.feature import About
from structiot.meross.features.hub import is_hub
from structiot.meross.finding import device_called, devices_like
from structiot.meross.holder import DeviceHolder
from structiot.meross.learning import Learning
from structiot.meross.link.brokers import BrokerPlace, Brokers
from structiot.meross.link.cloud import MerossCloud
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.listing import LIST_PAUSE_S, Listing
from structiot.meross.notifications import NoteBox, Notification
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Stats
from structiot.meross.strangers import Strangers
from structiot.meross.wire.device_list import CloudDevice, OnlineStatus
from structiot.meross.wire.envelope import Envelope
from structiot.meross.wire.system import SystemAll, max_batch_of

__all__ = ["Meross"]

# How long opening waits for the cloud where the devices are known from before.
_CLOUD_S: Final = 5.0
# So many devices of a list are made before others have their turn.
_IN_A_ROW: Final = 16
# What a device can is asked once in its life, when those that are used were asked.
_UNUSED_S: Final = 5.0
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
        *,
        budget: Budget,
        stats: Stats,
        holder: DeviceHolder,
        learning: Learning,
        poll_s: float,
        environment: Environment,
    ) -> None:
        self.stats: Stats = stats
        self.budget: Budget = budget
        self._cloud = cloud
        self._holder = holder
        self._learning = learning
        self._poll_s = poll_s
        self._environment = environment
        self._devices: dict[str, MerossDevice] = {}
        self._notes: FanOut[Mailbox[Notification]] = FanOut()
        self._events: FanOut[Mailbox[AccountEvent]] = FanOut()
        self._listing = Listing(self._list, environment.random)
        self._taking = anyio.Lock()
        self._strangers = Strangers()

    def __repr__(self) -> str:
        return f"<Meross account of {counted(len(self._devices), 'device')}>"

    # ------------------------------------------------------------ for its user

    @property
    def devices(self) -> Mapping[str, MerossDevice]:
        """All devices of the account by uuid, as it is now: they stay so while one waits."""
        return MappingProxyType(self._devices)

    @property
    def brokers(self) -> Brokers:
        """The connections to its brokers."""
        return self._brokers

    @property
    def list_error(self) -> StructiotError | None:
        """Why the cloud did not list the devices when it was asked last; None if it did.

        They are those of before then, and it is asked again within a quarter of an hour.
        """
        return self._listing.error

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
        wanted = {"model": type, "ability": ability, "name": name}
        return devices_like(self._devices, is_online=online, **wanted)

    @asynccontextmanager
    async def notifications(
        self, *, max_items: int = 1024
    ) -> AsyncGenerator[Mailbox[Notification]]:
        """Iterate over what any device tells by itself, through the cloud.

        Args:
            max_items: Notifications that wait for a slow consumer; the oldest are
                dropped and counted (`.dropped`).
        """
        box = NoteBox(max_items, name="notifications of Meross")
        with self._notes.listening(box):
            yield box

    @asynccontextmanager
    async def events(
        self, *, max_items: int = 1024
    ) -> AsyncGenerator[Mailbox[AccountEvent]]:
        """Iterate over what becomes of the devices, those that are there first.

        Args:
            max_items: Events that wait for a slow consumer.
        """
        check_argument("max_items", max_items, int)
        box: Mailbox[AccountEvent] = Mailbox(
            max(max_items, 2 * len(self._devices)), name="events of Meross"
        )
        for device in self._devices.values():
            box.put(DeviceAdded(device))
            if not device.is_available:
                box.put(DeviceOffline(device, device.availability.reason))
        with self._events.listening(box):
            yield box

    async def refresh(self) -> None:
        """Ask the cloud for the list of devices now.

        Raises:
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        await self._listing.ask()

    async def log_out(self) -> None:
        """Give the token back, so that the next opening signs in again.

        Raises:
            StructiotError: The cloud did not take it back.
        """
        await self._cloud.log_out()

    # ------------------------------------------------------------ what opening calls

    async def begin(self, brokers: Brokers, router: Router, tg: TaskGroup) -> None:
        """List the devices for the first time, and have the list be kept true.

        Where the cloud does not answer soon they are those that it listed before, if
        there is a way to them without it.
        """
        self._brokers, self._router = brokers, router
        await self._learning.begin()
        before = () if router.policy == "cloud_only" else self._learning.listed()
        if before:
            self._listing.want()
        else:
            await self._listing.ask()
        tg.start_soon(self._listing.run, brokers, name="structiot.meross list")
        tg.start_soon(self._keep_learning, name="structiot.meross learn")
        if before and not await self._listing.is_there(within_s=_CLOUD_S):
            text = "taken as the cloud has listed it before, and may be otherwise: %s"
            _log.warning(text, counted(len(before), "device"))
            async with self._taking:
                if not self._devices:
                    await self._take(before)

    def close(self) -> None:
        """End all iterators."""
        self._notes.close()
        self._events.close()

    async def _keep_learning(self) -> None:
        """Ask devices that are not known yet what they can, until cancelled."""
        router, learnt = self._router, self._list_subdevices
        await self._learning.run(lambda: self._devices, router, learnt)

    def lan_failed(self, uuid: str) -> None:
        """A device is not where it was in the local network: it is asked where it is."""
        self._learning.soon(uuid)

    def pushed(self, envelope: Envelope) -> None:
        """Take what a device, or the cloud for it, told by itself."""
        uuid = envelope.device_uuid or ""
        device = self._devices.get(uuid)
        if envelope.namespace == _BIND:
            self._listing.want()
        if device is None:
            if self._strangers.met(uuid):
                self._listing.want()
            return
        note = device.pushed(envelope)
        for box in self._notes:
            box.put(note)
        if envelope.namespace == _UNBIND:
            self._remove(device)
        elif envelope.namespace == ONLINE and self._router.is_local(device.route):
            # The cloud alone may have lost it.
            self._learning.soon(uuid)
        elif envelope.namespace == _HUB_BIND or self._learning.is_asking(uuid):
            # It is there, then.
            self._learning.soon(uuid, after_s=LIST_PAUSE_S)

    def connected(self, place: BrokerPlace) -> None:
        """A broker has accepted us: what devices told meanwhile was lost."""
        self._listing.can_be_asked()
        for device in self._devices.values():
            if device.route.broker == place:
                device.refresh_soon()
                if not device.about.abilities:
                    self._learning.soon(device.info.id)

    def lost(self, place: BrokerPlace, error: StructiotError) -> None:
        """A broker cannot be reached; why it refuses us, the list may tell."""
        if isinstance(error, AuthRefused | CertificateRefused):
            self._listing.want()
        for device in self._devices.values():
            if device.route.broker == place:
                device.cloud_lost(error_text(error))

    # ------------------------------------------------------------ inside

    async def _list(self) -> None:
        listed = {one.uuid: one for one in await self._cloud.devices()}
        key = self._cloud.credentials.key
        if self._learning.use_key(key, self._devices.values()):
            self._brokers.use_key(key.reveal())
        self._brokers.keep_only(one.broker for one in listed.values())
        async with self._taking:
            await self._learning.remember_list(listed)
            for uuid in self._devices.keys() - listed.keys():
                self._remove(self._devices[uuid])
            await self._take(listed.values())

    async def _take(self, listed: Iterable[CloudDevice]) -> None:
        for number, known in enumerate(listed, 1):
            device = self._devices.get(known.uuid)
            if device is None:
                self._add(known)
            else:
                self._update(device, known)
            if not number % _IN_A_ROW:
                await anyio.lowlevel.checkpoint()

    def _add(self, known: CloudDevice) -> None:
        about = About(
            device=known.uuid,
            model=known.model or "unknown",
            system=SystemAll(uuid=known.uuid),
            abilities={},
            channels=known.channels,
        )
        about = self._learning.remembered(about)
        place = self._brokers.place_of(known.broker)
        route = Route(
            known.uuid,
            broker=place,
            max_batch=max_batch_of(about.abilities, about.system),
            environment=self._environment,
        )
        if about.system.lan_host and self._router.policy != "cloud_only":
            route.lan = self._learning.lan_link(about.system, about.abilities)
        device = MerossDevice(
            about,
            route,
            self._router,
            name=known.name,
            lan_at=self._learning.lan_link,
            on_availability=self._tell_availability,
            on_wanted=self._learning.want,
            poll_s=self._poll_s,
            environment=self._environment,
        )
        self._devices = {**self._devices, known.uuid: device}
        self._holder.hold(device)
        self._brokers.connect(place)
        self._tell(DeviceAdded(device))
        if self._strangers.listed(known.uuid):
            self._tell(DeviceBound(device))
        self._note_status(device, known)
        if not about.abilities:
            self._learning.soon(known.uuid, after_s=_UNUSED_S)

    def _update(self, device: MerossDevice, known: CloudDevice) -> None:
        before = device.info.name
        device.route.broker = place = self._brokers.place_of(known.broker)
        self._brokers.connect(place)
        about = replace(device.about, channels=known.channels)
        device.described(about, known.name)
        if device.info.name != before:
            self._tell(DeviceRenamed(device, before))
        if not device.has_told:
            self._note_status(device, known)
        if known.firmware != about.system.firmware:
            self._learning.soon(known.uuid)

    def _note_status(self, device: MerossDevice, known: CloudDevice) -> None:
        if known.status is OnlineStatus.OFFLINE:
            device.cloud_lost("it is not connected to the cloud")

    def _remove(self, device: MerossDevice) -> None:
        # Somebody may be going through those that were there.
        self._devices = {
            k: one for k, one in self._devices.items() if one is not device
        }
        self._holder.let_go(device)
        self._tell(DeviceRemoved(device))

    def _tell_availability(self, device: MerossDevice) -> None:
        if self._devices.get(device.info.id) is device:
            reason, is_back = device.availability.reason, device.is_available
            news = DeviceOnline(device) if is_back else DeviceOffline(device, reason)
            self._tell(news)

    def _tell(self, event: AccountEvent) -> None:
        for box in self._events:
            box.put(event)

    async def _list_subdevices(self, hub: MerossDevice) -> None:
        """List what hangs on a device that has told what it can, if it is a hub."""
        if is_hub(hub.about.system.digest, hub.about.abilities):
            ask = self._cloud.subdevices
            listed = await self._learning.subdevices_of(hub.info.id, ask)
            if listed is not None:
                hub.listed(listed)
