"""What `open_gateway` gives: the devices, their events, and the way of commands."""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Container,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager
from importlib import metadata

import anyio
from anyio.abc import TaskGroup

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot.gateway.announcer import Announcer
from structiot.gateway.commanding import error_payload, shown
from structiot.gateway.config import GatewayConfig
from structiot.gateway.context import GatewayContext
from structiot.gateway.device import GatewayDevice
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.driver_runner import DriverRunner
from structiot.gateway.drivers import Driver
from structiot.gateway.energy_totals import SAVE_S, EnergyTotals
from structiot.gateway.entities.topics import OFFLINE, ONLINE, Topics
from structiot.gateway.events import (
    BrokerConnected,
    BrokerLost,
    CommandFailed,
    DeviceUpdate,
    DriverUpdate,
    GatewayEvent,
)
from structiot.gateway.publisher import Publisher
from structiot.gateway.records import Records
from structiot.gateway.state_file import StateFile
from structiot.model import StateChange
from structiot.mqtt import (
    BrokerServer,
    Connected,
    Disconnected,
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
        state: What outlasts a restart.
        broker: The embedded broker; None where the configuration names another.
    """

    def __init__(
        self,
        config: GatewayConfig,
        client: MqttClient,
        topics: Topics,
        tasks: TaskGroup,
        *,
        state: StateFile,
        environment: Environment,
    ) -> None:
        self.config = config
        self.topics = topics
        self.broker: BrokerServer | None = None
        self._client = client
        self._tasks = tasks
        self._listeners: FanOut[Mailbox[GatewayEvent]] = FanOut()
        self._connection: GatewayEvent | None = None
        self._has_read_earlier = False
        self.state: StateFile = state
        self.publisher: Publisher = Publisher(client, self._connection_changed)
        self._runners: dict[str, DriverRunner] = {}
        records = Records(state)
        self._announcer = Announcer(
            topics,
            self.publisher,
            records,
            announces=config.mqtt.discovery,
            systems=self._runners.keys(),
            candidates=self._candidates,
        )
        self._energy = EnergyTotals(
            state.section("energy"), None if state.path is None else state.save
        )
        self._context = GatewayContext(
            topics=topics,
            sink=self.publisher,
            version=VERSION,
            records=records,
            announcer=self._announcer,
            clock=environment.now_utc,
            random=environment.random,
            retry=Backoff(first_s=_RETRY_FIRST_S, cap_s=config.gateway.retry_max_s),
            command_s=config.gateway.command_s,
            energy=self._energy,
            emit=self._emit,
        )
        self._directory = DeviceDirectory(self._context)

    # ------------------------------------------------------------ what users see

    @property
    def devices(self) -> Mapping[str, GatewayDevice]:
        """The devices that have a place in the topics, by that place."""
        return dict(self._directory.by_slug)

    @property
    def drivers(self) -> Mapping[str, DriverUpdate]:
        """What the driver of each system does, by the system's name."""
        return {name: runner.status for name, runner in self._runners.items()}

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the gateway."""
        return self._client.is_connected

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[GatewayEvent]]:
        """Iterate over all that happens, what is known now first.

        When 4096 events wait, the oldest is dropped.
        """
        box = Mailbox[GatewayEvent](_MAX_EVENTS, name="gateway events")
        for event in self._present():
            box.put(event)
        with self._listeners.listening(box):
            yield box

    def _present(self) -> Iterator[GatewayEvent]:
        if self._connection is not None:
            yield self._connection
        yield from self.drivers.values()
        for slug, device in self._directory.by_slug.items():
            since = device.availability.at_utc
            yield DeviceUpdate(device=slug, event=device.availability)
            for key, state in device.states.items():
                change = StateChange(key=key, state=state, at_utc=since)
                yield DeviceUpdate(device=slug, event=change)

    # ------------------------------------------------------------ its tasks

    def start(self, drivers: Mapping[str, Callable[[], Driver]]) -> None:
        """Start everything; called once, by `open_gateway`.

        Args:
            drivers: What makes the driver of each system, by the system's name.
        """
        if not drivers:
            _log.warning("no system is configured: there is nothing to serve")
        self.publisher.retain(self.topics.gateway_availability, ONLINE)
        tasks = self._tasks
        for system, make in drivers.items():
            self._runners[system] = DriverRunner(
                system,
                make,
                self._context,
                self._directory,
                tasks,
                on_started=self._announcer.settle_soon,
            )
        tasks.start_soon(self.state.run, name="structiot.gateway.state")
        tasks.start_soon(self.publisher.run, name="structiot.gateway.connection")
        tasks.start_soon(self._take_commands, name="structiot.gateway.routing")
        tasks.start_soon(self._keep_energy, name="structiot.gateway.energy")
        if self.config.mqtt.discovery:
            tasks.start_soon(self._await_births, name="structiot.gateway.births")
        for system, runner in self._runners.items():
            tasks.start_soon(runner.run, name=f"structiot.gateway.driver {system}")

    async def _keep_energy(self) -> None:
        while True:
            await anyio.sleep(SAVE_S)
            if await self._energy.save():
                for device in self.devices.values():
                    device.show_energy()

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
        self.publisher.repeat(self._announcer.announced)

    # ------------------------------------------------------------ commands

    def _route(self, message: Message) -> None:
        target = self.topics.command_of(message.topic)
        if target is None:
            return
        device = self._directory.by_slug.get(target.device)
        error = None
        if message.retain:
            error = (
                "a retained command is not obeyed, because it would be repeated at "
                "each start; publish it without retain"
            )
        elif device is None:
            known = ", ".join(self._directory.by_slug) or "none yet"
            error = f"there is no device {target.device!r}; devices: {known}"
        else:
            device.request(target.entity, topic=message.topic, payload=message.payload)
        if error is not None:
            _log.warning("%s: %s", message.topic, error)
            text = error_payload(
                error,
                topic=message.topic,
                payload=shown(message.payload),
                at_utc=self._context.clock(),
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

    def _connection_changed(self, event: Connected | Disconnected) -> None:
        if isinstance(event, Connected):
            _log.info("connected to the broker")
            self._connection = BrokerConnected()
            # Last, so that nobody takes what an earlier run left for the present.
            self.publisher.repeat([self.topics.gateway_availability])
            if not self._has_read_earlier:
                self._has_read_earlier = True
                run, name = self._announcer.run, "structiot.gateway.announcer"
                self._tasks.start_soon(run, self._client, name=name)
        else:
            next_ = "giving up"
            if event.retry_in_s is not None:
                next_ = f"next attempt in {event.retry_in_s:.1f} s"
            _log.warning("no MQTT broker: %s; %s", event.reason, next_)
            self._connection = BrokerLost(
                reason=event.reason, retry_in_s=event.retry_in_s
            )
        self._emit(self._connection)

    def _candidates(self, system: str) -> Container[str]:
        runner = self._runners.get(system)
        return () if runner is None else runner.candidates()

    def _emit(self, event: GatewayEvent) -> None:
        for box in self._listeners:
            box.put(event)

    async def say_goodbye(self) -> None:
        """Leave everything on the broker as offline; called when all tasks ended."""
        slugs = list(self._directory.by_slug)
        last = [(self.topics.availability(slug), OFFLINE) for slug in slugs]
        last.append((self.topics.gateway_availability, OFFLINE))
        if self.config.gateway.forget_on_exit:
            # Home Assistant complains of empty states while it has the entities.
            topics = [*self._announcer.announced, *self.publisher.wanted]
            last += [(topic, "") for topic in dict.fromkeys(topics)]
            if self.is_connected:
                self._context.records.forget()
        await self.publisher.say_goodbye(last, goodbye_s=self.config.gateway.goodbye_s)
