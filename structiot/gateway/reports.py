"""What the gateway tells of itself on the broker: state, info, health, its devices."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice

import anyio

from structiot._kit.redact import redact
from structiot.gateway.broker_service import BrokerService
from structiot.gateway.config import GatewayConfig
from structiot.gateway.context import GatewayContext
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.entities.device_list import device_json, pages_of
from structiot.gateway.entities.topics import ONLINE
from structiot.gateway.events import DriverUpdate
from structiot.gateway.publisher import Publisher
from structiot.gateway.values import is_stale

if sys.platform != "win32":
    import resource

__all__ = ["HEALTH_S", "GatewayReports"]

HEALTH_S = 60.0
_NAMED = 20
_STALE_NAMED = 300
_OWN_SECTIONS = ("mqtt", "broker", "gateway")


class GatewayReports:
    """Tells what the gateway is and how it fares.

    Args:
        context: The gateway's.
        directory: Its devices.
        publisher: What waits for the broker.
        service: What comes from the broker.
        settings: Gives the settings in force.
        drivers: Gives what the driver of each system does.
    """

    def __init__(
        self,
        context: GatewayContext,
        directory: DeviceDirectory,
        publisher: Publisher,
        service: BrokerService,
        *,
        settings: Callable[[], GatewayConfig],
        drivers: Callable[[], Mapping[str, DriverUpdate]],
    ) -> None:
        self._context = context
        self._directory = directory
        self._publisher = publisher
        self._service = service
        self._settings = settings
        self._drivers = drivers
        self._started_utc: datetime = context.clock()
        self._started_s = anyio.current_time()
        self._pages: list[str] = []

    async def run(self) -> None:
        """Tell until cancelled: its health each minute, the rest when it changes."""
        self._soon("state", self._show_state)
        self.show_soon()
        while True:
            self._soon("health", self._show_health)
            await anyio.sleep(HEALTH_S)

    def show_soon(self) -> None:
        """Tell soon what has changed of info and devices."""
        self._soon("devices", self.show_devices)

    def _soon(self, name: str, show: Callable[[], None]) -> None:
        self._context.summaries.soon(self._context.topics.report(name), show)

    def _show_state(self) -> None:
        state = {"state": ONLINE, "version": self._context.version}
        self._show("state", {**state, "since": _written(self._started_utc)})

    def _show_health(self) -> None:
        self._show("health", self.health())

    def show_devices(self) -> None:
        """Tell which devices there are, and how many."""
        self._show("info", self.info())
        context, before = self._context, len(self._pages)
        self._pages = pages_of(
            device.listed or device_json(slug, device.name, device.system)
            for slug, device in self._directory.by_slug.items()
        )
        for number, page in enumerate(self._pages, 1):
            context.sink.retain(self._page_topic(number), page)
        for number in range(len(self._pages) + 1, before + 1):
            context.sink.clear(self._page_topic(number))

    def _page_topic(self, number: int) -> str:
        name = "devices" if number == 1 else f"devices/{number}"
        return self._context.topics.report(name)

    def _show(self, name: str, told: Mapping[str, object]) -> None:
        topic = self._context.topics.report(name)
        self._context.sink.retain(topic, json.dumps(told, ensure_ascii=False))

    # ------------------------------------------------------------ what is told

    def page(self, number: int) -> Mapping[str, object] | None:
        """Give a page of the devices; None if there are not so many."""
        if not self._pages:
            self.show_devices()
        if not 1 <= number <= len(self._pages):
            return None
        found: dict[str, object] = json.loads(self._pages[number - 1])
        return found

    def info(self) -> dict[str, object]:
        """Say what runs here, without secrets."""
        settings = self._settings()
        return {
            "version": self._context.version,
            "python": platform.python_version(),
            "backend": anyio.get_cancelled_exc_class().__module__.partition(".")[0],
            "started": _written(self._started_utc),
            "systems": sorted(settings.systems),
            "devices": len(self._directory.by_slug),
            "settings": {
                name: redact(getattr(settings, name).model_dump())
                for name in _OWN_SECTIONS
            },
        }

    def health(self) -> dict[str, object]:
        """Say how it fares."""
        publisher, service, outbox = (
            self._publisher,
            self._service,
            self._publisher.outbox,
        )
        devices = self._directory.by_slug
        online = sum(one.is_available for one in devices.values())
        flooding = (slug for slug, one in devices.items() if one.budget.is_flooding)
        stale = (slug for slug, one in devices.items() if _has_stale(one))
        return {
            "at": _written(self._context.clock()),
            "uptime_s": round(anyio.current_time() - self._started_s),
            "memory_peak_bytes": _memory_peak_bytes(),
            "broker": {
                "reconnects": max(0, service.connections - 1),
                "received": service.received,
                "published": publisher.published,
                "refused": publisher.refused,
            },
            "outbox": {
                "waiting": outbox.waiting,
                "most": outbox.most,
                "dropped": outbox.dropped,
            },
            "devices": {
                "online": online,
                "offline": len(devices) - online,
                "flooding": list(islice(flooding, _NAMED)),
                "stale": list(islice(stale, _STALE_NAMED)),
                "dropped_events": sum(one.budget.dropped for one in devices.values()),
            },
            "systems": {name: one.state for name, one in self._drivers().items()},
        }


def _has_stale(device: ServedDevice) -> bool:
    """Whether something that it shows was not heard within its time."""
    return device.is_available and any(is_stale(device, key) for key in device.states)


def _written(at_utc: datetime) -> str:
    return at_utc.isoformat(timespec="milliseconds")


def _memory_peak_bytes() -> int | None:
    """Give the most memory that the process has had, where the system tells."""
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
