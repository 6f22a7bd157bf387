"""One identity, one place: what stands on the broker is what the devices are.

Each device has the topics below one root, and one announcement whose topic hangs on its
identity alone. A root is *present* while a device of this run has it; every other record is
what an earlier run, or an earlier name, left. Nothing is announced before that has been
read: from the state file, and from the announcements that the broker retains.

* A device that is described takes over what stands elsewhere under its identity. The new
  announcement goes out first, then the states that it replaces are cleared; where the
  announcement itself stood on another topic, Home Assistant is told before to let go of it, so
  that it keeps its entities, and it is cleared. So it is, too, when a broker takes no message as long as that, and each
  entity announces itself, see `component_discovery`, or when another one does again.
* An identity that another device has taken the place of, and that may still turn up, loses
  its announcement in that way, too.
* What is left is shown as offline as long as it may turn up: its driver has not started or
  searches, or a listed device has not said yet who it is. Else it is taken off.

Announcements of other programs are never touched. A device that another gateway has announced
is not announced a second time while that one is online; else it is taken over, for that
may well be this gateway before its base topic was changed.
"""

from __future__ import annotations

import logging
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterator,
    Mapping,
)
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.lowlevel

from structiot._kit.text import error_text
from structiot.gateway.discovery_topics import DiscoveryTopics
from structiot.gateway.entities.announcement import Announcement
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.gateway.former_places import FormerPlaces
from structiot.gateway.records import DeviceRecord, Records
from structiot.gateway.retained import read_earlier
from structiot.model import DeviceInfo
from structiot.mqtt import MqttClient

if TYPE_CHECKING:
    from structiot.gateway.context import TopicSink

__all__ = ["Announcer", "BuildAnnouncement"]

BuildAnnouncement: TypeAlias = Callable[[Mapping[str, str]], str]
"""Writes an announcement; takes the platforms of what is to be taken away, by key."""

