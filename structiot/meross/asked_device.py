"""A Meross device as it is asked: by polls, by requests of its user, and by orders."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import anyio

from structiot._kit.text import error_text
from structiot.errors import AuthRefused, LinkLost, StructiotError
from structiot.meross.composition import Composition
from structiot.meross.errors import CallDropped
from structiot.meross.features.feature import About, Feature, Request, Update
from structiot.meross.features.requests import checked_request
from structiot.meross.hub import DeviceWithSubdevices
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.polls import CLOUD_LIVE_S, CLOUD_POLL_S, PollPlan
from structiot.meross.turning import Turning
from structiot.meross.wire.envelope import Envelope, Method, Payload
from structiot.meross.wire.system import SystemAll

__all__ = ["AskedDevice"]


class AskedDevice(DeviceWithSubdevices, Turning, ABC):
    """Asks a device; who it is and what it has told is for `MerossDevice`."""

    # Set before the device is made.
    _parts: Composition
    _plan: PollPlan
    _route: Route
    _router: Router
    _lan_at: Callable[[SystemAll], LanLink] | None
    # Why it is not asked any more; empty while it is.
    _refusal: str
    _polled_at: float
    has_told: bool

    @property
    def about(self) -> About:
        """Its abilities, its channels, and what it said of itself."""
        return self._parts.about

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it is composed of."""
        return self._parts.features

    @abstractmethod
    async def known(self) -> None:
        """Wait until the device has told what it can."""

    @abstractmethod
    def take(self, namespace: str, payload: Payload) -> None:
        """Take what the device has answered, or told."""

    @abstractmethod
    def _taken(
        self,
        feature: Feature,
        update: Update,
        at_utc: datetime,
        every_s: float | None = None,
    ) -> None:
        """Tell what a feature has made of that, and how often there is such."""

    @abstractmethod
    def _want(self) -> None:
        """Say that somebody waits for it to be asked what it can."""

    @abstractmethod
    async def _know_zone(self) -> None:
        """Look up the device's time zone."""

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
        request = checked_request(namespace, method, {} if payload is None else payload)
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

    async def order(self, requests: Sequence[Request]) -> None:
        """Send the requests of a command, one after the other.

        Raises:
            StructiotError: As `command`.
        """
        acknowledged: list[tuple[Request, Payload]] = []
        async with self._commanding():
            try:
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
                    acknowledged.append((request, reply.payload))
            finally:
                # At once: what is between two requests is not worth telling.
                self._acknowledged(acknowledged)

    def _acknowledged(self, replies: Sequence[tuple[Request, Payload]]) -> None:
        at_utc = self._environment.now_utc()
        for request, payload in replies:
            for feature in self._parts.concerned(request.namespace):
                update = feature.acknowledged(request, payload, at_utc)
                self._taken(feature, update, at_utc)

    def refused(self, error: AuthRefused) -> None:
        """Take it that it does not accept us: it is left alone."""
        self._refusal = error_text(error)
        self._lost(self._refusal)

    def refresh_soon(self) -> None:
        """Have all asked for again: what it told meanwhile was lost."""
        self._plan.forget()
        self._refusal, self._polled_at = "", -math.inf
        self._poller.poll_by(anyio.current_time())

    async def _poll(self) -> None:
        self._pass()
        due = self._plan.due(self._parts.polls, is_local=self._is_local)
        self._poller.schedule.poll_s = self._plan.poll_s(is_local=self._is_local)
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
            self._want()
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

    def _pass(self) -> None:
        """Have what takes its time be done, if that is over."""
        at_utc = self._environment.now_utc()
        for feature in self.features:
            self._taken(feature, feature.passed(at_utc), at_utc)

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

    @property
    def _is_local(self) -> bool:
        return self._router.is_local(self._route)
