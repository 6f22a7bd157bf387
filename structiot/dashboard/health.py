"""Whether the gateway is well, for whoever restarts it, and in figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from structiot.dashboard.past import past_of
from structiot.gateway import Gateway
from structiot.gateway.status import (
    GatewayStatus,
    LinkStatus,
    TaskStatus,
)

__all__ = ["metrics_text", "not_ready", "status_of"]


def not_ready(gateway: Gateway) -> list[str]:
    """Name what does not do yet, or not any more, what it is there for."""
    return list(_not_ready(gateway))


def _not_ready(gateway: Gateway) -> Iterator[str]:
    if not gateway.is_connected:
        yield "broker"
    for system, driver in sorted(gateway.drivers.items()):
        if driver.state not in {"running", "ended", "removed"}:
            yield system
    past = past_of(gateway)
    if past is not None and not past.status().is_writing:
        yield "history"


def metrics_text(gateway: Gateway) -> str:
    """Write figures of the gateway as Prometheus reads them."""
    devices = gateway.devices.values()
    figures = {
        "structiot_broker_connected": int(gateway.is_connected),
        "structiot_devices": len(devices),
        "structiot_devices_available": sum(one.is_available for one in devices),
    }
    lines = (
        f"# TYPE {name} gauge\n{name} {value}\n" for name, value in figures.items()
    )
    return "".join(lines)


def status_of(gateway: Gateway, now_utc: datetime) -> GatewayStatus:
    """Tell how the gateway is, with what runs in it."""
    drivers = gateway.drivers
    tasks = []
    for system, driver in sorted(drivers.items()):
        children = tuple(
            TaskStatus(
                name=device.name,
                state="running" if device.is_available else "failing",
                reason=device.availability.reason,
                since_utc=device.availability.at_utc,
            )
            for device in gateway.devices.values()
            if device.system == system
        )
        tasks.append(
            TaskStatus(
                name=system,
                state=driver.state,
                reason=driver.reason,
                since_utc=driver.at_utc,
                children=children,
            )
        )
    broker = LinkStatus(
        name="broker",
        is_up=gateway.is_connected,
        reason="" if gateway.is_connected else "no connection",
    )
    past = past_of(gateway)
    return GatewayStatus(
        started_utc=min((one.at_utc for one in drivers.values()), default=now_utc),
        tasks=tuple(tasks),
        links=(broker,),
        budgets=(),
        mailboxes=(),
        store=None if past is None else past.status(),
    )
