"""MaxSmart strips and plugs: those that are listed, and those that answer a search."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import anyio
from pydantic import Field

from structiot._kit.environment import Environment
from structiot._kit.text import error_text, printable
from structiot.errors import LinkLost, TransportError
from structiot.gateway.config.fields import (
    DeviceId,
    DeviceName,
    Finding,
    Host,
    Hosts,
    Port,
    Section,
    SystemSection,
    seconds,
)
from structiot.gateway.drivers.driver import DeviceRegistry, ManagedDevice, Source
from structiot.gateway.drivers.places import places_listed_twice
from structiot.maxsmart import DiscoveredMaxSmart, discover_maxsmart, maxsmart_device
from structiot.model import Device

__all__ = ["MaxSmartDeviceSection", "MaxSmartDriver", "MaxSmartSection"]

_PollSeconds: TypeAlias = Annotated[float, seconds(0.5, 3600)]
_WattUnit: TypeAlias = Literal["W", "mW"]

# A port that is renamed at the strip is to be called so within a minute.
_IDENTIFY_S = 45.0
# Anyone in the network can answer a search, under as many serials as he likes.
_MOST_FOUND = 1024

_log = logging.getLogger(__name__)


class MaxSmartDeviceSection(Section):
    """`[[maxsmart.devices]]`: one strip or plug; what is not given is as in `[maxsmart]`.

    Attributes:
        host: Address or name of the strip.
        name: What topics and people call it.
        id: Its identity in Home Assistant, for a strip that does not tell its serial;
            once given it stays, or everything is a new device there.
        http_port: TCP port of its commands.
        udp_port: UDP port of its discovery.
        poll_s: Time between two readings.
        watt_unit: Unit of its power figures, `"W"` or `"mW"`, for a strip whose way of
            writing them misleads.
    """

    host: Host
    name: DeviceName | None = None
    id: DeviceId | None = None
    http_port: Port | None = None
    udp_port: Port | None = None
    poll_s: _PollSeconds | None = None
    watt_unit: _WattUnit | None = None


class MaxSmartSection(SystemSection):
    """`[maxsmart]`: power strips and plugs on the local network.

    Attributes:
        discover: Whether to look for strips besides those that are listed.
        discover_every_s: Time between two searches.
        broadcast: Addresses that a search is sent to; by default the broadcast
            address of each interface and 255.255.255.255.
        poll_s: Time between two readings of a strip.
        reply_s: Longest wait for one answer of a strip.
        http_port: TCP port of commands.
        udp_port: UDP port of discovery.
        watt_unit: Unit of the power figures of all strips, `"W"` or `"mW"`; by default
            each strip's way of writing them tells.
        devices: The strips that are known.
    """

    discover: bool = True
    discover_every_s: Annotated[float, seconds(5, 86400)] = 60.0
    broadcast: Hosts | None = Field(default=None, examples=[["192.168.1.255"]])
    poll_s: _PollSeconds = 5.0
    reply_s: Annotated[float, seconds(0.1, 60)] = 2.0
    http_port: Port = 80
    udp_port: Port = 8888
    watt_unit: _WattUnit | None = None
    devices: Annotated[tuple[MaxSmartDeviceSection, ...], Field(strict=False)] = ()

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterator[Finding]:
        """See that there is somewhere to look, and no place is listed twice."""
        yield from places_listed_twice(table, port="http_port", usual_port=80)
        if table.get("broadcast") == [] and table.get("discover", True) is True:
            yield Finding(
                path=("broadcast",),
                message="broadcast is empty although discover is true: "
                "give an address, or set discover = false",
            )


@dataclass(slots=True, kw_only=True)
class _Strip:
    """A strip in the gateway's care; it is known by its serial, its address may change.

    Attributes:
        host: Where it is.
        serial: Its serial, if it has ever told a readable one.
        mac: Its hardware address, likewise.
        managed: The strip in the gateway's care.
        doubted_at: How many searches were over when another one answered in its place.
    """

    host: str
    serial: str | None = None
    mac: str | None = None
    managed: ManagedDevice | None = None
    doubted_at: int | None = None

    def is_same_as(self, device: DiscoveredMaxSmart) -> bool:
        """Whether a device is this strip: by serial, else MAC, else address."""
        if None not in (self.serial, device.serial):
            return self.serial == device.serial
        if None not in (self.mac, device.mac):
            return self.mac == device.mac
        return self.host == device.host

    def learn_serial(self) -> None:
        """Take over the serial that the gateway knows, if this one has none."""
        if self.serial is None and self.managed is not None:
            self.serial = self.managed.remembered_serial

    @property
    def is_itself(self) -> bool:
        """Whether it is reached, and is not another one that answers in its place."""
        managed = self.managed
        if managed is None or not managed.is_available:
            return False
        serial = managed.info.serial if managed.info is not None else None
        return None in (serial, self.serial) or serial == self.serial


class MaxSmartDriver:
    """Names the strips of `[maxsmart]`."""

    system: ClassVar[str] = "maxsmart"
    section: ClassVar[type[SystemSection]] = MaxSmartSection

    def __init__(self, section: MaxSmartSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment
        self._listed: list[_Strip] = []
        self._found: list[_Strip] = []
        self._searches = 0
        self._search_now = anyio.Event()
        self._trouble = ""
        self._is_crowded = False

    @property
    def finds_more(self) -> bool:
        """Whether strips may turn up that have no name in the configuration."""
        section = self._section
        return section.discover or any(
            device.name is None for device in section.devices
        )

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the listed strips; with `discover`, search again and again."""
        for device in self._section.devices:
            strip = _Strip(host=device.host)
            self._listed.append(strip)
            strip.managed = registry.add(self._source_of(device, strip))
            strip.learn_serial()
        registry.started(keeps_found=self._section.discover)
        while self._section.discover:
            await self._search(registry)
            self._searches += 1
            with anyio.move_on_after(self._section.discover_every_s):
                await self._search_now.wait()
            self._search_now = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def simulated(
        cls,
        environment: Environment,
        *,
        count: int | None = None,
        day_s: float = 86_400.0,
    ) -> AsyncGenerator[dict[str, Any]]:
        """Simulate strips of a house, two of them by default."""
        # Who serves real strips needs no simulator.
        from structiot.sim.house.strips import house_strips  # noqa: PLC0415

        opened = house_strips(environment, count=count or 2, day_s=day_s)
        async with opened as sims:
            yield {
                "discover": False,
                "poll_s": 1.0,
                "devices": [
                    {
                        "host": sim.host,
                        "name": sim.name,
                        "udp_port": sim.udp_port,
                        # Where there is no HTTP, nobody is at this port.
                        "http_port": sim.http_port or sim.udp_port,
                    }
                    for sim in sims
                ],
            }

    def _source_of(self, device: MaxSmartDeviceSection, strip: _Strip) -> Source:
        section = self._section

        @asynccontextmanager
        async def open_it() -> AsyncGenerator[Device]:
            async with maxsmart_device(
                strip.host,
                http_port=device.http_port or section.http_port,
                udp_port=device.udp_port or section.udp_port,
                name=device.name,
                device_id=device.id,
                poll_s=device.poll_s or section.poll_s,
                reply_s=section.reply_s,
                identify_s=_IDENTIFY_S,
                watt_unit=device.watt_unit or section.watt_unit,
                environment=self._environment,
            ) as opened:
                self._recognize(strip, opened.info.serial)
                yield opened

        port = device.http_port or section.http_port
        return Source(
            key=f"listed {device.host}:{port}",
            label=f"strip at {device.host}",
            open=open_it,
            name=device.name,
            settings=_deciding(section, device),
        )

    def _recognize(self, strip: _Strip, serial: str | None) -> None:
        """Refuse another strip in the place of a listed one until that was looked for.

        Raises:
            LinkLost: It is another one, and a search for the right one is under way.
        """
        strip.learn_serial()
        if None in (strip.serial, serial) or strip.serial == serial:
            strip.doubted_at = None
            return
        if strip.doubted_at is None:
            strip.doubted_at = self._searches
        if self._section.discover and self._searches == strip.doubted_at:
            self._search_now.set()
            raise LinkLost(f"it is {serial}; looking where {strip.serial} is now")
        where = (
            "which is not found" if self._section.discover else "which it was before"
        )
        _log.warning(
            "the strip at %s is %s, not %s, %s", strip.host, serial, strip.serial, where
        )
        strip.serial, strip.doubted_at = serial, None

    async def _search(self, registry: DeviceRegistry) -> None:
        try:
            # Not as each answers: what is listed shall be opened, and so known, first.
            devices = await discover_maxsmart(
                broadcast=self._section.broadcast,
                udp_port=self._section.udp_port,
                environment=self._environment,
            )
        except TransportError as exc:
            if self._trouble != (trouble := error_text(exc)):
                self._trouble = trouble
                _log.warning("cannot search for strips: %s; trying on", trouble)
            return
        self._trouble = ""
        for device in devices:
            self._take(device, registry)

    def _take(self, device: DiscoveredMaxSmart, registry: DeviceRegistry) -> None:
        known = self._listed_as(device)
        if known is None:
            known = next((one for one in self._found if one.is_same_as(device)), None)
        name = printable(device.name or "a strip", most=100)
        if known is None and len(self._found) >= _MOST_FOUND:
            if not self._is_crowded:
                self._is_crowded = True
                _log.warning(
                    "%d strips have been found, which is enough; list those that matter",
                    _MOST_FOUND,
                )
            return
        if known is None:
            _log.info("found %s at %s", name, device.host)
            found = _Strip(host=device.host, serial=device.serial, mac=device.mac)
            self._found.append(found)
            found.managed = registry.add(self._source_found(found))
            return
        known.serial = known.serial or device.serial
        known.mac = known.mac or device.mac
        if known.host != device.host and not known.is_itself:
            # Another address from the router; had the old one still worked, this would
            # be a second way to the same strip.
            _log.info("%s has moved to %s", name, device.host)
            known.host = device.host
            if known.managed is not None:
                known.managed.reopen()

    def _listed_as(self, device: DiscoveredMaxSmart) -> _Strip | None:
        """Give the listed strip that this is: by serial, else by address."""
        for strip in self._listed:
            strip.learn_serial()
        by_serial = (one for one in self._listed if one.serial == device.serial)
        by_host = (one for one in self._listed if one.host == device.host)
        if device.serial is not None and (found := next(by_serial, None)) is not None:
            return found
        return next(by_host, None)

    def _source_found(self, found: _Strip) -> Source:
        section = self._section

        def open_it() -> AbstractAsyncContextManager[Device]:
            return maxsmart_device(
                found.host,
                http_port=section.http_port,
                udp_port=section.udp_port,
                poll_s=section.poll_s,
                reply_s=section.reply_s,
                identify_s=_IDENTIFY_S,
                watt_unit=section.watt_unit,
                environment=self._environment,
            )

        identity = found.serial or found.mac or found.host
        return Source(
            key=f"found {identity}",
            label=f"strip at {found.host}",
            open=open_it,
            is_found=True,
            settings=_deciding(section),
        )


def _deciding(
    section: MaxSmartSection, device: MaxSmartDeviceSection | None = None
) -> object:
    """Give what a strip is opened with."""
    own = (device.host, device.name, device.id) if device is not None else None
    return (
        own,
        (device and device.http_port) or section.http_port,
        (device and device.udp_port) or section.udp_port,
        (device and device.poll_s) or section.poll_s,
        (device and device.watt_unit) or section.watt_unit,
        section.reply_s,
    )
