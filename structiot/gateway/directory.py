"""Which device has which place in topics, and who is in care twice.

A device is known by its system and its id. What is listed by a user has precedence over
what was found, and a place that somebody named outlives the device behind it.
"""

from __future__ import annotations

from types import MappingProxyType

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.context import GatewayContext
from structiot.gateway.device import GatewayDevice
from structiot.gateway.drivers.driver import Source
from structiot.gateway.entities.description import check_id
from structiot.gateway.entities.topics import slug_of, slug_of_device, unique_slug
from structiot.model import DeviceInfo

__all__ = ["DeviceDirectory"]


class DeviceDirectory:
    """The devices of all drivers, by their level in topics and by their identity."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._by_slug: dict[str, GatewayDevice] = {}
        self._owners: dict[tuple[str, str], GatewayDevice] = {}
        self._identities: dict[GatewayDevice, list[tuple[str, str]]] = {}

    @property
    def by_slug(self) -> MappingProxyType[str, GatewayDevice]:
        """The devices that have a place in the topics; a live view, quickly copied."""
        return MappingProxyType(self._by_slug)

    def take(self, source: Source, system: str) -> GatewayDevice:
        """Make a device of a source; one whose name makes a level has it at once."""
        slug = slug_of(source.name or "") or None
        if slug is not None:
            holder = self._by_slug.get(slug)
            if holder is not None and holder.is_outdated:
                holder.supersede()
            slug = unique_slug(slug, self._by_slug.__contains__)
        device = GatewayDevice(source, self._context, self, system, slug=slug)
        if slug is not None:
            self._by_slug[slug] = device
        return device

    def leave(self, device: GatewayDevice) -> None:
        """Take the place of a device that is given up."""
        if device.slug is not None and self._by_slug.get(device.slug) is device:
            del self._by_slug[device.slug]
        for identity in self._identities.pop(device, ()):
            del self._owners[identity]

    def claim(self, device: GatewayDevice, info: DeviceInfo) -> str:
        """Give an opened device its level in topics.

        A device with a name may have it before it is known who it is.

        Raises:
            UsageError: It is in the gateway's care already, from another source, or its
                id is none.
        """
        if info.system != device.system:
            system = printable(info.system, most=40)
            raise UsageError(f"it says that it is of {system}, not of {device.system}")
        check_id(info.id)
        if info.is_provisional and device.slug is not None:
            return device.slug
        identity = (info.system, info.id)
        if self._identities.get(device, [identity]) != [identity]:
            # Even if it is refused below, it is not the one that it was.
            self._forget(device)
        owner = self._owners.get(identity)
        if owner is not None and owner is not device:
            self._displace(owner, device)
        self._owners[identity] = device
        self._identities[device] = [identity]
        slug = device.slug
        if slug is None:
            slug = self._chosen(info)
            self._by_slug[slug] = device
        return slug

    def _chosen(self, info: DeviceInfo) -> str:
        """Give a device that has no name the place it has had, else a new one."""
        announcer = self._context.announcer
        slug = announcer.place_of(info)
        if slug is not None and slug not in self._by_slug:
            return slug
        wanted = slug_of_device(info)
        return unique_slug(
            wanted,
            lambda one: one in self._by_slug or announcer.is_reserved(one, info),
        )

    def _displace(self, owner: GatewayDevice, device: GatewayDevice) -> None:
        """Have a device give way to another source that has opened it.

        Raises:
            UsageError: It does not give way.
        """
        gives_way = owner.source.is_found or owner.is_outdated
        if device.source.is_found or not (gives_way or not owner.is_available):
            raise UsageError(f"it is the same device as {owner.label}")
        if gives_way:
            owner.supersede()
            return
        # It answers here and not there any more; who is there now, is asked there.
        self._forget(owner)
        owner.reopen()

    def _forget(self, device: GatewayDevice) -> None:
        """Another device answers where this one was; only a given name stays."""
        for identity in self._identities.pop(device, ()):
            del self._owners[identity]
        if not slug_of(device.source.name or "") and device.slug is not None:
            del self._by_slug[device.slug]
            device.forget()
