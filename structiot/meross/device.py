"""A Meross device: polled in the local network, told of by the cloud.

It is composed of features, one for each ability that is known (`features/`). What it says
comes as answers to polls and commands, and as pushes; all of it goes through `_taken`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import anyio
import anyio.to_thread

from structiot._device.poller import Poller
from structiot._device.schedule import PollSchedule
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.json_text import integer_of
from structiot._kit.zones import zone_of
from structiot.errors import LinkLost
from structiot.meross.composition import Composition
from structiot.meross.errors import CallDropped
from structiot.meross.features.feature import About, Feature, Update
from structiot.meross.features.hub import Hub
from structiot.meross.features.hub_roster import HubUpdate
from structiot.meross.handling import Handling
from structiot.meross.hub import HubSubdevices
from structiot.meross.info import info_of
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.notifications import NoteBox, Notification, note_of
from structiot.meross.polls import (
    LAN_POLL_S,
    PollPlan,
)
from structiot.meross.wire.device_list import CloudSubdevice
from structiot.meross.wire.envelope import Envelope, Payload
from structiot.meross.wire.payloads import object_of
from structiot.meross.wire.system import ALL, SystemAll, read_all
from structiot.model import Command

__all__ = ["ONLINE", "MerossDevice"]

_KNOWN_S: Final = 60.0
ONLINE: Final = "Appliance.System.Online"


class MerossDevice(Handling):
    """A device of the model `structiot.model.Device`; see the module's text.

    It is made and opened by `open_meross` and `open_meross_lan`.

    Args:
        about: What is known of it.
        route: The ways to it.
        router: Who sends requests.
        name: What its user calls it.
        lan_at: Makes the way to it at the address that it tells; None where that is
            given. It is one of an account, then: it is not waited for, and what it
            refuses is its own matter.
        poll_s: Time between two polls in the local network.
        on_availability: Is told when it went away or is back.
        on_wanted: Is told when somebody waits for it to be known.
        environment: Network, host network, clock and chance.
    """

    def __init__(
        self,
        about: About,
        route: Route,
        router: Router,
        *,
        name: str | None = None,
        lan_at: Callable[[SystemAll], LanLink] | None = None,
        poll_s: float = LAN_POLL_S,
        on_availability: Callable[[MerossDevice], None] = lambda _: None,
        on_wanted: Callable[[MerossDevice], None] = lambda _: None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self._name = name
        self._parts = Composition(about)
        self._route = route
        self._route.name = name or ""
        self._router = router
        self._lan_at = lan_at
        self._on_availability, self._on_wanted = on_availability, on_wanted
        # Why it was not asked what it can, where that was not its own fault.
        self.not_known: CallDropped | None = None
        self._known = anyio.Event()
        # Whether it has told all of its states since this was made.
        self.has_told: bool = False
        # Why it is not asked any more; empty while it is.
        self._refusal = ""
        self._polled_at = -math.inf
        self._zone_name: str | None = None
        self._plan = PollPlan(poll_s)
        self._subdevices = HubSubdevices(self, environment)
        self._boxes: FanOut[Mailbox[Notification]] = FanOut()
        super().__init__(
            info_of(about, name),
            self._parts.entities,
            schedule=PollSchedule(poll_s=poll_s, burst_s=2.0, burst_polls=2),
            environment=environment,
        )

    @property
    def route(self) -> Route:
        """The ways to it."""
        return self._route

    # ------------------------------------------------------------ for its user

    async def known(self) -> None:
        """Wait until it has told what it can and its states, as its commands do.

        Each program asks once for the states, what it can is remembered. A hub has told
        what hangs on it then.

        Raises:
            LinkLost: It has not within a minute: it is off, say.
            CallDropped: The budget has had no room to ask it.
        """
        if self._known.is_set():
            await anyio.lowlevel.checkpoint()
            return
        self._want()
        with anyio.move_on_after(_KNOWN_S):
            await self._known.wait()
            return
        if self.not_known is not None:
            raise copy(self.not_known)
        raise LinkLost(self.availability.reason or "it has not told what it can")

    async def command(self, key: str, command: Command) -> None:
        """Carry out a command on the entity `key`, once the device is known.

        Cancelled, it may have been carried out.

        Raises:
            UsageError: No such entity, or a value that it cannot take.
            CallDropped: The budget of messages through the cloud is spent.
            PeerError: The device refused.
            TransportError: The device could not be reached.
        """
        self._check_open()
        await self.known()
        await super().command(key, command)

    @asynccontextmanager
    async def notifications(
        self, *, max_items: int = 256
    ) -> AsyncGenerator[Mailbox[Notification]]:
        """Iterate over what the device tells by itself, through the cloud.

        Args:
            max_items: Notifications that wait for a slow consumer; the oldest are
                dropped and counted (`.dropped`).
        """
        self._check_open()
        box = NoteBox(max_items, name=f"notifications of {self._label}")
        with self._boxes.listening(box):
            yield box

    # ------------------------------------------------------------ for the account

    @property
    def poller(self) -> Poller:
        """Who polls it; what hangs on it is polled by the same."""
        return self._poller

    def pushed(self, envelope: Envelope) -> Notification:
        """Take what the device told by itself."""
        note = note_of(self, envelope, self._environment.now_utc())
        for box in self._boxes:
            box.put(note)
        if envelope.namespace == ONLINE:
            status = integer_of(object_of(envelope.payload, "online").get("status"))
            if status == 1:
                self._poller.heard()
            elif status is not None:
                self.cloud_lost("it is not connected to the cloud")
        else:
            self.take(envelope.namespace, envelope.payload)
        return note

    def described(self, about: About, name: str | None) -> None:
        """Take it that the device is described anew: by the cloud, or by itself."""
        self._refusal = ""
        if self._parts.describe(about):
            self._plan.forget()
        self._name = name
        self._route.name = name or ""
        self._describe(info_of(about, name), self._parts.entities)
        self._note_known()

    def listed(self, subdevices: Sequence[CloudSubdevice]) -> None:
        """Take the cloud's list of what hangs on it."""
        at_utc = self._environment.now_utc()
        for feature in self._parts.features:
            if isinstance(feature, Hub):
                self._taken(feature, feature.take_cloud(subdevices, at_utc), at_utc)

    def cloud_lost(self, reason: str) -> None:
        """Take it that the cloud does not reach it, or we not the cloud."""
        if not self._is_local:
            self._lost(reason)

    # ------------------------------------------------------------ inside

    @property
    def _is_metered(self) -> bool:
        is_known = bool(self.about.abilities)
        return not is_known or any(one.is_metered for one in self.features)

    async def _command(self, key: str, command: Command) -> None:
        now_utc = self._environment.now_utc()
        await self.order(self._parts.orders(key, command, now_utc))

    def _want(self) -> None:
        self._on_wanted(self)

    def _note_known(self) -> None:
        """Whether it has told what it can and, in this program, its states."""
        if self.about.abilities and self.has_told:
            self._known.set()

    async def _know_zone(self) -> None:
        """Look up the device's time zone, once it has told its name."""
        name = self.about.system.timezone
        if name != self._zone_name:
            zone = await anyio.to_thread.run_sync(zone_of, name)
            self._zone_name = name
            self.described(replace(self.about, zone=zone), self._name)

    def take(self, namespace: str, payload: Payload) -> None:
        """Take what the device has answered, or told."""
        at_utc = self._environment.now_utc()
        if namespace == ALL:
            self._take_all(payload, at_utc)
            return
        every_s = self._every_s(namespace)
        for feature in self._parts.concerned(namespace):
            update = feature.take(namespace, payload, at_utc)
            self._taken(feature, update, at_utc, every_s)

    def _every_s(self, namespace: str) -> float:
        paces = self._parts.paces(namespace)
        return self._plan.every_s(paces, is_local=self._is_local)

    def _take_all(self, payload: Payload, at_utc: datetime) -> None:
        system = read_all(payload)
        about = self.about
        if system.uuid == about.system.uuid:
            model = system.model or about.model
            self.described(replace(about, model=model, system=system), self._name)
            lan, host = self._route.lan, system.lan_host
            if self._lan_at and host and (lan is None or lan.host != host):
                self._route.lan = self._lan_at(system)
        self._plan.answered(ALL)
        every_s = self._plan.all_every_s(is_local=self._is_local)
        for feature in self._parts.features:
            update = feature.take_digest(system.digest, at_utc)
            self._taken(feature, update, at_utc, every_s)
        self.has_told = True
        self._note_known()

    def _taken(
        self,
        feature: Feature,
        update: Update,
        at_utc: datetime,
        every_s: float | None = None,
    ) -> None:
        if isinstance(feature, Hub) and isinstance(update, HubUpdate):
            self._subdevices_told(feature, update, every_s)
        if update.entities_changed:
            self._describe(self.info, self._parts.entities)
        self._tell_update(update, at_utc, every_s)
        if update.look_again_s is not None:
            self._plan.look_again(feature.polls, update.look_again_s)
            self._poller.poll_by(self._plan.look_at)

    def _tell_availability(self, **told: Any) -> bool:  # noqa: ANN401 - as it is
        if is_news := super()._tell_availability(**told):
            self._on_availability(self)
        return is_news

    async def _opening(self) -> None:
        if self._lan_at is None:
            await super()._opening()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        try:
            async with self._subdevices.running(), super()._running():
                yield
        finally:
            self._boxes.close()
