"""What other gateways of this program have announced on the same broker.

Two gateways may serve one device; the one that was there first announces it. What another
one has announced is not ours to clear, whether that gateway is online or not. While it is
online, the device is not announced a second time; its announcement is listened to, and when
it goes, the device is announced here. If the other gateway is offline, the device is taken
over: that may well be this gateway before its base topic was changed. Its states are cleared
only if the base topic is known to be a gateway's: it was ours, or says of its gateway that it
is offline. An announcement alone proves nothing; anybody may have written it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text
from structiot.gateway.entities.announcement import (
    MAX_COMPONENTS,
    Announcement,
    read_announcement,
)
from structiot.gateway.entities.component_discovery import filters_of
from structiot.gateway.records import DeviceRecord
from structiot.gateway.retained import Earlier, no_more_retained
from structiot.mqtt import Message, MqttClient, SubscribeRefused

__all__ = ["OtherGateways"]

_MAX_WATCHED = 256
# Who changes the place of an announcement clears it first.
_GONE_S = 2.0

_log = logging.getLogger(__name__)


class OtherGateways:
    """Their announcements, by the topic of the device."""

    def __init__(self) -> None:
        self._online: dict[str, Announcement] = {}
        self._offline: dict[str, Announcement] = {}
        self._vouched: set[str] = set()
        self._theirs: set[str] = set()
        self._wanted: dict[str, None] = {}
        self._changed = anyio.Event()

    def take(self, earlier: Earlier) -> None:
        """Take note of what stands on the broker now."""
        self._online, self._offline = earlier.foreign, earlier.orphaned
        self._vouched = earlier.vouched
        self._wanted.clear()
        both = (*self._online.values(), *self._offline.values())
        self._theirs = {config for one in both for config in one.configs}

    def ours(self, configs: Iterable[str]) -> list[str]:
        """Give those topics that no other gateway uses."""
        return [config for config in configs if config not in self._theirs]

    def announcing(self, topic: str) -> Announcement | None:
        """Give the announcement of a gateway that is online, to be watched from now on."""
        other = self._online.get(topic)
        if other is not None and topic not in self._wanted:
            self._wanted[topic] = None
            self._changed.set()
        return other

    def take_over(self, topic: str) -> tuple[DeviceRecord, list[str]] | None:
        """Take what a gateway that is offline has announced; give what may be cleared."""
        orphan = self._offline.pop(topic, None)
        if orphan is None:
            return None
        self._theirs.difference_update(orphan.configs)
        left = DeviceRecord.announced(orphan)
        return left, left.topics if orphan.base in self._vouched else []

    # ------------------------------------------------------------ until they go

    async def watch(
        self, client: MqttClient, gone: Callable[[Announcement], None]
    ) -> None:
        """Watch what keeps devices from being announced, until cancelled.

        Args:
            client: The connection to the broker.
            gone: Told of each that is not there any more.
        """
        watched: set[str] = set()

        async def watch_one(topic: str) -> None:
            await _until_gone(client, topic, self._online[topic].base)
            watched.discard(topic)
            self._wanted.pop(topic, None)
            self._changed.set()
            if (other := self._online.pop(topic, None)) is not None:
                self._theirs.difference_update(other.configs)
                gone(other)

        async with service_group() as tasks:
            while True:
                self._changed = anyio.Event()
                for topic in self._wanted:
                    if topic not in watched and len(watched) < _MAX_WATCHED:
                        watched.add(topic)
                        name = "structiot.gateway.other_gateway"
                        tasks.start_soon(watch_one, topic, name=name)
                await self._changed.wait()


async def _until_gone(client: MqttClient, topic: str, base: str) -> None:
    """Return when a gateway announces a device no more, as a whole or in parts."""
    standing: set[str] = set()
    changed = anyio.Event()
    count = 0

    def take(message: Message) -> None:
        nonlocal changed, count
        count += 1
        one = read_announcement(message.topic, message.payload)
        if one is None or one.base != base:
            standing.discard(message.topic)
        elif len(standing) < MAX_COMPONENTS:
            standing.add(message.topic)
        changed.set()
        changed = anyio.Event()

    async def listen(topic_filter: str) -> None:
        try:
            async with client.subscription(topic_filter, qos=1) as messages:
                async for message in messages:
                    take(message)
                    await anyio.lowlevel.checkpoint()
        except SubscribeRefused as exc:
            _log.debug("%s cannot be watched: %s", topic, error_text(exc))
            standing.add(topic_filter)

    async with service_group() as tasks:
        for topic_filter in filters_of(topic):
            name = "structiot.gateway.other_gateway"
            tasks.start_soon(listen, topic_filter, name=name)
        await no_more_retained(client, lambda: count)
        is_gone = False
        while not is_gone:
            event = changed
            with anyio.move_on_after(None if standing else _GONE_S) as patience:
                await event.wait()
            is_gone = patience.cancelled_caught
