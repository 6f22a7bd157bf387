"""One identity, one place: what stands on the broker is what the devices are.

Each device has the topics below one root, and one announcement whose topic hangs on its
identity alone. A root is *present* while a device of this run has it; every other record is
what an earlier run, or an earlier name, left. Nothing is announced before that has been
read: from the state file, and from the announcements that the broker retains.

* A device that is described takes over what stands elsewhere under its identity. The new
  announcement goes out first, then the states that it replaces are cleared; where the
  announcement itself stood on another topic (a broker may take it in parts only, see
  `component_discovery`), Home Assistant is told before to let go of it, so that it keeps its
  entities, and it is cleared.
* An identity that another device has taken the place of, and that may still turn up, loses
  its announcement in that way, too.
* What is left is shown as offline as long as it may turn up: its driver has not started or
  searches, or a listed device has not said yet who it is. Else it is taken off.

Announcements of other programs are never touched; for those of other gateways see
`other_gateways`. It is all read once more at each new connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text, printable
from structiot.gateway.discovery_topics import DiscoveryTopics
from structiot.gateway.entities.announcement import Announcement
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.gateway.former_places import FormerPlaces
from structiot.gateway.other_gateways import OtherGateways
from structiot.gateway.records import NOTHING, Cost, DeviceRecord, Records
from structiot.gateway.retained import read_earlier
from structiot.gateway.unique_ids import UniqueIds
from structiot.model import DeviceInfo
from structiot.mqtt import MqttClient

if TYPE_CHECKING:
    from structiot.gateway.context import TopicSink

__all__ = ["Announcer", "BuildAnnouncement"]

BuildAnnouncement: TypeAlias = Callable[[Mapping[str, str], Container[str]], str]
"""Writes an announcement; takes the platforms of what is to be taken away, by key, and
the keys of those whose unique ids are another device's."""

