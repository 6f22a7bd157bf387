"""Where devices are announced to Home Assistant: put there, moved, and taken away.

An announcement is one message, or, where the broker takes none as long as that, one of
each entity. Home Assistant keeps the entities of what moves from topics to others if it is
told to let go of them first, and complains of what stands at both: the old topics are cleared
before anything stands at the new ones.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

import anyio.lowlevel

from structiot._kit.text import printable
from structiot.gateway.entities.component_discovery import (
    announcement_in_parts,
    part_of,
)
from structiot.gateway.entities.discovery import MIGRATE
from structiot.gateway.entities.topics import Topics, identifier_of
from structiot.gateway.other_gateways import OtherGateways
from structiot.gateway.records import DeviceRecord, Records

if TYPE_CHECKING:
    from structiot.gateway.context import TopicSink

__all__ = ["DiscoveryTopics"]

_CLEARS_A_TURN = 100

_log = logging.getLogger(__name__)


class DiscoveryTopics:
    """The topics of announcements, those of other gateways left alone.

    Args:
        topics: The gateway's topics.
        sink: Where they are published.
        records: Remembers what is cleared.
        others: What other gateways have announced.

    Attributes:
        longest_bytes: The longest packet that the broker takes; None for any.
    """

    def __init__(
        self, topics: Topics, sink: TopicSink, records: Records, others: OtherGateways
    ) -> None:
        self.longest_bytes: int | None = None
        self._topics = topics
        self._sink = sink
        self._records = records
        self._others = others
        self._moved: dict[str, None] = {}

    def topic_of(self, record: DeviceRecord) -> str:
        """Name the topic of a device's announcement; empty if it has none."""
        if not record.id:
            return ""
        topic = self._topics.discovery(identifier_of(*record.identity))
        other = self._others.announcing(topic)
        if other is None:
            return topic
        _log.warning(
            "%s is not announced to Home Assistant: the gateway with the topics %s/... "
            "has announced the same device, and is online",
            record.slug,
            printable(other.base, most=100),
        )
        return ""

    def publish(self, topic: str, announcement: str, record: DeviceRecord) -> list[str]:
        """Announce a device in place of what its record says; give what is to be cleared.

        Args:
            topic: Where; empty not to announce it any more.
            announcement: What, as `discovery_payload` writes it.
            record: The device; it says afterwards where that stands.
        """
        before = self._others.ours(record.configs)
        wanted = self._written(topic, announcement, before) if topic else {}
        gone = [config for config in before if config not in wanted]
        moved = [one for one in gone if wanted and _is_moved(one, record)]
        for config in moved:
            self._records.clears(config)
            self._sink.clear(config, last_words=MIGRATE)
        for config, payload in wanted.items():
            self._sink.retain(config, payload)
        if moved:
            self._moved |= dict.fromkeys(wanted)
        record.configs = tuple(wanted)
        return [config for config in gone if config not in moved]

    def repeat_moved(self) -> None:
        """Announce again what has moved, which does no harm.

        While Home Assistant is still letting go of one entity, it takes none of those
        that follow in the same message.
        """
        moved, self._moved = self._moved, {}
        self._sink.repeat(moved)

    def _written(
        self, topic: str, announcement: str, before: list[str]
    ) -> dict[str, str]:
        parts = announcement_in_parts(topic, announcement, self.longest_bytes)
        if parts and not any(part in before for part in parts):
            _log.info(
                "%s would take more than the %d bytes that the broker takes: each "
                "entity announces itself",
                topic,
                self.longest_bytes,
            )
        return parts or {topic: announcement}

    def suspend(self, configs: Iterable[str]) -> None:
        """Have Home Assistant let go of announcements, and keep the entities."""
        for config in configs:
            self._sink.retain(config, MIGRATE)

    def clear(self, topic: str, *, after: str = "", is_known: bool = True) -> None:
        """Take any topic off the broker, at once or when another has been published.

        Args:
            topic: What is cleared.
            after: The other one.
            is_known: Whether the gateway knows by itself that it is its own.
        """
        if is_known:
            self._records.clears(topic)
        if after:
            self._sink.clear_after(topic, after=after)
        else:
            self._sink.clear(topic)

    def clear_all(self, configs: Iterable[str], *, is_known: bool) -> None:
        """Take announcements off the broker."""
        for config in configs:
            self.clear(config, is_known=is_known)

    def take_off(self, record: DeviceRecord, kept: Container[str]) -> None:
        """Take all topics of a device off the broker but announcements that are kept."""
        is_known = not record.is_believed
        gone = [one for one in self._others.ours(record.configs) if one not in kept]
        self.clear_all(gone, is_known=is_known)
        # Home Assistant complains of empty states while it has the entities.
        last = gone[-1] if gone else ""
        for topic in record.topics:
            self.clear(topic, after=last, is_known=is_known)

    async def clear_again(self, seen: Container[str]) -> None:
        """Clear once more what may still be there: the broker may not have known of it.

        Args:
            seen: The topics of announcements among them where something of ours stands;
                another gateway may have announced the device since.
        """
        cleared = self._records.to_clear_again
        for number, topic in enumerate(list(cleared)):
            if number % _CLEARS_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
            # What is in use again is not on that list any more.
            if topic in cleared and (topic in seen or not topic.endswith("/config")):
                self._sink.clear(topic)


def _is_moved(config: str, record: DeviceRecord) -> bool:
    """Whether what was announced on a topic is still there, and not gone."""
    part = part_of(config)
    return part is None or record.platforms.get(part.key) == part.platform
