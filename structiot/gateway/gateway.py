"""What `open_gateway` gives: the devices, their events, and the way of commands."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import metadata

from anyio.abc import TaskGroup

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.gateway.config import GatewayConfig
from structiot.gateway.device_topics import Stage
from structiot.gateway.drivers import Driver, Source
from structiot.gateway.entities.topics import (
    OFFLINE,
    ONLINE,
    Topics,
    slug_of,
    slug_of_device,
    unique_slug,
)
from structiot.gateway.events import (
    BrokerConnected,
    BrokerLost,
    CommandFailed,
    DeviceUpdate,
    GatewayEvent,
)
from structiot.gateway.publisher import Publisher
from structiot.gateway.stale_topics import tidy_stale_topics
from structiot.gateway.supervisor import GatewayDevice, Site, error_payload, shown
from structiot.model import DeviceInfo, StateChange
from structiot.mqtt import (
    BrokerServer,
    Connected,
    ConnectionEvent,
    Message,
    MqttClient,
    SubscribeRefused,
)

__all__ = ["Gateway"]

VERSION = metadata.version("structiot")
_RETRY_FIRST_S = 1.0
_MAX_EVENTS = 4096

_log = logging.getLogger(__name__)


class Gateway:
    """An open gateway; made by `open_gateway`.

    Attributes:
        config: Its settings.
        topics: Its topics.
        broker: The embedded broker; None where the configuration names another.
    """

    def __init__(
        self,
        config: GatewayConfig,
        client: MqttClient,
        topics: Topics,
        tasks: TaskGroup,
        environment: Environment,
    ) -> None:
        self.config = config
        self.topics = topics
        self.broker: BrokerServer | None = None
        self._client = client
        self._tasks = tasks
        self._environment = environment
        self._by_slug: dict[str, GatewayDevice] = {}
        self._owners: dict[tuple[str, str], GatewayDevice] = {}
        self._boxes: list[Mailbox[GatewayEvent]] = []
        self._connection: GatewayEvent | None = None
        self._finds_more = False
        self._was_connected = False
        self.publisher: Publisher = Publisher(client, self._connection_changed)
        self._site = Site(
            stage=Stage(
                topics=topics,
                board=self.publisher,
                version=VERSION,
                announces=config.mqtt.discovery,
                clock=environment.now_utc,
            ),
            command_s=config.gateway.command_s,
            retry=Backoff(first_s=_RETRY_FIRST_S, cap_s=config.gateway.retry_max_s),
            claim=self._claim,
            emit=self._emit,
        )

    # ------------------------------------------------------------ what users see

    @property
    def devices(self) -> Mapping[str, GatewayDevice]:
        """The devices that have a place in the topics, by that place."""
        return dict(self._by_slug)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the gateway."""
        return self._client.is_connected

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[GatewayEvent]]:
        """Iterate over all that happens, what is known now first.

        When 4096 events wait, the oldest is dropped.
        """
        with Mailbox[GatewayEvent](_MAX_EVENTS, name="gateway events") as box:
            if self._connection is not None:
                box.put(self._connection)
            for slug, device in self._by_slug.items():
                since = device.availability.at_utc
                box.put(DeviceUpdate(device=slug, event=device.availability))
                for key, state in device.states.items():
                    change = StateChange(key=key, state=state, at_utc=since)
                    box.put(DeviceUpdate(device=slug, event=change))
            self._boxes.append(box)
            try:
                yield box
            finally:
                self._boxes.remove(box)

    # ------------------------------------------------------------ its tasks

    def start(self, drivers: list[Driver]) -> None:
        """Start everything; called once, by `open_gateway`."""
        if not drivers:
            _log.warning("no system is configured: there is nothing to serve")
        self._finds_more = any(driver.finds_more for driver in drivers)
        self.publisher.retain(self.topics.gateway_availability, ONLINE)
        tasks = self._tasks
        tasks.start_soon(self.publisher.run, name="structiot.gateway.connection")
        tasks.start_soon(self._take_commands, name="structiot.gateway.routing")
        if self.config.mqtt.discovery:
            tasks.start_soon(self._await_births, name="structiot.gateway.births")
        for driver in drivers:
            name = f"structiot.gateway.driver {driver.system}"
            tasks.start_soon(self._drive, driver, name=name)

    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.run(self)
        # Isolation: a fault in one system's search must not end the others.
        except Exception as exc:  # noqa: BLE001
            _log.error("%s: internal error in the search", driver.system, exc_info=exc)

    async def _take_commands(self) -> None:
        async with self._client.subscription(
            self.topics.all_commands, qos=1
        ) as messages:
            async for message in messages:
                self._route(message)

    async def _await_births(self) -> None:
        try:
            async with self._client.subscription(self.topics.birth, qos=1) as messages:
                async for message in messages:
                    if message.payload == ONLINE.encode():
                        self._announce_again()
        except SubscribeRefused as exc:
            _log.warning("Home Assistant's restarts will not be noticed: %s", exc)

    def _announce_again(self) -> None:
        slugs = [slug for slug, kept in self._by_slug.items() if kept.info is not None]
        self.publisher.repeat(map(self.topics.discovery, slugs))

    def keep(self, source: Source) -> GatewayDevice:
        """Take a device into care; called by drivers."""
        slug = None
        if source.name:
            slug = unique_slug(slug_of(source.name), self._by_slug)
        device = GatewayDevice(
            source, self._site, slug=slug, random=self._environment.random
        )
        if slug is not None:
            self._by_slug[slug] = device
        self._tasks.start_soon(
            device.run, name=f"structiot.gateway.device {source.label}"
        )
        return device

    # ------------------------------------------------------------ devices

    def _claim(self, device: GatewayDevice, info: DeviceInfo) -> str:
        """Give an opened device its level in topics.

        A device with a name may have it before it is known who it is.

        Raises:
            UsageError: It is in the gateway's care already, from another source.
        """
        if info.is_provisional and device.slug is not None:
            return device.slug
        identity = (info.system, info.id)
        owner = self._owners.get(identity)
        if owner is not None and owner is not device:
            if device.source.is_found or not owner.source.is_found:
                raise UsageError(f"it is the same device as {owner.label}")
            self._drop(owner)
        before = [key for key, kept in self._owners.items() if kept is device]
        if before and before != [identity]:
            self._forget(device, before)
        self._owners[identity] = device
        slug = device.slug
        if slug is None:
            slug = unique_slug(slug_of_device(info, device.source.name), self._by_slug)
            self._by_slug[slug] = device
        return slug

    def _forget(self, device: GatewayDevice, before: list[tuple[str, str]]) -> None:
        """Another device answers where this one was; only a given name stays."""
        for identity in before:
            del self._owners[identity]
        if device.source.name is None and device.slug is not None:
            del self._by_slug[device.slug]
            device.forget()

    def _drop(self, device: GatewayDevice) -> None:
        if device.slug is not None:
            self._by_slug.pop(device.slug, None)
        device.stop()

    # ------------------------------------------------------------ commands

    def _route(self, message: Message) -> None:
        target = self.topics.command_of(message.topic)
        if target is None:
            return
        device = self._by_slug.get(target.device)
        error = None
        if message.retain:
            error = (
                "a retained command is not obeyed, because it would be repeated at "
                "each start; publish it without retain"
            )
        elif device is None:
            known = ", ".join(self._by_slug) or "none yet"
            error = f"there is no device {target.device!r}; devices: {known}"
        else:
            device.request(target.entity, topic=message.topic, payload=message.payload)
        if error is not None:
            _log.warning("%s: %s", message.topic, error)
            text = error_payload(
                error,
                topic=message.topic,
                payload=message.payload,
                at_utc=self._environment.now_utc(),
            )
            self.publisher.tell(self.topics.error(target.device), text)
            self._emit(
                CommandFailed(
                    device=target.device,
                    entity=target.entity,
                    payload=shown(message.payload),
                    error=error,
                )
            )

    # ------------------------------------------------------------ the broker

    def _connection_changed(self, event: ConnectionEvent) -> None:
        if isinstance(event, Connected):
            _log.info("connected to the broker")
            self._connection = BrokerConnected()
            # Last, so that nobody takes what an earlier run left for the present.
            self.publisher.repeat([self.topics.gateway_availability])
            if not self._was_connected:
                self._was_connected = True
                self._tasks.start_soon(
                    self._tidy, name="structiot.gateway.stale_topics"
                )
        else:
            next_ = "giving up"
            if event.retry_in_s is not None:
                next_ = f"next attempt in {event.retry_in_s:.1f} s"
            _log.warning("no MQTT broker: %s; %s", event.reason, next_)
            self._connection = BrokerLost(
                reason=event.reason, retry_in_s=event.retry_in_s
            )
        self._emit(self._connection)

    async def _tidy(self) -> None:
        try:
            await tidy_stale_topics(
                self._client,
                topics=self.topics,
                board=self.publisher,
                present=self._by_slug,
                announces=self.config.mqtt.discovery,
                finds_more=self._finds_more,
            )
        except SubscribeRefused as exc:
            _log.warning("what an earlier run left stays as it is: %s", exc)

    def _emit(self, event: GatewayEvent) -> None:
        for box in self._boxes:
            box.put(event)

    async def say_goodbye(self) -> None:
        """Leave everything on the broker as offline; called when all tasks ended."""
        slugs = list(self._by_slug)
        last = [(self.topics.availability(slug), OFFLINE) for slug in slugs]
        last.append((self.topics.gateway_availability, OFFLINE))
        if self.config.gateway.forget_on_exit:
            last += [(topic, "") for topic in self.publisher.wanted]
        await self.publisher.say_goodbye(last, goodbye_s=self.config.gateway.goodbye_s)
