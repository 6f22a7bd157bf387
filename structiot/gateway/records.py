"""What this gateway has put on the broker, device by device, kept in its state file.

A record stands for the topics of one device below one root (`structiot/kitchen`) and for its
announcement. It is written before it is used, so what an earlier run left is known even if
it was killed, and whatever has been renamed since. Beside the records stands which device
each listed source led to: who is listed by address is known by serial from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from structiot.gateway.entities.announcement import (
    KEY,
    MAX_COMPONENTS,
    Announcement,
)
from structiot.gateway.entities.topics import base_topic_fault, slug_of
from structiot.gateway.state_file import StateFile
from structiot.model import DeviceInfo

__all__ = ["NOTHING", "Cost", "DeviceRecord", "Records"]

_DEVICES = "devices"
_SOURCES = "sources"
_PLACES = "places"
_CLEARED = "cleared"
_MAX_RECORDS = 50_000
_MAX_SOURCES = 50_000
_MAX_CLEARED = 10_000
_MAX_PLACES = 20
_MAX_GONE = 512
# Anybody may have written an announcement: what all of them tell may cost so much.
_MAX_ENTITIES = 20_000
_MAX_CHARS = 2_000_000

Identity = tuple[str, str]


class Cost(NamedTuple):
    """What is believed of announcements.

    Attributes:
        entities: How many entities.
        chars: How long the names of all topics and entities are.
    """

    entities: int
    chars: int

    def plus(self, other: Cost) -> Cost:
        """Give both."""
        return Cost(self.entities + other.entities, self.chars + other.chars)

    @property
    def is_bearable(self) -> bool:
        """Whether so much may be believed in all."""
        return self.entities <= _MAX_ENTITIES and self.chars <= _MAX_CHARS


@dataclass(slots=True, kw_only=True)
class DeviceRecord:
    """One device's topics on the broker.

    Attributes:
        root: What its topics begin with; that of its announcement if it has no others.
        system: Its system.
        id: Its identity in its system; empty while that is not known.
        platforms: Platform of each entity, by key.
        configs: Where it is announced: on one topic, on one of each entity, or nowhere.
        is_chosen: Its level in topics was chosen for it, and is not its name.
        gone: Entities that it has no more, and whose states are still there.
        removed: Those whose states are not; their announcement says that they are gone.
        is_believed: It is known by an announcement alone, which anybody may have written.
    """

    root: str
    system: str
    id: str = ""
    platforms: dict[str, str] = field(default_factory=dict)
    configs: tuple[str, ...] = ()
    is_chosen: bool = False
    gone: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    is_believed: bool = False

    @property
    def identity(self) -> Identity:
        """System and identity."""
        return self.system, self.id

    @property
    def base(self) -> str:
        """The base topic that it is below."""
        return self.root.rpartition("/")[0]

    @property
    def slug(self) -> str:
        """Its level in topics."""
        return self.root.rpartition("/")[2]

    @property
    def has_topics(self) -> bool:
        """Whether it stands for more than an announcement."""
        return self.root not in self.configs

    @property
    def availability(self) -> str:
        """Where it says whether it can be reached."""
        return f"{self.root}/availability"

    def state(self, key: str) -> str:
        """Where it says what an entity is."""
        return f"{self.root}/{key}/state"

    @property
    def whole_state(self) -> str:
        """Where it says what all of its entities are."""
        return f"{self.root}/state"

    @property
    def topics(self) -> list[str]:
        """Its retained topics but the announcement."""
        if not self.has_topics:
            return []
        keys = self.platforms | self.gone
        return [self.availability, self.whole_state, *map(self.state, keys)]

    def take_away(self, had: Mapping[str, str]) -> dict[str, str]:
        """Have the announcement say which of the entities that it had are gone."""
        gone = {key: had[key] for key in had if key not in self.platforms}
        self.removed = dict(list((self.removed | gone).items())[-_MAX_GONE:])
        return gone

    def adds(self, found: DeviceRecord) -> Cost:
        """Tell what it costs to believe what an announcement says beyond this."""
        keys = [key for key in found.platforms if key not in self.platforms]
        configs = [one for one in found.configs if one not in self.configs]
        return Cost(len(keys), sum(map(len, (*keys, *configs))))

    def joined(self, found: DeviceRecord, *, is_present: bool) -> DeviceRecord:
        """Give it with what an announcement says of the same device.

        Args:
            found: What stands behind the announcement.
            is_present: The device has said itself what it has.
        """
        known = self
        if is_present:
            known.gone |= known.take_away(found.platforms)
        else:
            more = found.platforms | known.platforms
            platforms = dict(list(more.items())[-MAX_COMPONENTS:])
            known = replace(known, id=found.id, platforms=platforms)
        configs = dict.fromkeys((*known.configs, *found.configs))
        known.configs = tuple(configs)[:MAX_COMPONENTS]
        return known

    def only_announced(self, configs: Sequence[str]) -> DeviceRecord:
        """Give the record of its announcement, which stands for no other topics."""
        return DeviceRecord(
            root=configs[0],
            system=self.system,
            id=self.id,
            configs=tuple(configs),
            is_believed=self.is_believed,
        )

    @classmethod
    def announced(cls, one: Announcement) -> DeviceRecord:
        """Give what stands behind an announcement."""
        defaults = {slug_of(f"{one.system} {one.id}")}
        return cls(
            root=f"{one.base}/{one.slug}",
            system=one.system,
            id=one.id,
            platforms=dict(one.platforms),
            configs=one.configs,
            is_believed=True,
            is_chosen=one.slug.rstrip("0123456789").rstrip("_") in defaults
            or one.slug in defaults,
        )


NOTHING = DeviceRecord(root="", system="")


class Records:
    """The records of one gateway, by root and by identity.

    Args:
        state: Where they are kept.
    """

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._devices = state.section(_DEVICES)
        self._sources = state.section(_SOURCES)
        self._places = state.section(_PLACES)
        self._cleared = state.section(_CLEARED)
        self._cleared_before = dict.fromkeys(self._cleared)
        self._again: dict[str, None] = {}
        self._by_root: dict[str, DeviceRecord] = {}
        self._by_identity: dict[Identity, dict[str, None]] = {}
        for root, given in list(self._devices.items())[:_MAX_RECORDS]:
            record = _read(root, given)
            if record is None:
                del self._devices[root]
            else:
                self._index(record)

    def __len__(self) -> int:
        return len(self._by_root)

    def __iter__(self) -> Iterator[DeviceRecord]:
        return iter(list(self._by_root.values()))

    def at(self, root: str) -> DeviceRecord | None:
        """Give the record of a root."""
        return self._by_root.get(root)

    def of(self, system: str, id_: str) -> list[DeviceRecord]:
        """Give the records of a device."""
        roots = self._by_identity.get((system, id_), ()) if id_ else ()
        return [self._by_root[root] for root in roots]

    def put(self, record: DeviceRecord) -> None:
        """Keep a record in place of that of the same root."""
        self._unindex(record.root)
        self._index(record)
        if self._cleared:
            for topic in (*record.configs, *record.topics):
                for cleared in (self._cleared, self._cleared_before, self._again):
                    cleared.pop(topic, None)
        written = {
            "system": record.system,
            "id": record.id,
            "platforms": dict(record.platforms),
            "configs": list(record.configs),
            "chosen": record.is_chosen,
            **({"believed": True} if record.is_believed else {}),
        }
        if self._devices.get(record.root) != written:
            self._devices[record.root] = written
            self._state.save_soon()

    def drop(self, record: DeviceRecord) -> None:
        """Forget a record."""
        self._unindex(record.root)
        if self._devices.pop(record.root, None) is not None:
            self._state.save_soon()

    def moved_from(self, record: DeviceRecord, *, is_in_use: bool) -> list[str]:
        """Forget a record whose device is elsewhere now; give the topics to clear."""
        self.drop(record)
        if not is_in_use:
            return record.topics
        # It was taken for the device that had this root before, and is another one.
        self.put(replace(record, id="", configs=(), gone={}, removed={}))
        return []

    def believed_cost(self) -> Cost:
        """Give what is known by announcements alone."""
        total = Cost(0, 0)
        for one in self:
            if one.is_believed:
                total = total.plus(NOTHING.adds(one))
        return total

    def forget(self) -> None:
        """Forget all records: nothing of them is on the broker any more."""
        for record in self:
            self.drop(record)

    def _index(self, record: DeviceRecord) -> None:
        self._by_root[record.root] = record
        self._by_identity.setdefault(record.identity, {})[record.root] = None

    def _unindex(self, root: str) -> None:
        record = self._by_root.pop(root, None)
        if record is not None:
            roots = self._by_identity[record.identity]
            del roots[root]
            if not roots:
                del self._by_identity[record.identity]

    # ------------------------------------------------------------ what goes

    def clears(self, topic: str) -> None:
        """Remember a topic that is taken off the broker, until the next run has, too."""
        self._cleared_before.pop(topic, None)
        self._again.pop(topic, None)
        if len(self._cleared) < _MAX_CLEARED and topic not in self._cleared:
            self._cleared[topic] = 0
            self._state.save_soon()

    @property
    def cleared(self) -> Mapping[str, object]:
        """What was taken off by this run and the one before, and is not in use again."""
        return MappingProxyType(self._cleared)

    def look_again(self) -> None:
        """Take all of it for what may still be there.

        The run before may have been killed before it was published, and the broker before
        it was written down.
        """
        self._again = dict.fromkeys(self._cleared)

    @property
    def to_clear_again(self) -> Mapping[str, object]:
        """What of it has not been cleared again since, and is not in use."""
        return MappingProxyType(self._again)

    def has_cleared_again(self) -> None:
        """Forget what the run before took off: this one has, too."""
        for topic in self._cleared_before:
            self._cleared.pop(topic, None)
        self._cleared_before.clear()
        self._again = {}

    # ------------------------------------------------------------ sources

    def remember(self, system: str, source: str, info: DeviceInfo) -> None:
        """Remember which device a listed source led to."""
        key, found = f"{system} {source}", {"id": info.id, "serial": info.serial or ""}
        if self._sources.get(key) == found:
            return
        self._sources.pop(key, None)
        while len(self._sources) >= _MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[key] = found
        self._state.save_soon()

    def remembered(self, system: str, source: str) -> tuple[str, str] | None:
        """Give id and serial of the device that a source led to last, if one did."""
        found = self._sources.get(f"{system} {source}")
        if not isinstance(found, dict):
            return None
        id_, serial = found.get("id"), found.get("serial")
        return (str(id_), str(serial or "")) if id_ else None

    # ------------------------------------------------------------ places

    def places(self, kind: str, present: str) -> list[str]:
        """Give what the gateway has used as `"base"` or `"prefix"`, the present one last."""
        known: Any = self._places.get(kind)
        if not isinstance(known, list):
            known = []
        texts = [one for one in known[-_MAX_PLACES:] if isinstance(one, str)]
        used = [one for one in texts if not base_topic_fault(one)]
        return [*dict.fromkeys(one for one in used if one != present), present]

    def keep_places(self, kind: str, places: list[str]) -> None:
        """Remember what is used, and what was used and still has something of ours."""
        if self._places.get(kind) != places:
            self._places[kind] = places
            self._state.save_soon()


def _read(root: str, given: Any) -> DeviceRecord | None:  # noqa: ANN401 - JSON
    """Read a record; None if it is none: the file may be anybody's."""
    if not isinstance(given, Mapping):
        return None
    system, id_ = given.get("system"), given.get("id")
    platforms, configs = given.get("platforms"), given.get("configs")
    if not (isinstance(platforms, Mapping) and isinstance(configs, list)):
        return None
    texts = [system, id_, *configs, *platforms.values()]
    if not all(isinstance(text, str) for text in texts):
        return None
    if not all(KEY.fullmatch(key) for key in platforms):
        return None
    return DeviceRecord(
        root=root,
        system=str(system),
        id=str(id_),
        configs=tuple(configs),
        platforms=dict(platforms),
        is_chosen=given.get("chosen") is True,
        is_believed=given.get("believed") is True,
    )
