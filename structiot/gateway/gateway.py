"""What `open_gateway` gives: the devices, their events, and other settings at any time."""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Container,
    Mapping,
)
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from importlib import metadata
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from structiot._kit.environment import Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.gateway.announcer import Announcer
from structiot.gateway.broker_connection import BrokerConnection, settings_of
from structiot.gateway.broker_service import BrokerService
from structiot.gateway.config import GatewayConfig, configuration_of
from structiot.gateway.config.links import LinkSection
from structiot.gateway.context import GatewayContext
from structiot.gateway.device import GatewayDevice
from structiot.gateway.device_places import DevicePlaces
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.driver_runner import DriverRunner
from structiot.gateway.drivers import Driver
from structiot.gateway.energy_totals import SAVE_S, EnergyTotals
from structiot.gateway.entities.topics import ONLINE, Topics
from structiot.gateway.events import DriverUpdate, GatewayEvent, LinksChanged
from structiot.gateway.history import History
from structiot.gateway.installed import drivers_of
from structiot.gateway.links.foreign_topics import ForeignTopics
from structiot.gateway.links.links import GatewayLinks
from structiot.gateway.present import present_of
from structiot.gateway.publisher import Publisher
from structiot.gateway.records import Records
from structiot.gateway.refusals import Refusals
from structiot.gateway.reloading import change_between
from structiot.gateway.reports import GatewayReports
from structiot.gateway.requests import GatewayRequests
from structiot.gateway.retrying import backoff_of
from structiot.gateway.state_file import StateFile
from structiot.gateway.status import LinkStatus, MailboxStatus
from structiot.gateway.summaries import Summaries
from structiot.mqtt import BrokerServer, Message

__all__ = ["Gateway"]

VERSION = metadata.version("structiot")
_MAX_EVENTS = 4096

_log = logging.getLogger(__name__)


