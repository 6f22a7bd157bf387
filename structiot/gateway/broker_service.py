"""What the gateway does with each client of its broker: it publishes, and it listens.

Commands, Home Assistant's births and what stands there already come from the broker. A
subscription that it refuses is said, costs itself, and is tried again: soon if the cause
may pass by itself, else at the next connection or reload.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import printable
from structiot.errors import StructiotError
from structiot.gateway.broker_connection import BrokerConnection
from structiot.gateway.command_router import CommandRouter
from structiot.gateway.config import GatewaySection
from structiot.gateway.context import GatewayContext
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.entities.topics import OFFLINE, ONLINE
from structiot.gateway.events import BrokerConnected, BrokerLost
from structiot.gateway.links.foreign_topics import ForeignTopics
from structiot.gateway.own_topics import OwnTopics
from structiot.gateway.publisher import Publisher
from structiot.gateway.refusals import Refusals, is_passing
from structiot.gateway.retrying import when
from structiot.mqtt import (
    Connected,
    ConnectionEvent,
    Disconnected,
    Message,
    MqttClient,
    SubscribeRefused,
)

__all__ = ["BrokerService"]

_SUBSCRIBE_AGAIN_S = 60.0
_SETTLED_S = 2.0
# A flood of commands lets others have their turn.
_MESSAGES_A_TURN = 16

_log = logging.getLogger(__name__)


class BrokerService:
    """Serves one client of the broker after another.

    Args:
        context: The gateway's.
        directory: Its devices.
        publisher: What shall stand on the broker.
        refusals: What the broker refuses.
        connection: What the clients are of.
        settings: Gives the settings in force.
        foreign: Topics of others, which are followed over the same connection.
        take_request: Takes what the gateway itself is asked.

    Attributes:
        told: What was told of the connection last; None before anything was.
        told_at_utc: When that was.
        connections: How often a broker has accepted the gateway.
        received: How many messages it has brought that were for the gateway.
    """

    def __init__(
        self,
        context: GatewayContext,
        directory: DeviceDirectory,
        publisher: Publisher,
        refusals: Refusals,
        *,
        connection: BrokerConnection,
        settings: Callable[[], GatewaySection],
        foreign: ForeignTopics,
        take_request: Callable[[Message], None],
    ) -> None:
        self.connections: int = 0
        self.received: int = 0
        self._foreign = foreign
        self._take_request = take_request
        self.told: BrokerConnected | BrokerLost | None = None
        self.told_at_utc: datetime | None = None
        self._context = context
        self._directory = directory
        self._publisher = publisher
        self._refusals = refusals
        self._connection = connection
        self._settings = settings
        self._router = CommandRouter(context, directory)
        self._own_topics = OwnTopics(context.topics, publisher)
        self._subscribe_again = anyio.Event()
        # Whether commands are heard, or it is known why not.
        self._is_settled = anyio.Event()

    @property
    def response_topics_passed_over(self) -> int:
        """How many messages asked for an answer where the gateway gives none."""
        return self._context.response_topics_passed_over

    async def serve(self, client: MqttClient, until: anyio.Event) -> None:
        """Serve a client until the event is set, and say goodbye.

        Raises:
            StructiotError: The client has given up.
        """
        topics = self._context.topics
        listeners = {
            topics.all_commands: self._router.take,
            topics.all_device_commands: self._router.take_several,
            topics.all_requests: self._take_request,
        }
        if self._context.announcer.announces:
            listeners[topics.birth] = self._take_birth
        async with service_group() as tasks:
            name = "structiot.gateway.events_of_broker"
            tasks.start_soon(self._follow_connection, client, name=name)
            for topic_filter, take in listeners.items():
                name = f"structiot.gateway.listener {topic_filter}"
                tasks.start_soon(self._listen, client, topic_filter, take, name=name)
            listen = partial(self._listen, client, qos=0)
            name = "structiot.gateway.foreign_topics"
            tasks.start_soon(self._foreign.serve, client, listen, name=name)
            name = "structiot.gateway.own_topics"
            tasks.start_soon(self._own_topics.watch, client, name=name)
            await until.wait()
        settings = self._settings()
        forgets = settings.forget_on_exit and not self._connection.comes_back
        last = self._last_words(forgets=forgets)
        if forgets and self._connection.is_leaving and client.is_connected:
            self._context.records.forget()
        await self._publisher.say_goodbye(client, last, goodbye_s=settings.goodbye_s)

    async def settled(self) -> None:
        """Wait until commands are heard, or there is no broker for now.

        Whoever sees a device come may command it at once. A broker that says nothing at
        all is not waited for.
        """
        with anyio.move_on_after(_SETTLED_S):
            await self._is_settled.wait()

    def try_again(self) -> None:
        """Try again what the broker has refused."""
        self._publisher.repeat_refused()
        self._subscribe_again.set()
        self._subscribe_again = anyio.Event()

    # ------------------------------------------------------------ the connection

    async def _follow_connection(self, client: MqttClient) -> None:
        announcer, is_new = self._context.announcer, True
        async with client.events() as events, service_group() as tasks:
            name = "structiot.gateway.publisher"
            tasks.start_soon(self._publisher.run, client, name=name)
            async for event in events:
                self._publisher.take_event(event)
                if isinstance(event, Connected):
                    announcer.take_limit(event.limits.maximum_packet_bytes)
                    # It may be another broker, or one that has lost what it was told, and
                    # others may have announced something meanwhile.
                    announcer.hold()
                if isinstance(event, Connected) and is_new:
                    is_new = False
                    name = "structiot.gateway.announcer"
                    tasks.start_soon(announcer.run, client, name=name)
                self._take_event(event)
            await anyio.sleep_forever()

    def _take_event(self, event: ConnectionEvent) -> None:
        match event:
            case Connected():
                _log.info("connected to the broker")
                self._foreign.connected(event.version)
                self.connections += 1
                # Last, so that nobody takes what an earlier run left for the present.
                availability = self._context.topics.gateway_availability
                self._publisher.repeat([availability])
                self.try_again()
                self._tell(BrokerConnected())
            case Disconnected(retry_in_s=float() as retry_in_s):
                # The log has it from the client.
                self._lost(event.reason, retry_in_s)

    def parked(self, error: StructiotError) -> None:
        """Say that there is no client, and none by itself."""
        reason = printable(str(error))
        _log.warning("no MQTT broker: %s; %s", reason, when(None))
        self._lost(reason, None)

    def _lost(self, reason: str, retry_in_s: float | None) -> None:
        self._is_settled.set()
        self._foreign.lost(printable(reason))
        self._tell(BrokerLost(reason=printable(reason), retry_in_s=retry_in_s))

    def _tell(self, event: BrokerConnected | BrokerLost) -> None:
        self.told = event
        self.told_at_utc = self._context.clock()
        self._context.emit(event)

    # ------------------------------------------------------------ what it hears

    async def _listen(
        self,
        client: MqttClient,
        topic_filter: str,
        take: Callable[[Message], None],
        *,
        qos: int = 1,
    ) -> None:
        taken = 0
        while True:
            again, delay_s = self._subscribe_again, None
            try:
                async with client.subscription(topic_filter, qos=qos) as messages:
                    self._refusals.accepted(topic_filter)
                    self._note_settled(topic_filter)
                    async for message in messages:
                        take(message)
                        self.received += 1
                        taken += 1
                        # What is asked of the gateway may be about all devices.
                        is_long = take is self._take_request
                        if is_long or taken % _MESSAGES_A_TURN == 0:
                            await anyio.lowlevel.checkpoint()
            except SubscribeRefused as exc:
                self._refusals.refused(topic_filter, exc)
                self._note_settled(topic_filter)
                delay_s = _SUBSCRIBE_AGAIN_S if is_passing(exc) else None
            with anyio.move_on_after(delay_s):
                await again.wait()

    def _note_settled(self, topic_filter: str) -> None:
        if topic_filter == self._context.topics.all_commands:
            self._is_settled.set()

    def _take_birth(self, message: Message) -> None:
        if message.payload == ONLINE.encode():
            announcer = self._context.announcer
            if announcer.is_read:
                self._publisher.repeat(announcer.announced)

    # ------------------------------------------------------------ its goodbye

    def _last_words(self, *, forgets: bool) -> list[tuple[str, str]]:
        """Give what leaves everything on the broker as offline, the gateway last."""
        topics = self._context.topics
        last = [
            (topics.availability(slug), OFFLINE) for slug in self._directory.by_slug
        ]
        state = topics.report("state")
        if state in self._publisher.wanted:
            last.append((state, json.dumps({"state": OFFLINE})))
        last.append((topics.gateway_availability, OFFLINE))
        if forgets:
            # Home Assistant complains of empty states while it has the entities.
            cleared = [*self._context.announcer.announced, *self._publisher.wanted]
            last += [(topic, "") for topic in dict.fromkeys(cleared)]
        return last