_SETTLE_EVERY_S = 1.0
_LOOKS_A_TURN = 4

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
        self._seen: set[str] = set()
        self._cost = Cost(0, 0)
        self._places = FormerPlaces(topics, records)
        self._others = OtherGateways()
        self._unique_ids = UniqueIds(records)
        self._discovery = DiscoveryTopics(topics, sink, records, self._others)
        self._wake = anyio.Event()
        self.is_read: bool = False
        self._is_held = False

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
        self._unique_ids.shown(record)
        self._present[record.root] = build
        self._left.pop(record.root, None)
        if self.is_read:
            self._announce(record)
            self.settle_soon()

    def leave(self, root: str) -> None:
        """Leave a root that its device has no more; what stands there may stay."""
        if root in self._present:
            del self._present[root]
            self._unique_ids.gone(root)
            self._left[root] = None
            self.settle_soon()

    def withdraw(self, root: str) -> None:
        """Take a device off the broker for good."""
        self._present.pop(root, None)
        self._unique_ids.gone(root)
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
            if (taken := self._others.take_over(topic)) is not None:
                left, left_topics = taken
                record.take_away(left.platforms)
                configs |= dict.fromkeys(left.configs)
                old_topics += left_topics
            for other in self._records.of(*record.identity):
                if other.root != record.root:
                    configs |= dict.fromkeys(other.configs)
                    is_here = other.root in self._present
                    old_topics += self._records.moved_from(other, is_in_use=is_here)
                    if not is_here:
                        self._left.pop(other.root, None)
            record.configs = tuple(configs)
            for root in self._unique_ids.give_way(record):
                if (longer := self._records.at(root)) is not None:
                    self._announce(longer)
            announcement = build(record.removed, self._unique_ids.ambiguous(record))
            # Home Assistant complains of empty states while it has the entities.
            gone = self._discovery.publish(topic, announcement, record)
            old_topics = [*gone, *old_topics]
        last = record.configs[-1] if build is not None and record.configs else ""
        for old in old_topics:
            self._discovery.clear(old, after=last)
        self._records.put(record)

    def _suspend(self, record: DeviceRecord) -> None:
        """Announce no more an identity whose place another device has taken."""
        configs = self._others.ours(record.configs)
        for other in self._records.of(*record.identity):
            # It is announced there, in place of this.
            more = [one for one in configs if one not in other.configs]
            if more and other.configs and other.root not in self._present:
                self._discovery.clear_all(more, is_known=not record.is_believed)
            elif more:
                other.configs = (*other.configs, *more)
                self._records.put(other)
                if self.is_read and other.root in self._present:
                    self._announce(other)
            return
        if configs and self.announces and self._may_come_later(record):
            self._discovery.suspend(configs)
            self._keep(record.only_announced(configs))
        else:
            self._discovery.clear_all(configs, is_known=not record.is_believed)

    def _keep(self, record: DeviceRecord) -> None:
        self._left[record.root] = None
        self._records.put(record)

    def _take_off(self, record: DeviceRecord) -> None:
        self._left.pop(record.root, None)
        self._records.drop(record)
        others = self._records.of(*record.identity)
        kept = {config for one in others for config in one.configs}
        self._discovery.take_off(record, kept)

    # ------------------------------------------------------------ what was left

    def settle_soon(self) -> None:
        """Look for what cannot turn up any more: something is known that was not."""
        self._wake.set()

    def _may_come_later(self, record: DeviceRecord) -> bool:
        return record.id in self._candidates(record.system)

    async def _settle(self) -> None:
        """Take off what is left and cannot turn up any more."""
        candidates: dict[str, Container[str]] = {}
        for number, root in enumerate(list(self._left)):
            if number % _LOOKS_A_TURN == 0:
                # Others have had their turn: more may have turned up meanwhile.
                candidates.clear()
                await anyio.lowlevel.checkpoint()
            record = self._records.at(root)
            if record is None or root not in self._left:
                continue
            if record.system not in candidates:
                candidates[record.system] = self._candidates(record.system)
            if record.id not in candidates[record.system]:
                shown = printable(record.root)
                _log.info("taking %s, which is no more, off the broker", shown)
                self._take_off(record)

    # ------------------------------------------------------------ one client

    def take_limit(self, longest_bytes: int | None) -> None:
        """Take note of the longest packet that the broker takes; None for any."""
        if longest_bytes != self._discovery.longest_bytes:
            self._discovery.longest_bytes = longest_bytes
            self.hold()

    def hold(self) -> None:
        """Announce nothing until `run` has read once more what stands on the broker."""
        self.is_read, self._is_held = False, True
        self._sink.hold(self.announced)
        self._wake.set()

    async def run(self, client: MqttClient) -> None:
        """Read what stands on the client's broker, then keep order until cancelled."""
        while True:
            self._wake = anyio.Event()
            self._is_held = False
            self._records.look_again()
            await self._read(client)
            if not self._is_held:
                await self._begin()
                async with service_group() as tasks:
                    name = "structiot.gateway.other_gateways"
                    tasks.start_soon(self._others.watch, client, self._gone, name=name)
                    await self._keep_order()

    async def _keep_order(self) -> None:
        """Keep order until there is something to read."""
        while self.is_read:
            await self._wake.wait()
            self._wake = anyio.Event()
            if self._is_held:
                return
            await self._settle()
            # It costs a look at all devices: not for each of many that are opened.
            await anyio.sleep(_SETTLE_EVERY_S)
            self._discovery.repeat_moved()

    def _gone(self, other: Announcement) -> None:
        """Announce a device that another gateway announces no more."""
        for record in self._records.of(other.system, other.id):
            if self.is_read and record.root in self._present:
                _log.info("%s is announced here from now on", printable(record.root))
                self._announce(record)

    async def _read(self, client: MqttClient) -> None:
        earlier = await read_earlier(
            client,
            self._topics,
            self._records,
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
        for topic in earlier.pages:
            if not self._sink.wants(topic):
                self._sink.clear(topic)
        self._others.take(earlier)
        self._seen = earlier.seen
        self._cost = self._records.believed_cost()
        for one in earlier.own:
            await anyio.lowlevel.checkpoint()
            self._take_announcement(one)

    def _take_announcement(self, one: Announcement) -> None:
        found = DeviceRecord.announced(one)
        known = self._records.at(found.root)
        cost = self._cost.plus((known or NOTHING).adds(found))
        if not cost.is_bearable:
            _log.debug("%s is left alone: there is too much", one.topic)
            return
        self._cost = cost
        if known is None:
            self._keep(found)
        elif known.id and known.identity != found.identity:
            self._displaced.append(found)
        else:
            is_present = self._present.get(found.root) is not None
            self._records.put(known.joined(found, is_present=is_present))

    async def _begin(self) -> None:
        """Announce what waits, and show what is left as offline."""
        self.is_read = True
        while self._displaced:
            self._suspend(self._displaced.pop())
        for record in self._records:
            await anyio.lowlevel.checkpoint()
            if self._is_held:
                return
            if self._records.at(record.root) is not record:
                continue
            if record.root in self._present:
                self._announce(record)
                continue
            if not self.announces:
                self._announce_no_more(record)
            if record.has_topics and self._may_come_later(record):
                self._sink.retain(record.availability, OFFLINE)
        await self._discovery.clear_again(self._seen)
        self._records.has_cleared_again()
        self.settle_soon()
        self._places.forget(self._discovery.clear)

    def _announce_no_more(self, record: DeviceRecord) -> None:
        configs = self._others.ours(record.configs)
        self._discovery.clear_all(configs, is_known=not record.is_believed)
        if record.has_topics:
            record.configs = ()
            self._records.put(record)
        else:
            self._left.pop(record.root, None)
            self._records.drop(record)
