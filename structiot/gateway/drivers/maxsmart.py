"""MaxSmart strips and plugs: those that are listed, and those that answer a search."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import anyio

from structiot._kit.environment import Environment
from structiot.errors import TransportError
from structiot.gateway.config import MaxSmartDeviceSection, MaxSmartSection
from structiot.gateway.drivers.driver import Keeper, Kept, Source
from structiot.maxsmart import DiscoveredMaxSmart, discover_maxsmart, maxsmart_device
from structiot.model import Device

__all__ = ["MaxSmartDriver"]

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Found:
    """A strip that answered a search; its address may change.

    Attributes:
        host: Where it is.
        serial: Its serial, if it has ever told a readable one.
        mac: Its hardware address, likewise.
        kept: The strip in the gateway's care.
    """

    host: str
    serial: str | None = None
    mac: str | None = None
    kept: Kept | None = field(default=None)

    def is_same_as(self, device: DiscoveredMaxSmart) -> bool:
        """Whether a device is this strip: by serial, else MAC, else address."""
        if None not in (self.serial, device.serial):
            return self.serial == device.serial
        if None not in (self.mac, device.mac):
            return self.mac == device.mac
        return self.host == device.host


class MaxSmartDriver:
    """Names the strips of `[maxsmart]`."""

    system = "maxsmart"

    def __init__(self, section: MaxSmartSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment
        self._listed: list[Kept] = []
        self._found: list[_Found] = []
        self._trouble = ""

    @property
    def finds_more(self) -> bool:
        """Whether strips may turn up that have no name in the configuration."""
        section = self._section
        return section.discover or any(
            device.name is None for device in section.devices
        )

    async def run(self, keeper: Keeper) -> None:
        """Name the listed strips; with `discover`, search again and again."""
        for device in self._section.devices:
            self._listed.append(keeper.keep(self._source_of(device)))
        while self._section.discover:
            await self._search(keeper)
            await anyio.sleep(self._section.discover_every_s)

    def _source_of(self, device: MaxSmartDeviceSection) -> Source:
        section = self._section

        def open_it() -> AbstractAsyncContextManager[Device]:
            return maxsmart_device(
                device.host,
                port=device.http_port or section.http_port,
                udp_port=device.udp_port or section.udp_port,
                name=device.name,
                device_id=device.id,
                poll_s=device.poll_s or section.poll_s,
                reply_s=section.reply_s,
                environment=self._environment,
            )

        return Source(label=f"strip at {device.host}", open=open_it, name=device.name)

    async def _search(self, keeper: Keeper) -> None:
        try:
            # Not as each answers: what is listed shall be opened, and so known, first.
            devices = await discover_maxsmart(
                broadcast=self._section.broadcast,
                udp_port=self._section.udp_port,
                environment=self._environment,
            )
        except TransportError as exc:
            if self._trouble != str(exc):
                self._trouble = str(exc)
                _log.warning("cannot search for strips: %s; trying on", exc)
            return
        self._trouble = ""
        for device in devices:
            self._take(device, keeper)

    def _take(self, device: DiscoveredMaxSmart, keeper: Keeper) -> None:
        if self._is_listed(device):
            return
        name = device.name or "a strip"
        found = next((one for one in self._found if one.is_same_as(device)), None)
        if found is None:
            _log.info("found %s at %s", name, device.host)
            found = _Found(host=device.host, serial=device.serial, mac=device.mac)
            self._found.append(found)
            found.kept = keeper.keep(self._source_found(found))
            return
        found.serial = found.serial or device.serial
        found.mac = found.mac or device.mac
        if found.host != device.host and not _is_available(found):
            # Another address from the router; had the old one still worked, this would
            # be a second way to the same strip.
            _log.info("%s has moved to %s", name, device.host)
            found.host = device.host
            if found.kept is not None:
                found.kept.reopen()

    def _is_listed(self, device: DiscoveredMaxSmart) -> bool:
        if any(entry.host == device.host for entry in self._section.devices):
            return True
        infos = [kept.info for kept in self._listed if kept.info is not None]
        return any(
            device.serial is not None and info.serial == device.serial for info in infos
        )

    def _source_found(self, found: _Found) -> Source:
        section = self._section

        def open_it() -> AbstractAsyncContextManager[Device]:
            return maxsmart_device(
                found.host,
                port=section.http_port,
                udp_port=section.udp_port,
                poll_s=section.poll_s,
                reply_s=section.reply_s,
                environment=self._environment,
            )

        return Source(label=f"strip at {found.host}", open=open_it, is_found=True)


def _is_available(found: _Found) -> bool:
    return found.kept is not None and found.kept.is_available
