"""What the configuration says of single devices: taken up, and said where it is of none."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import anyio

from structiot._kit.text import did_you_mean
from structiot.gateway.config.places import DeviceSection
from structiot.gateway.context import GatewayContext
from structiot.gateway.directory import DeviceDirectory

__all__ = ["DevicePlaces"]

# As long as a driver may take to start.
_SETTLED_S = 60.0

_log = logging.getLogger(__name__)


class DevicePlaces:
    """Keeps `[devices]` in force.

    Args:
        context: The gateway's; it holds what is in force.
        directory: The devices that there are.
    """

    def __init__(self, context: GatewayContext, directory: DeviceDirectory) -> None:
        self._context = context
        self._directory = directory
        self._said: set[str] = set()
        self._changed = anyio.Event()

    def change(self, devices: Mapping[str, DeviceSection]) -> None:
        """Take other sections: devices in another room are announced once more."""
        before, self._context.devices = self._context.devices, devices
        if devices == before:
            return
        for slug, device in list(self._directory.by_slug.items()):
            if _room(before, slug) != _room(devices, slug):
                device.show_place()
        self._changed.set()

    async def run(self) -> None:
        """Say once what is of no device, when the devices have had time to be there."""
        while True:
            self._changed = anyio.Event()
            with anyio.move_on_after(_SETTLED_S):
                await self._changed.wait()
                continue
            unknown = dict(self._unknown())
            for name in unknown.keys() - self._said:
                _log.warning("%s", unknown[name])
            self._said = set(unknown)
            await self._changed.wait()

    def _unknown(self) -> Iterator[tuple[str, str]]:
        """Give the names of sections that are of nothing, and what to say of each."""
        known = self._directory.by_slug
        for slug, section in self._context.devices.items():
            name = f"[devices.{slug}]"
            if slug not in known:
                # One of an earlier run may come again, such as one that dials in.
                root = self._context.topics.root(slug)
                if self._context.records.at(root) is None:
                    near = did_you_mean(slug, known)
                    yield name, f"{name}: there is no such device so far{near}"
                continue
            entities = known[slug].entities
            for key in section.entities if entities else ():
                if key not in entities:
                    near = did_you_mean(key, entities)
                    one = f"[devices.{slug}.entities.{key}]"
                    yield one, f"{one}: {slug} has no such entity so far{near}"


def _room(devices: Mapping[str, DeviceSection], slug: str) -> str | None:
    section = devices.get(slug)
    return None if section is None else section.room
