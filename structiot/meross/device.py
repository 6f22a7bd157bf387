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
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from structiot._device.poller import Poller
from structiot._device.schedule import PollSchedule
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.json_text import integer_of
from structiot._kit.text import error_text
from structiot.errors import AuthRefused, LinkLost, StructiotError
from structiot.meross.composition import Composition
from structiot.meross.errors import CallDropped
from structiot.meross.features.energy_days import zone_of
from structiot.meross.features.feature import About, Feature, Request, Update
from structiot.meross.features.hub import Hub
from structiot.meross.features.hub_roster import HubUpdate
from structiot.meross.features.requests import checked_request
from structiot.meross.handling import Handling
from structiot.meross.hub import HubSubdevices
from structiot.meross.info import info_of
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.notifications import NoteBox, Notification, note_of
from structiot.meross.polls import (
    CLOUD_LIVE_S,
    CLOUD_POLL_S,
    LAN_POLL_S,
    PollPlan,
    poll_s_of,
)
from structiot.meross.wire.device_list import CloudSubdevice
from structiot.meross.wire.envelope import Envelope, Method, Payload
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
        on_availability: Callable[[MerossDevice], None] = lambda _: None,
        on_wanted: Callable[[MerossDevice], None] = lambda _: None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self._name = name
        self._parts = Composition(about)
        self._route = route
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
        self._plan = PollPlan()
        self._subdevices = HubSubdevices(self, environment)
        self._boxes: FanOut[Mailbox[Notification]] = FanOut()
        super().__init__(
            info_of(about, name),
            self._parts.entities,
            schedule=PollSchedule(poll_s=LAN_POLL_S, burst_s=2.0, burst_polls=2),
            environment=environment,
        )

    @property
    def about(self) -> About:
        """Its abilities, its channels, and what it said of itself."""
        return self._parts.about

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it is composed of."""
        return self._parts.features

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
        self._on_wanted(self)
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

    async def request(
        self, namespace: str, method: str = "GET", payload: Payload | None = None
    ) -> Payload:
        """Ask something, or order something, that structiot does not know.

        Cancelled, it may have been carried out.

        Args:
            namespace: Such as `"Appliance.System.Debug"`.
            method: `"GET"`, `"SET"`, `"DELETE"` or `"PUSH"`.
            payload: As the device wants it, of JSON values.

        Returns:
            The payload of the answer.

        Raises:
            UsageError: No such method, or a payload that is no JSON.
            StructiotError: As `command`.
        """
        request = checked_request(namespace, method, payload or {})
        self._check_open()
        reply = await self._router.request(
            self._route, request.method, namespace, request.payload, is_command=True
        )
        if reply.method not in {Method.SETACK, Method.DELETEACK}:
            self.take(namespace, reply.payload)
        return reply.payload

    async def refresh(self) -> None:
        """Ask once for all states, in as few messages as may be.

        Raises:
            StructiotError: As `request`, where nothing at all was answered.
        """
        await self.known()
        self._plan.forget()
        due = self._plan.due(self._parts.polls, is_local=self._is_local)
        await self._poller.refresh(partial(self._ask_due, due, is_command=True))

    async def _ask(self, questions: Sequence[Request]) -> list[Payload]:
        answers = await self._router.request_many(
            self._route, questions, is_command=True
        )
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, StructiotError):
                raise answer
            self.take(question.namespace, answer.payload)
        return [one.payload for one in answers if isinstance(one, Envelope)]

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

    async def order(self, requests: Sequence[Request]) -> None:
        """Send the requests of a command, one after the other.

        Raises:
            StructiotError: As `command`.
        """
        async with self._commanding():
            for request in requests:
                self._parts.ordered(request.namespace)
                reply = await self._router.request(
                    self._route,
                    request.method,
                    request.namespace,
                    request.payload,
                    is_repeatable=not request.is_relative,
                    is_command=True,
                )
                self._parts.ordered(request.namespace)
                at_utc = self._environment.now_utc()
                for feature in self._parts.concerned(request.namespace):
                    update = feature.acknowledged(request, reply.payload, at_utc)
                    self._taken(feature, update, at_utc)

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

    def refused(self, error: AuthRefused) -> None:
        """Take it that it does not accept us: it is left alone."""
        self._refusal = error_text(error)
        self._lost(self._refusal)

    def refresh_soon(self) -> None:
        """Have all asked for again: what it told meanwhile was lost."""
        self._plan.forget()
        self._refusal, self._polled_at = "", -math.inf
        self._poller.poll_by(anyio.current_time())

    # ------------------------------------------------------------ inside

    async def _command(self, key: str, command: Command) -> None:
        now_utc = self._environment.now_utc()
        await self.order(self._parts.orders(key, command, now_utc))

    async def _poll(self) -> None:
        at_utc = self._environment.now_utc()
        for feature in self._parts.features:
            self._taken(feature, feature.passed(at_utc), at_utc)
        due = self._plan.due(self._parts.polls, is_local=self._is_local)
        self._poller.schedule.poll_s = poll_s_of(is_local=self._is_local)
        now = anyio.current_time()
        if now < self._plan.look_at:
            self._poller.poll_by(self._plan.look_at)
        is_left_alone = not due or now < self._polled_at + CLOUD_LIVE_S
        is_away = not self.is_available and not self._is_local
        if self._refusal or (is_away and is_left_alone):
            raise LinkLost(self._refusal or self.availability.reason)
        if due:
            self._polled_at = now
        if self._lan_at is not None and not self.has_told:
            self._on_wanted(self)
            return
        if not due:
            return
        try:
            await self._ask_due(due, is_command=False)
        except CallDropped as exc:
            if not self.is_available:
                raise
            # The budget has no room: that says nothing of the device.
            self._poller.poll_by(now + (exc.retry_after_s or CLOUD_POLL_S))
        except AuthRefused as exc:
            if self._lan_at is None:
                raise
            self.refused(exc)
            raise LinkLost(self._refusal) from exc

    async def _ask_due(self, due: Sequence[Request], *, is_command: bool) -> None:
        """Ask what is due, and take the answers."""
        self._parts.asked()
        answers = await self._router.request_many(
            self._route, due, is_command=is_command
        )
        await self._know_zone()
        self._take_answers(due, answers)

    def _take_answers(
        self, asked: Sequence[Request], answers: Sequence[Envelope | StructiotError]
    ) -> None:
        errors: list[StructiotError] = []
        for request, answer in zip(asked, answers, strict=True):
            if isinstance(answer, StructiotError):
                errors.append(answer)
            elif self._parts.is_overtaken(request.namespace):
                self._poller.poll_by(anyio.current_time())
            else:
                self._plan.answered(request.namespace)
                self.take(request.namespace, answer.payload)
        if len(errors) == len(asked):
            raise errors[0]

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

    @property
    def _is_local(self) -> bool:
        return self._router.is_local(self._route)

    def take(self, namespace: str, payload: Payload) -> None:
        """Take what the device has answered, or told."""
        at_utc = self._environment.now_utc()
        if namespace == ALL:
            self._take_all(payload, at_utc)
            return
        for feature in self._parts.concerned(namespace):
            self._taken(feature, feature.take(namespace, payload, at_utc), at_utc)

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
        for feature in self._parts.features:
            update = feature.take_digest(system.digest, at_utc)
            self._taken(feature, update, at_utc)
        self.has_told = True
        self._note_known()

    def _taken(self, feature: Feature, update: Update, at_utc: datetime) -> None:
        if isinstance(feature, Hub) and isinstance(update, HubUpdate):
            self._subdevices_told(feature, update)
        if update.entities_changed:
            self._describe(self.info, self._parts.entities)
        if update.states or update.readings:
            self._tell(update.states, update.readings, at_utc=at_utc)
        for one in update.happened:
            self._tell_occurrence(
                one.key, one.event_type, data=one.data, at_utc=one.at_utc
            )
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