_MAX_LEFT = 1000
_SETTLE_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class Announcer:
    """Keeps topics and announcements of all devices in order; its methods do not wait.

    Args:
        topics: The gateway's topics.
        sink: Where they are published.
        records: What stands on the broker, from the state file.
        announces: Whether devices are announced to Home Assistant.
        systems: Names of the systems that are served.
        candidates: Gives the identities of a system that may still turn up.

    Attributes:
        announces: Whether devices are announced to Home Assistant.
        is_read: Whether what stands on the broker has been read.
    """

    def __init__(
        self,
        topics: Topics,
        sink: TopicSink,
        records: Records,
        *,
        announces: bool,
        systems: Collection[str],
        candidates: Callable[[str], Container[str]],
    ) -> None:
        self._topics = topics
        self._sink = sink
        self._records = records
        self.announces = announces
        self._systems = systems
        self._candidates = candidates
        self._present: dict[str, BuildAnnouncement | None] = {}
        self._left: dict[str, None] = {one.root: None for one in records}
        self._displaced: list[DeviceRecord] = []
        self._orphaned: dict[str, Announcement] = {}
        self._seen: set[str] = set()
        self._places = FormerPlaces(topics, records)
        self._discovery = DiscoveryTopics(topics, sink, records)
        self._wake = anyio.Event()
        self.is_read: bool = False

    # ------------------------------------------------------------ what devices tell

    @property
    def announced(self) -> Iterator[str]:
        """Where the devices of this run are announced."""
        for root in self._present:
            record = self._records.at(root)
            if record is not None:
                yield from record.configs

    def place_of(self, info: DeviceInfo) -> str | None:
        """Give the level in topics that was chosen for a device, if one was."""
        for record in self._records.of(info.system, info.id):
            is_here = record.has_topics and record.base == self._topics.base
            if record.is_chosen and is_here:
                return record.slug
        return None

    def is_reserved(self, slug: str, info: DeviceInfo) -> bool:
        """Whether a level in topics is that of another device, which may turn up."""
        record = self._records.at(self._topics.root(slug))
        if record is None or record.id in {"", info.id}:
            return False
        return self._may_come_later(record)

    def occupy(self, root: str, system: str, *, is_chosen: bool) -> None:
        """Take a root for a device; who it is may not be known yet."""
        self._present.setdefault(root, None)
        self._left.pop(root, None)
        if self._records.at(root) is None:
            self._records.put(
                DeviceRecord(root=root, system=system, is_chosen=is_chosen)
            )

    def show(self, record: DeviceRecord, build: BuildAnnouncement | None) -> None:
        """Take a device's description; it is announced as soon as that can be.

        Args:
            record: Who it is, where, and what it has.
            build: Writes the announcement; None while its identity is a makeshift.
        """
        before = self._records.at(record.root)
        if before is not None:
            self._succeed(record, before)
        self._records.put(record)
        self._present[record.root] = build
        self._left.pop(record.root, None)
        if self.is_read:
            self._announce(record)
            self.settle_soon()

    def leave(self, root: str) -> None:
        """Leave a root that its device has no more; what stands there may stay."""
        if root in self._present:
            del self._present[root]
            self._left[root] = None
            self.settle_soon()

    def withdraw(self, root: str) -> None:
        """Take a device off the broker for good."""
        self._present.pop(root, None)
        record = self._records.at(root)
        if record is not None:
            self._take_off(record)

    # ------------------------------------------------------------ one device

    def _succeed(self, record: DeviceRecord, before: DeviceRecord) -> None:
        """Take over what stood at the same root."""
        record.configs = before.configs
        if not record.id:
            # It keeps silent about who it is: it is taken for the one it was.
            record.id = before.id if before.system == record.system else ""
        had = before.platforms | before.gone
        record.gone = {key: had[key] for key in had if key not in record.platforms}
        if before.id and before.identity != record.identity:
            record.configs = ()
            self._displaced.append(before)
        else:
            record.take_away(before.removed | record.gone)

    def _announce(self, record: DeviceRecord) -> None:
        """Bring everything in order that stands under a device's identity."""
        while self._displaced:
            self._suspend(self._displaced.pop())
        old_topics = [record.state(key) for key in record.gone]
        record.gone = {}
        build = self._present.get(record.root)
        if build is not None:
            topic = self._discovery.topic_of(record) if self.announces else ""
            configs = dict.fromkeys(record.configs)
            if (orphan := self._orphaned.pop(topic, None)) is not None:
                left = DeviceRecord.announced(orphan)
                record.take_away(left.platforms)
                configs |= dict.fromkeys(left.configs)
                old_topics += left.topics
            for other in self._records.of(*record.identity):
                if other.root != record.root:
                    configs |= dict.fromkeys(other.configs)
                    old_topics += self._taken_over(other)
            record.configs = tuple(configs)
            announcement = build(record.removed)
            # Home Assistant complains of empty states while it has the entities.
            gone = self._discovery.publish(topic, announcement, record)
            old_topics = [*gone, *old_topics]
        last = record.configs[-1] if build is not None and record.configs else ""
        for old in old_topics:
            self._discovery.clear(old, after=last)
        self._records.put(record)

    def _taken_over(self, other: DeviceRecord) -> list[str]:
        """Forget a record whose device is elsewhere now; give the topics to clear."""
        self._records.drop(other)
        if other.root not in self._present:
            self._left.pop(other.root, None)
            return other.topics
        # It was taken for the device that had this root before, and is another one.
        self._records.put(
            DeviceRecord(
                root=other.root,
                system=other.system,
                platforms=other.platforms,
                is_chosen=other.is_chosen,
            )
        )
        return []

    def _suspend(self, record: DeviceRecord) -> None:
        """Announce no more an identity whose place another device has taken."""
        configs = self._discovery.ours(record.configs)
        if not configs or self._records.of(*record.identity):
            return
        if self.announces and self._may_come_later(record):
            self._discovery.suspend(configs)
            self._keep(record.only_announced(configs))
        else:
            for config in configs:
                self._discovery.clear(config)

    def _keep(self, record: DeviceRecord) -> None:
        """Keep a record of what no device of this run has."""
        if len(self._left) < _MAX_LEFT:
            self._left[record.root] = None
            self._records.put(record)

    def _take_off(self, record: DeviceRecord) -> None:
        self._left.pop(record.root, None)
        self._records.drop(record)
        others = self._records.of(*record.identity)
        kept = {config for one in others for config in one.configs}
        last = ""
        for config in self._discovery.ours(record.configs):
            if config not in kept:
                self._discovery.clear(config)
                last = config
        # Home Assistant complains of empty states while it has the entities.
        for topic in record.topics:
            self._discovery.clear(topic, after=last)

    # ------------------------------------------------------------ what was left

    def settle_soon(self) -> None:
        """Look for what cannot turn up any more: something is known that was not."""
        self._wake.set()

    def _may_come_later(self, record: DeviceRecord) -> bool:
        return record.id in self._candidates(record.system)

    def _settle(self) -> None:
        """Take off what is left and cannot turn up any more."""
        candidates: dict[str, Container[str]] = {}
        for record in [self._records.at(root) for root in self._left]:
            if record is None:
                continue
            if record.system not in candidates:
                candidates[record.system] = self._candidates(record.system)
            if record.id not in candidates[record.system]:
                _log.info("taking %s, which is no more, off the broker", record.root)
                self._take_off(record)

    # ------------------------------------------------------------ one client

    def take_limit(self, longest_bytes: int | None) -> None:
        """Take note of the longest packet that the broker takes; None for any."""
        if longest_bytes != self._discovery.longest_bytes:
            self._discovery.longest_bytes = longest_bytes
            self.hold()

    def hold(self) -> None:
        """Announce nothing until `run` has seen to it."""
        self.is_read = False
        self._sink.hold(self.announced)
        self._wake.set()

    async def run(self, client: MqttClient) -> None:
        """Read what stands on the client's broker, then keep order until cancelled."""
        await self._read(client)
        while True:
            if not self.is_read:
                await self._begin()
            await self._wake.wait()
            self._wake = anyio.Event()
            self._settle()
            # It costs a look at all devices: not for each of many that are opened.
            await anyio.sleep(_SETTLE_EVERY_S)
            self._discovery.repeat_moved()

    async def _read(self, client: MqttClient) -> None:
        earlier = await read_earlier(
            client,
            self._topics,
            bases=self._places.bases,
            prefixes=self._places.prefixes,
        )
        for exc in earlier.refused:
            reason = error_text(exc)
            _log.warning("what an earlier run left stays as it is: %s", reason)
        wanted = set(map(self._topics.driver, self._systems))
        for topic in earlier.drivers:
            if topic not in wanted:
                self._discovery.clear(topic)
        self._discovery.leave_alone(earlier.foreign)
        self._orphaned, self._seen = earlier.orphaned, earlier.seen
        for one in earlier.own:
            self._take_announcement(one)

    def _take_announcement(self, one: Announcement) -> None:
        found = DeviceRecord.announced(one)
        known = self._records.at(found.root)
        if known is None:
            self._keep(found)
            return
        if known.id and known.identity != found.identity:
            self._displaced.append(found)
            return
        if self._present.get(found.root) is not None:
            known.gone |= known.take_away(found.platforms)
        else:
            platforms = {**found.platforms, **known.platforms}
            known = replace(known, id=found.id, platforms=platforms)
        known.configs = tuple(dict.fromkeys((*known.configs, *found.configs)))
        self._records.put(known)

    async def _begin(self) -> None:
        """Announce what waits, and show what is left as offline."""
        self.is_read = True
        while self._displaced:
            self._suspend(self._displaced.pop())
        for record in self._records:
            await anyio.lowlevel.checkpoint()
            if self._records.at(record.root) is not record:
                continue
            if record.root in self._present:
                self._announce(record)
                continue
            if not self.announces:
                self._announce_no_more(record)
            if record.has_topics and self._may_come_later(record):
                self._sink.retain(record.availability, OFFLINE)
        # What is in use again is not on that list any more.
        read = tuple(f"{prefix}/device/" for prefix in self._places.prefixes)
        for topic in self._records.take_cleared():
            if topic in self._seen or not topic.startswith(read):
                self._sink.clear(topic)
        self.settle_soon()
        self._places.forget(self._discovery.clear)

    def _announce_no_more(self, record: DeviceRecord) -> None:
        for config in record.configs:
            self._discovery.clear(config)
        if record.has_topics:
            record.configs = ()
            self._records.put(record)
        else:
            self._left.pop(record.root, None)
            self._records.drop(record)
