"""Requests to devices by whichever way there is, many of them in one message.

The local network is tried first, and costs nothing; the cloud is asked where that fails,
within the budget. What may have been done already is not asked twice if it would do harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import (
    CommandRefused,
    ConnectFailed,
    LinkLost,
    PeerError,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    TransportError,
)
from structiot.meross.budget import Budget
from structiot.meross.errors import CallDropped
from structiot.meross.features.feature import Request
from structiot.meross.link.batching import Answer, ask_many
from structiot.meross.link.brokers import Brokers
from structiot.meross.link.exchange import at_the_right_time
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Policy, Route
from structiot.meross.stats import Call, Stats, Transport
from structiot.meross.wire.batch import MULTIPLE
from structiot.meross.wire.envelope import Envelope, Method, Payload
from structiot.meross.wire.system import ALL

__all__ = ["Router"]

# How long the local network may take where there is another way.
_LAN_S: Final = 3.0
# After these a device may have done what it was asked.
_UNSURE: Final = (ReplyTimeout, LinkLost, ProtocolViolation)
# After these it is there, and did not understand.
_BROKEN: Final = (LinkLost, ProtocolViolation)


class Router:
    """Sends requests by the ways that a policy allows; safe to use from several tasks.

    Args:
        stats: Is told of every call.
        brokers: The cloud's; None without a cloud.
        budget: Of messages through the cloud.
        policy: Which ways to take where a route does not say.
        on_lan_failed: Is told which device was not reached in the local network, and
            answered through the cloud; once until it is reached there again.
        environment: Makes ids up.

    Attributes:
        policy: As given; it may be changed.
    """

    def __init__(
        self,
        stats: Stats,
        *,
        brokers: Brokers | None = None,
        budget: Budget | None = None,
        policy: Policy = "lan_first",
        on_lan_failed: Callable[[str], None] = lambda _: None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self.policy: Policy = policy
        self._stats = stats
        self._brokers = brokers
        self._budget = budget
        self._on_lan_failed = on_lan_failed
        self._environment = environment

    async def request(
        self,
        route: Route,
        method: Method,
        namespace: str,
        payload: Payload | None = None,
        *,
        is_repeatable: bool = True,
        is_command: bool | None = None,
        policy: Policy | None = None,
        timeout_s: float = 10.0,
    ) -> Envelope:
        """Ask a device something, and wait for its answer.

        Whoever is cancelled does not know whether the device has done it.

        Args:
            route: The ways to the device.
            method: GET, SET or PUSH.
            namespace: Such as `"Appliance.Control.ToggleX"`.
            payload: What is asked; nothing by default.
            is_repeatable: False for what must not be done twice, such as to move by so
                much.
            is_command: Whether somebody waits for it, who goes before polls; by default
                if it is a SET.
            policy: Which ways to take, other than the route's.
            timeout_s: Longest wait for an answer. In the cloud the connection and the
                budget may take as long before.

        Returns:
            The answer, verified.

        Raises:
            ConnectFailed: There is no way to the device.
            CallDropped: The budget has no room.
            ReplyTimeout: No answer in time.
            LinkLost: The connection ended meanwhile.
            DeviceReplaced: Another device is at its address.
            AuthRefused: The key, or the account, is not accepted.
            MerossRefused: The device answers with an error.
            ProtocolViolation: What answers makes no sense.
        """
        request = Request(method=method, namespace=namespace, payload=payload or {})
        policy = policy or route.policy or self.policy
        is_command = method is Method.SET if is_command is None else is_command
        lan = route.lan if policy != "cloud_only" else None
        has_cloud = policy != "lan_only" and self._has_cloud(route)
        lan_error: StructiotError | None = None
        if lan is not None and (not has_cloud or route.health.may_try()):
            lan_s = min(timeout_s, _LAN_S) if has_cloud else timeout_s
            try:
                return await self._by_lan(route, lan, request, lan_s)
            except (TransportError, PeerError) as exc:
                is_final = not has_cloud or isinstance(
                    exc, CommandRefused | CallDropped
                )
                # A batch that it hangs up on is tried in pieces before.
                is_hung_up = namespace == MULTIPLE and isinstance(exc, _BROKEN)
                may_be_done = not is_repeatable and isinstance(exc, _UNSURE)
                if is_final or is_hung_up or may_be_done:
                    raise
                lan_error = exc
        if not has_cloud:
            raise ConnectFailed(f"no way to {route.label} is known")
        try:
            reply = await self._by_cloud(
                route, request, is_command=is_command, wait_s=timeout_s
            )
        except StructiotError as exc:
            if lan_error is not None:
                exc.add_note(f"in the local network: {lan_error}")
            raise
        if lan_error is not None and route.health.failures == 1 and namespace != ALL:
            self._on_lan_failed(route.uuid)
        return reply

    def is_local(self, route: Route) -> bool:
        """Whether a device is asked in the local network, as far as that is known."""
        policy = route.policy or self.policy
        is_by_cloud = policy == "cloud_only" or route.last_transport == "cloud"
        return route.lan is not None and not is_by_cloud

    def _has_cloud(self, route: Route) -> bool:
        return self._brokers is not None and route.broker is not None

    async def _by_lan(
        self, route: Route, lan: LanLink, request: Request, timeout_s: float
    ) -> Envelope:
        health, call = route.health, _call_of(route, request, "lan")
        try:
            reply = await lan.request(
                request.method, request.namespace, request.payload, timeout_s=timeout_s
            )
        except CallDropped:
            self._stats.dropped(call)
            raise
        except (TransportError, PeerError) as exc:
            self._stats.performed(call)
            if isinstance(exc, ReplyTimeout):
                self._stats.timed_out(call)
            if isinstance(exc, CommandRefused):
                health.succeeded()
            else:
                health.failed(exc)
            raise
        self._stats.performed(call)
        health.succeeded()
        route.last_transport = "lan"
        return reply

    async def _by_cloud(
        self, route: Route, request: Request, *, is_command: bool, wait_s: float
    ) -> Envelope:
        brokers, place = self._brokers, route.broker
        assert brokers is not None  # noqa: S101 - see _has_cloud
        assert place is not None  # noqa: S101
        call = _call_of(route, request, "cloud")

        async def ask() -> Envelope:
            await brokers.ready(place, timeout_s=wait_s)
            if self._budget is not None:
                await self._budget.spend(
                    call, is_command=is_command, longest_wait_s=wait_s
                )
            self._stats.performed(call)
            return await brokers.request(
                place,
                route.uuid,
                request.method,
                request.namespace,
                request.payload,
                timeout_s=wait_s,
            )

        try:
            reply = await at_the_right_time(ask)
        except ReplyTimeout:
            self._stats.timed_out(call)
            raise
        route.last_transport = "cloud"
        return reply

    # -- many at once --------------------------------------------------------------

    async def request_many(
        self,
        route: Route,
        requests: Sequence[Request],
        *,
        is_command: bool | None = None,
        policy: Policy | None = None,
        timeout_s: float = 10.0,
    ) -> list[Answer]:
        """Ask a device several things, in as few messages as it understands.

        They may be carried out in another order. What an answer has left out is asked
        again; after a failure that the others would share, these are not asked any more.

        Args:
            route: The ways to the device.
            requests: What is asked.
            is_command: As for `request`; by default if one is a SET.
            policy: As for `request`.
            timeout_s: Longest wait for each answer.

        Returns:
            The answer to each, or the error that it was answered with.

        Raises:
            As `request`: Nothing was answered.
        """
        if is_command is None:
            is_command = any(one.method is Method.SET for one in requests)

        async def ask(request: Request) -> Envelope:
            return await self.request(
                route,
                request.method,
                request.namespace,
                request.payload,
                is_repeatable=not request.is_relative,
                is_command=is_command,
                policy=policy,
                timeout_s=timeout_s,
            )

        await anyio.lowlevel.checkpoint()
        return await ask_many(requests, route.batches, ask, self._environment.random)


def _call_of(route: Route, request: Request, transport: Transport) -> Call:
    method = request.method.value
    return Call(route.uuid, request.namespace, method, transport, route.label)
