"""Topics of others on the gateway's broker: followed and published on, by one connection.

Whoever follows a topic goes on doing so over lost connections and other brokers. What
comes is QoS 0: of a flood the oldest is dropped, and commands to the gateway's own devices
do not wait behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot.errors import LinkLost
from structiot.mqtt import Message, MqttClient

__all__ = ["ForeignTopics", "Listen", "TakeMessage"]

_NOT_YET: Final = "there has been no connection to the broker yet"
_OF_PROPERTIES: Final = 5

TakeMessage: TypeAlias = Callable[[Message], None]
TakeConnection: TypeAlias = Callable[[str | None], None]
# Listens to a topic until cancelled.
Listen: TypeAlias = Callable[[str, TakeMessage], Awaitable[None]]


@dataclass(eq=False, slots=True)
class _Follower:
    topics: Collection[str]
    take: TakeMessage
    tell: TakeConnection
    # Of the tasks that listen for it, as long as there is a client.
    scopes: set[anyio.CancelScope] = field(default_factory=set)


class ForeignTopics:
    """Follows topics of others, and publishes on them; made by the gateway.

    Attributes:
        away: Why there is no connection to the broker; None while there is one.
    """

    def __init__(self) -> None:
        self.away: str | None = _NOT_YET
        self._version = 0
        self._client: MqttClient | None = None
        self._followers: dict[_Follower, None] = {}
        self._start: Callable[[_Follower], None] | None = None

    # ------------------------------------------------------------ for who follows

    @contextmanager
    def following(
        self, topics: Collection[str], take: TakeMessage, tell: TakeConnection
    ) -> Generator[None]:
        """Take what is published on topics for the length of the block.

        What is retained comes first, and again with each connection.

        Args:
            topics: Names of topics, without wildcards.
            take: Takes a message, without waiting.
            tell: Told at once and whenever that changes why there is no connection to
                the broker, or None.
        """
        follower = _Follower(topics, take, tell)
        self._followers[follower] = None
        tell(self.away)
        if self._start is not None:
            self._start(follower)
        try:
            yield
        finally:
            del self._followers[follower]
            for scope in tuple(follower.scopes):
                scope.cancel()

    async def publish(
        self, topic: str, payload: str, *, retain: bool = False, within_s: float
    ) -> None:
        """Publish a message now, or not at all.

        With MQTT 5.0 the broker has confirmed it; one that could not be sent within the
        time is given up. With 3.1.1 nobody confirms it. Cancelled, it may have its
        effect all the same.

        Raises:
            LinkLost: There is no connection to the broker.
            CommandRefused: The broker does not take it.
            MessageExpired: It could not be sent in time.
            UsageError: It is no topic.
        """
        client = self._client
        if client is None or self.away is not None or not client.is_connected:
            reason = self.away or "the connection to the broker is lost"
            raise LinkLost(f"no broker: {reason}", reason=reason)
        if self._version < _OF_PROPERTIES:
            # One of QoS 1 would go out whenever there is a connection again.
            await client.publish(topic, payload, 0, retain)
            return
        expiry = {"message_expiry_s": max(1, round(within_s))}
        await client.publish(topic, payload, 1, retain, properties=expiry)

    # ------------------------------------------------------------ for the broker's service

    async def serve(self, client: MqttClient, listen: Listen) -> None:
        """Serve one client of the broker until cancelled."""
        async with service_group() as tasks:
            self._client, self._start = client, partial(self._begin, tasks, listen)
            try:
                for follower in tuple(self._followers):
                    self._begin(tasks, listen, follower)
                await anyio.sleep_forever()
            finally:
                self._client = self._start = None

    def _begin(self, tasks: TaskGroup, listen: Listen, follower: _Follower) -> None:
        for topic in follower.topics:
            scope = anyio.CancelScope()
            follower.scopes.add(scope)
            name = f"structiot.gateway.foreign_topic {topic}"
            tasks.start_soon(self._follow, listen, follower, topic, scope, name=name)

    async def _follow(
        self, listen: Listen, follower: _Follower, topic: str, scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                await listen(topic, follower.take)
        finally:
            follower.scopes.discard(scope)

    def connected(self, version: int) -> None:
        """There is a connection to the broker, by this version of MQTT."""
        self._version = version
        self._tell(None)

    def lost(self, reason: str) -> None:
        """There is none."""
        self._tell(reason)

    def _tell(self, away: str | None) -> None:
        self.away = away
        for follower in tuple(self._followers):
            follower.tell(away)
