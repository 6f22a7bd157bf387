"""Runs one system's driver, and keeps its trouble to its system.

A driver is starting, running, failing or parked. Whatever it does (raises at once or
after a while, hangs while it starts) is said once, shown on MQTT and followed by another
start; its devices stay in care meanwhile. After a start the devices that it did not add
again are released. The connections that its devices share end with it.

Another section has it started anew at once; a device that is added again with the same
settings is not touched by that. `end` is for good. One that does not close is waited for,
as two at a time would be in each other's way, and that is said.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text, printable, with_names
from structiot.errors import InternalError, ReplyTimeout, UsageError
from structiot.gateway.context import GatewayContext
from structiot.gateway.device import GatewayDevice
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.drivers.driver import (
    Driver,
    GatewayView,
    ManagedDevice,
    Source,
)
from structiot.gateway.drivers.shared_connection import SharedConnection
from structiot.gateway.events import DriverState, DriverUpdate
from structiot.gateway.isolation import failure_of
from structiot.gateway.retrying import when

__all__ = ["CLOSE_S", "DriverRunner"]


class _Any(Container[str]):
    def __contains__(self, _: object) -> bool:
        return True


ANY_IDENTITY = _Any()

_START_S = 60.0
# So long may a driver or a device take to close before that is said.
CLOSE_S = 5.0
_NOT_CLOSED = f"its driver has not closed after {CLOSE_S:g} s, and is waited for"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class DriverRunner:
    """One driver in the gateway's care; it is the `DeviceRegistry` that the driver sees.

    Attributes:
        status: What it does, as shown on MQTT.
        gateway: All that is in the gateway's care.
    """

    def __init__(
        self,
        system: str,
        make: Callable[[], Driver],
        context: GatewayContext,
        directory: DeviceDirectory,
        tasks: TaskGroup,
        *,
        gateway: GatewayView,
        on_started: Callable[[], None],
        after: DriverRunner | None = None,
    ) -> None:
        self.gateway = gateway
        self._before = after
        self._over = anyio.Event()
        self._is_running = False
        self._make = make
        self._context = context
        self._directory = directory
        self._device_tasks = tasks
        self._on_started = on_started
        self._retrying = context.retrying()
        self._driver: Driver | None = None
        self._devices: dict[str, GatewayDevice] = {}
        self._added: set[str] = set()
        self._life = anyio.CancelScope()
        self._present_run = anyio.CancelScope()
        self._connections: list[SharedConnection[Any]] = []
        self._run_tasks: TaskGroup | None = None
        self._patience = anyio.CancelScope()
        self._started_at: float | None = None
        self._finds_more = True
        self._keys: frozenset[str] = frozenset()
        self._prune_at = 64
        self.status: DriverUpdate = DriverUpdate(
            system=system, state="starting", reason="", at_utc=context.clock()
        )
        self._show("starting", "")

    def candidates(self) -> Container[str]:
        """Give the identities of devices that may still turn up."""
        if self._started_at is None or self._finds_more:
            return ANY_IDENTITY
        known = {device.candidate for device in self._devices.values()}
        return ANY_IDENTITY if "" in known else {one for one in known if one}

    # ------------------------------------------------------------ its life

    async def run(self) -> None:
        """Keep it running until cancelled or ended."""
        try:
            with self._life:
                await self._wait_for_the_one_before()
                while True:
                    await self._run_once_and_pause()
        finally:
            if not self._life.cancel_called:
                # Nobody tries anything again once the gateway is gone.
                self._show("ended", "")
            self._over.set()

    async def _wait_for_the_one_before(self) -> None:
        before = self._before
        if before is None:
            return
        with anyio.move_on_after(CLOSE_S):
            await before._over.wait()  # noqa: SLF001 - of its own kind
        if not before.is_over:
            self._show("failing", _NOT_CLOSED)
            await before._over.wait()  # noqa: SLF001
        self._before = None

    @property
    def lasting(self) -> DriverRunner:
        """The one that may run still: this, or the one that it has not done waiting for."""
        return self if self._before is None else self._before.lasting

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self._over.is_set()

    def running(self) -> Iterator[str]:
        """Name what runs still: the driver, and the devices in its care."""
        if self._is_running:
            yield f"the driver of {self.status.system}"
        for device in self._devices.values():
            if device.is_running:
                yield device.label

    async def _say_if_held_up(self, run: anyio.CancelScope) -> None:
        """Say that a driver that was told to close does not, and that it is waited for."""
        await anyio.sleep(CLOSE_S)
        if not self._is_running or self._present_run is not run:
            return
        _log.warning("%s: %s", self.status.system, _NOT_CLOSED)
        if not self._life.cancel_called:
            self._show("failing", _NOT_CLOSED)

    def renew(self, make: Callable[[], Driver]) -> None:
        """Start it anew at once, with another section."""
        self._make = make
        for device in self._devices.values():
            device.is_outdated = True
        self._retrying.retry_now()
        self._present_run.cancel()
        self._device_tasks.start_soon(self._say_if_held_up, self._present_run)

    def restart(self) -> None:
        """Start the driver anew at once; its devices stay open if they stay the same."""
        self.renew(self._make)

    def try_again(self) -> None:
        """Try everything again that is not tried by itself any more."""
        self._retrying.try_again()
        for connection in self._connections:
            connection.retrying.try_again()
        for device in self._devices.values():
            device.try_again()

    def end(self) -> None:
        """Give the system up for good, with all of its devices."""
        self._life.cancel()
        self._device_tasks.start_soon(self._say_if_held_up, self._present_run)
        for device in self._devices.values():
            device.release()
        self._devices.clear()
        self._show("removed", "")
        self._context.sink.clear(self._context.topics.driver(self.status.system))

    async def _run_once_and_pause(self) -> None:
        error: Exception | None = None
        with anyio.CancelScope() as self._present_run:
            error = await self._run_once()
        if self._present_run.cancelled_caught:
            # What `renew` has said is done herewith.
            await self._retrying.pause(0.0)
            return
        delay_s = None
        if error is not None:
            delay_s = self._retrying.delay_after(error)
            self._say_failing(error, delay_s)
        await self._retrying.pause(delay_s)

    def _say_failing(self, error: Exception, delay_s: float | None) -> None:
        reason = self._said(error)
        if self.status.reason != reason:
            cause = error.__cause__ if isinstance(error, InternalError) else None
            text = "%s: %s; %s"
            _log.warning(
                text, self.status.system, reason, when(delay_s), exc_info=cause
            )
        self._show("parked" if delay_s is None else "failing", reason)

    def _said(self, error: BaseException) -> str:
        """Say an error, its notes too, with the keys of the section for arguments."""
        text = with_names(error_text(error), {name: name for name in self._keys})
        notes = [printable(str(one)) for one in getattr(error, "__notes__", ())]
        return printable("; ".join([text, *notes]))

    async def _run_once(self) -> Exception | None:
        """Run it until it ends; give the error that ended it, if one did."""
        self._added.clear()
        self._connections.clear()
        self._started_at = None
        self._is_running = True
        try:
            error = await failure_of(self._run_with_patience)
        finally:
            self._is_running = False
        started_at = self._when_started()
        if started_at is not None:
            self._retrying.lived(anyio.current_time() - started_at)
        return error

    def _when_started(self) -> float | None:
        return self._started_at

    async def _run_with_patience(self) -> None:
        with anyio.move_on_after(_START_S) as self._patience:
            await self._run_driver()
        if self._patience.cancelled_caught:
            message = f"its driver has not started within {_START_S:g} s"
            raise ReplyTimeout(message, request="start", after_s=_START_S)

    async def _run_driver(self) -> None:
        async with service_group() as tasks:
            self._run_tasks = tasks
            try:
                self._driver = self._make()
                self._keys = frozenset(self._driver.section.model_fields)
                await self._driver.run(self)
                self.started()
                if self._connections:
                    await anyio.sleep_forever()
            finally:
                self._run_tasks = None

    # ------------------------------------------------------------ what it sees

    def add(self, source: Source) -> ManagedDevice:
        """Take a device into care, or another source for one that is."""
        self._let_go_of_released()
        self._added.add(source.key)
        device = self._devices.get(source.key)
        if device is not None and device.source.name != source.name:
            # Its place is that of its name: another name is another place.
            device.supersede()
        if device is not None and not device.is_released:
            device.replace_source(source)
            if device.is_outdated and source.settings is None:
                device.reopen()
            elif device.is_outdated:
                device.try_again()
            device.is_outdated = False
            return device
        device = self._directory.take(source, self.status.system)
        self._devices[source.key] = device
        self._device_tasks.start_soon(
            device.run, name=f"structiot.gateway.device {source.label}"
        )
        return device

    def _let_go_of_released(self) -> None:
        if len(self._devices) < self._prune_at:
            return
        kept = {k: one for k, one in self._devices.items() if not one.is_released}
        self._devices = kept
        self._added &= kept.keys()
        self._prune_at = 64 + 2 * len(kept)

    def started(self, *, keeps_found: bool = False) -> None:
        """Tell that what is known from the beginning has been added."""
        if self._started_at is not None or self._driver is None:
            return
        self._finds_more = bool(self._driver.finds_more)
        self._started_at = anyio.current_time()
        self._patience.deadline = math.inf
        for key, device in list(self._devices.items()):
            if key in self._added or (keeps_found and device.source.is_found):
                continue
            del self._devices[key]
            if device.is_outdated:
                # It may be listed at another address, or be found now.
                device.supersede()
            else:
                device.release()
        self._show_running()
        self._on_started()

    def share(
        self, label: str, open_it: Callable[[], AbstractAsyncContextManager[T]]
    ) -> SharedConnection[T]:
        """Keep a connection open until the driver ends.

        Raises:
            UsageError: The driver does not run.
        """
        if self._run_tasks is None:
            raise UsageError(f"{label} is shared by a driver that does not run")
        shared = SharedConnection(
            label,
            open_it,
            self._context.retrying(),
            self._connection_changed,
            self._said,
        )
        self._connections.append(shared)
        name = f"structiot.gateway.connection {label}"
        self._run_tasks.start_soon(shared.run, name=name)
        return shared

    # ------------------------------------------------------------ what it shows

    def failing(self, reason: str) -> None:
        """Show that the driver does not do what it is there for, or again if it does."""
        if reason:
            self._show("failing", printable(reason))
        else:
            self._show_running()

    def _connection_changed(self, _connection: SharedConnection[Any]) -> None:
        if self._started_at is not None:
            self._show_running()

    def _show_running(self) -> None:
        """Show that it runs, or which of its connections does not."""
        for one in self._connections:
            if one.reason:
                state: DriverState = "parked" if one.is_parked else "failing"
                self._show(state, f"{one.label}: {one.reason}")
                return
        if self.status.reason:
            _log.info("%s: running again", self.status.system)
        self._show("running", "")

    def _show(self, state: DriverState, reason: str) -> None:
        context, before = self._context, self.status
        self.status = DriverUpdate(
            system=before.system, state=state, reason=reason, at_utc=context.clock()
        )
        if (before.state, before.reason) == (state, reason) and state != "starting":
            self.status = before
            return
        payload = {
            "state": state,
            "reason": reason,
            "since": self.status.at_utc.isoformat(timespec="milliseconds"),
        }
        topic = context.topics.driver(before.system)
        context.sink.retain(topic, json.dumps(payload, ensure_ascii=False))
        context.emit(self.status)
