"""What an earlier run of this gateway left on the broker, and is true no more.

A gateway that was killed could not take back what it had announced. At the first
connection the announcements that carry this gateway's id and topics are read: a device
that is not known (yet) is shown as offline. Once its system's driver has started and can
find no further devices, or where its system is not configured any more, it is taken off
the broker altogether. The announcements of other gateways and programs are never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot.gateway.context import GatewayContext
from structiot.gateway.entities.discovery import announced_system, announced_topics
from structiot.gateway.entities.topics import OFFLINE
from structiot.mqtt import Message, MqttClient

__all__ = ["StaleTopics"]

# Retained messages come right after the subscription; there is no sign of the last.
_LISTEN_S = 2.0
_MAX_LEFT = 1000
# Reading a longer one would keep everybody waiting, and ours are shorter.
_MAX_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class StaleTopics:
    """What was left, until it is known whether it may stay.

    Args:
        context: The gateway's.
        present: Levels in topics of the devices that are known at each moment.
        systems: Names of the systems that are served.
        may_come_later: Tells whether a device of a system may turn up that is not known.
    """

    def __init__(
        self,
        context: GatewayContext,
        *,
        present: Container[str],
        systems: Container[str],
        may_come_later: Callable[[str], bool],
    ) -> None:
        self._context = context
        self._present = present
        self._systems = systems
        self._may_come_later = may_come_later
        self._left: dict[str, tuple[str, list[str]]] = {}

    async def read(self, client: MqttClient) -> None:
        """Read what an earlier run left; returns after two seconds of listening."""
        topics = self._context.topics
        with anyio.move_on_after(_LISTEN_S):
            async with service_group() as tasks:
                for one in (topics.all_discovery, topics.driver("+")):
                    tasks.start_soon(self._read_filter, client, one)
                await anyio.sleep_forever()

    async def _read_filter(self, client: MqttClient, topic_filter: str) -> None:
        async with client.subscription(topic_filter, qos=1) as messages:
            async for message in messages:
                if message.retain and len(message.payload) <= _MAX_BYTES:
                    self._take(message)
                    await anyio.lowlevel.checkpoint()

    def _take(self, message: Message) -> None:
        context = self._context
        topics, sink = context.topics, context.sink
        system = topics.system_of_driver(message.topic)
        if system is not None:
            if system not in self._systems:
                sink.clear(message.topic)
            return
        device = topics.device_of_discovery(message.topic)
        if device is None or len(self._left) >= _MAX_LEFT:
            return
        retained = announced_topics(message.payload, device=device, topics=topics)
        if not retained:
            return
        if not context.announces:
            sink.clear(message.topic)
        if device in self._present:
            return
        system = announced_system(message.payload)
        self._left[device] = system, [message.topic, *retained]
        if self._may_come_later(system):
            sink.retain(topics.availability(device), OFFLINE)
        self.clear(system)

    def clear(self, system: str) -> None:
        """Take what is left of a system off the broker, if nothing more can turn up."""
        if self._may_come_later(system):
            return
        for device, (its_system, topics) in list(self._left.items()):
            if its_system != system:
                continue
            del self._left[device]
            if device in self._present:
                continue
            _log.info("taking %s, which is no more, off the broker", device)
            for topic in topics:
                self._context.sink.clear(topic)