class Gateway:
    """An open gateway; made by `open_gateway`.

    Attributes:
        config: The settings in force.
        links: The links among them.
        topics: Its topics.
        connection: The client of its broker.
        started_utc: When it was opened.
        environment: Network, clock and chance.
        runners: What runs the driver of each system, by the system's name.
        state: What outlasts a restart.
        broker: The embedded broker; None where the configuration names another.
        foreign_topics: The way to topics of others on the broker.
        reads_again: Reads the configuration again, and takes it up, when that is asked
            for on the broker; None if there is nothing to read.
        history: What was; None where there is no file for it.
    """

    def __init__(
        self,
        config: GatewayConfig,
        connection: BrokerConnection,
        topics: Topics,
        tasks: TaskGroup,
        *,
        state: StateFile,
        environment: Environment,
    ) -> None:
        self.config: GatewayConfig = config
        self.links: tuple[LinkSection, ...] = config.links
        self.topics = topics
        self.started_utc: datetime = environment.now_utc()
        self.broker: BrokerServer | None = None
        self.reads_again: Callable[[], Awaitable[tuple[str, ...]]] | None = None
        self.history: History | None = None
        self.connection: BrokerConnection = connection
        self.environment: Environment = environment
        self._listeners: FanOut[Mailbox[GatewayEvent]] = FanOut()
        self._tasks, self._refusals = tasks, Refusals(topics, self._emit)
        self.state: StateFile = state
        outbox_s = config.mqtt.outbox_s
        self.publisher: Publisher = Publisher(self._refusals, outbox_s=outbox_s)
        self.foreign_topics: ForeignTopics = ForeignTopics()
        self.runners: dict[str, DriverRunner] = {}
        self._ended: dict[str, DriverRunner] = {}
        self.announcer: Announcer = Announcer(
            topics,
            self.publisher,
            records := Records(state),
            announces=config.mqtt.discovery,
            systems=self.runners.keys(),
            candidates=self._candidates,
        )
        self._energy = EnergyTotals(
            state.section("energy"), None if state.path is None else state.save
        )
        self._context = GatewayContext(
            topics=topics,
            sink=self.publisher,
            summaries=Summaries(),
            version=VERSION,
            records=records,
            announcer=self.announcer,
            clock=environment.now_utc,
            random=environment.random,
            retry=backoff_of(config.gateway.retry_max_s),
            command_s=config.gateway.command_s,
            energy=self._energy,
            emit=self._emit,
            devices_changed=lambda: self._reports.show_soon(),  # noqa: PLW0108 - made later
        )
        self._directory = DeviceDirectory(self._context)
        self._places = DevicePlaces(self._context, self._directory)
        self.broker_service: BrokerService = self._listening(connection)
        self._reports, self._requests = self._speaking()
        self._links = GatewayLinks(self, lambda: self._context.command_s)

    def _listening(self, connection: BrokerConnection) -> BrokerService:
        return BrokerService(
            self._context,
            self._directory,
            self.publisher,
            self._refusals,
            connection=connection,
            settings=lambda: self.config.gateway,
            foreign=self.foreign_topics,
            take_request=self._take_request,
        )

    def _speaking(self) -> tuple[GatewayReports, GatewayRequests]:
        reports = GatewayReports(
            self._context,
            self._directory,
            self.publisher,
            self.broker_service,
            settings=lambda: self.config,
            drivers=lambda: self.drivers,
        )
        requests = GatewayRequests(
            self._context,
            self._directory,
            reports,
            restart=self.restart,
            reload=self._read_again,
        )
        return reports, requests

    def stand_on(self, broker: BrokerServer | None, source: object) -> None:
        """Take note of the embedded broker, and of what the settings come from."""
        self.broker = broker
        if isinstance(source, str | PathLike):
            self.reads_again = partial(self.reload, source)

    # ------------------------------------------------------------ what users see

    @property
    def devices(self) -> Mapping[str, GatewayDevice]:
        """The devices that have a place in the topics, by that place."""
        return self._directory.by_slug.copy()

    @property
    def drivers(self) -> Mapping[str, DriverUpdate]:
        """What the driver of each system does, by the system's name."""
        return {name: runner.status for name, runner in self.runners.items()}

    def mailboxes(self) -> list[MailboxStatus]:
        """Tell what waits for those who listen: for whom it is most, and what all lost."""
        return MailboxStatus.of_all(list(self._listeners))

    @property
    def link_status(self) -> tuple[LinkStatus, ...]:
        """How each link fares that does something."""
        return self._links.status

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the gateway."""
        return self.connection.is_connected

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[GatewayEvent]]:
        """Iterate over all that happens, what is known now first.

        When 4096 events wait, the oldest is dropped.
        """
        box = Mailbox[GatewayEvent](_MAX_EVENTS, name="gateway events")
        told, refused = self.broker_service.told, self._refusals.by_topic.values()
        known: list[GatewayEvent] = [] if told is None else [told]
        known += [*refused, *self.drivers.values()]
        for event in (*known, *present_of(self._directory.by_slug)):
            box.put(event)
        with self._listeners.listening(box):
            yield box

    # ------------------------------------------------------------ its settings

    async def reload(
        self, config: GatewayConfig | str | PathLike[str] | Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Take other settings without a restart; only what differs is touched.

        A system whose section is the same goes on undisturbed, its devices too; in one
        whose section differs, so do the devices whose own settings are the same. Another
        address or login of the broker is a new connection; the embedded broker reads its
        password file again by `BrokerServer.reload`. Whatever was given up (a
        login that was refused, a driver or a device that is parked) is tried again.

        Args:
            config: Settings from `load_config`, or what that takes.

        Returns:
            What keeps its value until the next restart, such as `"listen in [broker]"`;
            the log says it as well.

        Raises:
            ConfigError: A driver cannot be loaded, the embedded broker's password file
                cannot be used, or as `InvalidConfig`, what is wrong with the settings;
                nothing has changed.
            UsageError: It is nothing that settings are made of, or the gateway's block is
                over.
        """
        config = await configuration_of(config)
        drivers = drivers_of(config, self.environment)
        if self.broker is not None and not self._tasks.cancel_scope.cancel_called:
            await self.broker.reload()
        if self._tasks.cancel_scope.cancel_called:
            raise UsageError("the gateway is closed, or closing")
        change = change_between(self.config, config)
        self.config = config = change.config
        self._context.retry = backoff_of(config.gateway.retry_max_s)
        self._context.command_s = config.gateway.command_s
        self.publisher.outbox_s = config.mqtt.outbox_s
        self._places.change(config.devices)
        said = ", ".join(f"[{name}]" for name in change.sections)
        said = f"different: {said}" if said else "nothing is different"
        _log.info("the configuration was read again; %s", said)
        for one in change.at_restart:
            _log.warning("%s is taken up at the next restart only", one)
        if self.history is not None:
            self.history.change(config.history)
        self._renew_drivers(drivers, change.systems)
        if "links" in change.sections:
            self.links = config.links
            self._links.take(config.links)
            self._emit(LinksChanged())
        uri = config.mqtt.uri or self.connection.settings.uri
        self.connection.change(settings_of(config, self.topics, uri))
        self.connection.try_again()
        self.broker_service.try_again()
        self._reports.show_soon()
        await anyio.lowlevel.checkpoint()
        return change.at_restart

    async def _read_again(self) -> tuple[str, ...]:
        if self.reads_again is None:
            raise UsageError("the gateway was not started from a file that can be read")
        return await self.reads_again()

    def restart(self, system: str) -> None:
        """Start the driver of a system anew; devices that stay the same stay open.

        Raises:
            UsageError: No such system is served.
        """
        runner = self.runners.get(system)
        if runner is None:
            known = ", ".join(self.runners) or "none"
            raise UsageError(f"system is the name of one that is served: {known}")
        runner.restart()

    def _renew_drivers(
        self, drivers: Mapping[str, Callable[[], Driver]], changed: tuple[str, ...]
    ) -> None:
        for system in self.runners.keys() - drivers.keys():
            runner = self.runners.pop(system)
            runner.end()
            self._ended[system] = runner.lasting
            self.announcer.settle_soon()
        for system, make in drivers.items():
            present = self.runners.get(system)
            if present is None:
                self._start(self._added(system, make))
            elif system in changed:
                present.renew(make)
            else:
                present.try_again()

    # ------------------------------------------------------------ its drivers

    def keep_history(self, path: str | PathLike[str] | None) -> None:
        """Have a history from the start on, if there shall be one.

        Args:
            path: Its file, if the configuration names none.
        """
        section = self.config.history
        file = section.path or path
        if not section.enabled or file is None:
            return
        place, outside = Path(fspath(file)), self.environment
        self.history = History(
            place, section, self, environment=outside, emit=self._emit
        )

    def start(self, drivers: Mapping[str, Callable[[], Driver]]) -> None:
        """Start everything; called once, by `open_gateway`.

        Args:
            drivers: What makes the driver of each system, by the system's name.
        """
        if not drivers:
            _log.warning("no system is configured: there is nothing to serve")
        self.publisher.retain(self.topics.gateway_availability, ONLINE)
        tasks = self._tasks
        tasks.start_soon(self.state.run, name="structiot.gateway.state")
        tasks.start_soon(self._keep_energy, name="structiot.gateway.energy")
        tasks.start_soon(self._links.run, name="structiot.gateway.links")
        for run in (self._context.summaries.run, self._reports.run, self._requests.run):
            tasks.start_soon(run, name="structiot.gateway.reports")
        self._places.change(self.config.devices)
        tasks.start_soon(self._places.run, name="structiot.gateway.places")
        if self.history is not None:
            tasks.start_soon(self.history.run, name="structiot.gateway.history")
        for runner in [self._added(system, make) for system, make in drivers.items()]:
            self._start(runner)

    async def leave_history(self) -> None:
        """Write what was, for the last time."""
        if self.history is not None:
            await self.history.leave()

    def _added(self, system: str, make: Callable[[], Driver]) -> DriverRunner:
        runner = self.runners[system] = DriverRunner(
            system,
            make,
            self._context,
            self._directory,
            self._tasks,
            gateway=self,
            on_started=self.announcer.settle_soon,
            after=self._ended.pop(system, None),
        )
        return runner

    def _start(self, runner: DriverRunner) -> None:
        name = f"structiot.gateway.driver {runner.status.system}"
        self._tasks.start_soon(runner.run, name=name)

    def running(self) -> list[str]:
        """Name the drivers and devices that have not closed."""
        runners = [*self.runners.values(), *self._ended.values()]
        return [name for runner in runners for name in runner.running()]

    def _candidates(self, system: str) -> Container[str]:
        """Give the identities of devices of a system that may still turn up."""
        runner = self.runners.get(system)
        return () if runner is None else runner.candidates()

    async def _keep_energy(self) -> None:
        while True:
            await anyio.sleep(SAVE_S)
            if await self._energy.save():
                for device in self.devices.values():
                    device.show_energy()

    def _take_request(self, message: Message) -> None:
        self._requests.take(message)

    def _emit(self, event: GatewayEvent) -> None:
        for box in self._listeners:
            box.put(event)
