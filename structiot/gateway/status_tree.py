"""Puts together how a gateway is, from what each part says of itself.

    gateway > broker connection > publisher, announcer
            > history
            > links
            > the driver of each system > its connections > devices on them
                                        > its other devices

It is asked, never told: nothing is registered anywhere, and what has ended is not in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import anyio

from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable, told_apart
from structiot.errors import InternalError
from structiot.gateway.events import BrokerLost
from structiot.gateway.isolation import called
from structiot.gateway.status import (
    BudgetStatus,
    DriverStatus,
    GatewayStatus,
    LinkStatus,
    MailboxStatus,
    TaskState,
    TaskStatus,
)

if TYPE_CHECKING:
    from structiot.gateway.device import GatewayDevice
    from structiot.gateway.driver_runner import DriverRunner
    from structiot.gateway.gateway import Gateway

__all__ = ["status_of"]

T = TypeVar("T")
Named = TypeVar("Named", LinkStatus, BudgetStatus, MailboxStatus)

_log = logging.getLogger(__name__)


def status_of(gateway: Gateway) -> GatewayStatus:
    """Tell how a gateway is; it waits for nothing.

    No password, token or key is in it.
    """
    now_utc = gateway.environment.now_utc()
    told = [_told_by(runner) for runner in gateway.runners.values()]
    history = gateway.history
    links = [_broker_link(gateway)]
    budgets = [*_client_budgets(gateway), *_device_budgets(gateway)]
    mailboxes = [gateway.publisher.outbox, *gateway.mailboxes()]
    for runner, more in zip(gateway.runners.values(), told, strict=True):
        links += [one.link() for one in runner.connections]
        links += more.links
        budgets += more.budgets
        mailboxes += more.mailboxes
    links += gateway.link_status
    if history is not None:
        links += history.links()
    return GatewayStatus(
        started_utc=gateway.started_utc,
        tasks=(_gateway_task(gateway, now_utc),),
        links=_told_apart(links),
        budgets=_told_apart(budgets),
        mailboxes=_told_apart(mailboxes),
        store=None if history is None else history.status(),
    )


def _told_apart(told: Sequence[Named]) -> tuple[Named, ...]:
    """Give each a name of its own: who counts by names counts none twice."""
    names = told_apart([one.name for one in told])
    return tuple(replace(one, name=name) for one, name in zip(told, names, strict=True))


# ---------------------------------------------------------------- what runs


def _gateway_task(gateway: Gateway, now_utc: datetime) -> TaskStatus:
    children = [_broker_task(gateway)]
    if gateway.history is not None:
        store = gateway.history.status()
        state: TaskState = "running" if store.is_writing else "failing"
        children.append(TaskStatus(name="history", state=state, reason=store.reason))
    if linked := gateway.link_status:
        children.append(_links_task(linked))
    runners = sorted(gateway.runners.items())
    children += [_driver_task(runner, now_utc) for _, runner in runners]
    return TaskStatus(
        name="gateway",
        state="running",
        since_utc=gateway.started_utc,
        children=tuple(children),
    )


def _links_task(linked: Sequence[LinkStatus]) -> TaskStatus:
    """Tell of the links from device to device; one that waits for its device fails alone."""
    children = tuple(
        TaskStatus(
            name=one.name,
            state="running" if one.is_up else "failing",
            reason=one.reason,
        )
        for one in linked
    )
    return TaskStatus(name="links", state="running", children=children)


def _broker_task(gateway: Gateway) -> TaskStatus:
    connection, service = gateway.connection, gateway.broker_service
    state: TaskState = "failing"
    if connection.is_connected:
        state = "running"
    elif connection.is_parked:
        state = "parked"
    elif service.told is None:
        state = "starting"
    announcer: TaskState = "running" if gateway.announcer.is_read else "starting"
    waits = "it waits for the broker"
    children = [
        TaskStatus(
            name="publisher",
            state="running" if connection.is_connected else "absent",
            reason="" if connection.is_connected else waits,
        )
    ]
    if gateway.announcer.announces:
        is_up = connection.is_connected
        children.append(
            TaskStatus(
                name="announcer",
                state=announcer if is_up else "absent",
                reason="" if is_up else waits,
            )
        )
    return TaskStatus(
        name="broker connection",
        state=state,
        reason=_why_no_broker(gateway),
        restarts=max(0, service.connections - 1),
        since_utc=service.told_at_utc,
        children=tuple(children),
    )


def _why_no_broker(gateway: Gateway) -> str:
    if gateway.connection.is_connected:
        return ""
    told = gateway.broker_service.told
    return told.reason if isinstance(told, BrokerLost) else "not connected yet"


def _driver_task(runner: DriverRunner, now_utc: datetime) -> TaskStatus:
    devices = list(runner.devices)
    children = []
    for connection in runner.connections:
        below = tuple(
            _device_task(one) for one in devices if one.source.parent is connection
        )
        children.append(connection.task(now_utc, below))
    known = {id(one) for one in runner.connections}
    children += [
        _device_task(one) for one in devices if id(one.source.parent) not in known
    ]
    status = runner.status
    return TaskStatus(
        name=status.system,
        state=status.state,
        reason=status.reason,
        restarts=max(0, runner.starts - 1),
        since_utc=status.at_utc,
        children=tuple(children),
    )


def _device_task(device: GatewayDevice) -> TaskStatus:
    told = device.availability
    state: TaskState = "failing"
    if told.is_available:
        state = "running"
    elif device.source.comes_by_itself:
        state = "absent"
    elif device.retrying.is_parked:
        state = "parked"
    elif device.opened < 2 and not device.reported:
        state = "starting"
    return TaskStatus(
        name=device.name,
        state=state,
        reason="" if told.is_available else told.reason,
        restarts=max(0, device.opened - 1),
        since_utc=told.at_utc,
    )


# ---------------------------------------------------------------- what else there is


def _broker_link(gateway: Gateway) -> LinkStatus:
    return LinkStatus(
        name=f"broker {gateway.connection.settings.place}",
        is_up=gateway.is_connected,
        reason=_why_no_broker(gateway),
    )


def _client_budgets(gateway: Gateway) -> Iterator[BudgetStatus]:
    client = gateway.connection.client
    if client is not None:
        most, counters = client.config.max_held_bytes, client.counters
        held = counters.held_bytes + counters.unread_bytes
        yield BudgetStatus(
            name="memory of the broker connection",
            left=max(0, most - held),
            most=most,
            unit="bytes",
        )


def _device_budgets(gateway: Gateway) -> Iterator[BudgetStatus]:
    """Tell of those devices alone that have used up some of theirs."""
    for slug, device in gateway.devices.items():
        budget = device.budget
        if budget.is_strained:
            yield BudgetStatus(
                name=f"events of {slug}",
                left=budget.left,
                most=budget.most,
                unit="events",
            )


_failures = RareLines(_log, anyio.current_time)


def _told_by(runner: DriverRunner) -> DriverStatus:
    """Ask a driver what else there is; it may be anybody's."""
    tell = getattr(runner.driver, "status", None)
    if tell is None:
        return DriverStatus()
    try:
        found = called(tell)
        if isinstance(found, DriverStatus):
            return DriverStatus(
                links=_checked(found.links, LinkStatus),
                budgets=_checked(found.budgets, BudgetStatus),
                mailboxes=_checked(found.mailboxes, MailboxStatus),
            )
        reason = f"it tells {type(found).__name__}, no DriverStatus"
    except InternalError as exc:
        reason = printable(str(exc))
    _failures.say("%s cannot say how it is: %s", runner.status.system, reason)
    return DriverStatus()


def _checked(told: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """Take what is of the kind that it should be."""
    return tuple(one for one in told if isinstance(one, kind))
