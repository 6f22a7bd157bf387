"""What the links of a configuration must be like, alone and together.

These look at the data as it was written, whatever else is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from structiot._kit.text import printable
from structiot.gateway.config.fields import Finding
from structiot.gateway.config.links import (
    KINDS,
    TOGGLE,
    TOPIC,
    EntityPattern,
    LinkKind,
    kind_of_link,
)
from structiot.gateway.config.values import check_name
from structiot.gateway.entities.announcement import KEY
from structiot.mqtt.wire.topics import name_fault

__all__ = ["RawLink", "link_checks", "links_in"]

_ACTS: Final = {"on", "set", "values", "system", "model"}
_SHOWN: Final = {
    "kind", "member", "set_topic", "set_member", "level_member", "level_max",
    "level_set_topic", "availability", "online", "name", "device_class", "unit",
    "state_class", "decimals", "minimum", "maximum", "step", "options",
}  # fmt: skip
_KEYS: Final[Mapping[LinkKind, set[str]]] = {
    "offer": {"type", "tags", "system", "model"},
    "command": _ACTS,
    "publish": {*_ACTS, "retain"},
    "device": {*_SHOWN, "values"},
}
_IS_FOR: Final[Mapping[LinkKind, str]] = {
    "offer": "the platform",
    "command": "an entity",
    "publish": "a topic",
    "device": "a device that is made of a topic",
}
# Which of these only some kinds have.
_KINDS: Final[Mapping[str, set[str]]] = {
    "unit": {"sensor", "number"},
    "state_class": {"sensor"},
    "decimals": {"sensor"},
    "minimum": {"number"},
    "maximum": {"number"},
    "step": {"number"},
    "options": {"select", "sensor", "event"},
    "level_member": {"light", "cover"},
    "level_max": {"light", "cover"},
    "level_set_topic": {"light", "cover"},
}
_ONLY_READ: Final = {"sensor", "binary_sensor", "event"}
_NEED_OPTIONS: Final = {"select", "event"}
_TOPICS: Final = ("set_topic", "level_set_topic", "availability")


@dataclass(frozen=True, slots=True)
class RawLink:
    """A link as it was written, if its ends are texts."""

    index: int
    table: Mapping[str, object]
    sources: tuple[str, ...]
    target: str
    what: LinkKind

    def finding(self, key: str, message: str, *, about_key: bool = False) -> Finding:
        """Give what is wrong with a key of it."""
        return Finding(
            path=("links", self.index, key), message=message, is_about_key=about_key
        )

    def text(self, key: str) -> str | None:
        """Give a text of it; None if there is none."""
        given = self.table.get(key)
        return given if isinstance(given, str) else None

    @property
    def topics(self) -> Iterator[tuple[str, str]]:
        """Give its topics, with the key of each."""
        for source in self.sources:
            if source.startswith(TOPIC):
                yield "from", source.removeprefix(TOPIC)
        if self.target.startswith(TOPIC):
            yield "to", self.target.removeprefix(TOPIC)
        for key in _TOPICS:
            if (topic := self.text(key)) is not None:
                yield key, topic


def links_in(data: Mapping[str, object]) -> list[RawLink]:
    """Give the links whose ends can be read."""
    found = []
    tables = data.get("links")
    for index, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
        if not isinstance(table, Mapping):
            continue
        given, target = table.get("from"), table.get("to")
        sources = (given,) if isinstance(given, str) else given
        if not isinstance(sources, list | tuple) or not isinstance(target, str):
            continue
        if sources and all(isinstance(one, str) for one in sources):
            texts = tuple(str(one) for one in sources)
            what = kind_of_link(texts, target)
            found.append(RawLink(index, table, texts, target, what))
    return found


def link_checks(
    data: Mapping[str, object], *, base: str, discovery_prefix: str
) -> Iterator[Finding]:
    """Find links that cannot work, alone or together.

    Args:
        data: The settings as they were written.
        base: The first levels of the gateway's own topics.
        discovery_prefix: Those of Home Assistant's.
    """
    links = links_in(data)
    for link in links:
        yield from _ends(link)
        yield from _keys(link)
        yield from _topics(link, base, discovery_prefix)
        if link.what == "device":
            yield from _shown(link)
        if link.what == "offer" and not isinstance(data.get("connector"), Mapping):
            message = "there is no platform: [connector] says where it is"
            yield link.finding("to", message)
    yield from _twice(links)
    yield from _loops(links)


def _ends(link: RawLink) -> Iterator[Finding]:
    is_topic = [one.startswith(TOPIC) for one in link.sources]
    if any(is_topic) and link.what == "offer":
        message = "a topic is no device yet: link it to one, and that to the platform"
        yield link.finding("from", message)
    elif any(is_topic) and len(is_topic) > 1:
        yield link.finding("from", "a topic stands alone: write a link for each")
    elif any(is_topic) and link.target.startswith(TOPIC):
        message = "a topic is linked to an entity, such as 'lamp/power', not to a topic"
        yield link.finding("to", message)
    elif link.what in {"command", "device"}:
        yield from _entity_at(link, "to", link.target)
    if link.what in {"command", "publish"}:
        for source in link.sources:
            if "/" not in source:
                yield from _entity_at(link, "from", source)
    if link.what == "offer" and "type" not in link.table:
        message = "type is missing: the device type, as the platform names it"
        yield link.finding("to", message, about_key=True)


def _entity_at(link: RawLink, key: str, end: str) -> Iterator[Finding]:
    shown = printable(repr(end), most=60)
    pattern = EntityPattern.of(end)
    if not pattern.device.strip() or "/" not in end or not pattern.entity:
        yield link.finding(key, f"{shown} is no entity: write it like 'kitchen/port_1'")
        return
    if not pattern.is_exact:
        yield link.finding(key, f"{shown} has to be one entity, without * ? or [")
        return
    if not KEY.fullmatch(pattern.entity):
        what = f"{pattern.entity!r} is no key of an entity: letters, digits and '_'"
        yield link.finding(key, printable(what, most=100))
    if link.what == "device":
        try:
            check_name(pattern.device)
        except ValueError as exc:
            yield link.finding(key, f"no device can be called so: {exc}")
        if pattern.level == pattern.device != pattern.level.lower():
            yield link.finding(key, f"{shown} has no letter that a topic can have")


def _keys(link: RawLink) -> Iterator[Finding]:
    known = _KEYS[link.what]
    everywhere = {one for keys in _KEYS.values() for one in keys}
    for key in link.table:
        if key in everywhere and key not in known:
            homes = [_IS_FOR[what] for what, keys in _KEYS.items() if key in keys]
            message = f"{key} is for a link to {' or '.join(homes)}"
            yield link.finding(str(key), message, about_key=True)


def _topics(link: RawLink, base: str, prefix: str) -> Iterator[Finding]:
    for key, topic in link.topics:
        is_read = key in {"from", "availability"}
        if (fault := name_fault(topic)) is not None:
            shown = printable(repr(topic), most=60)
            yield link.finding(key, f"the topic {shown} {fault}")
        elif f"{topic}/".startswith(f"{base}/"):
            message = f"{topic!r} is a topic of the gateway itself: name the entity"
            yield link.finding(key, message)
        elif not is_read and f"{topic}/".startswith(f"{prefix}/"):
            message = f"{topic!r} is where devices announce themselves"
            yield link.finding(key, message)
        elif not is_read and topic.startswith("$"):
            yield link.finding(key, f"{topic!r} belongs to the broker")
    is_one = len(link.sources) == 1 and EntityPattern.of(link.sources[0]).is_exact
    has_place = "{device}" in link.target or "{entity}" in link.target
    if link.what == "publish" and not is_one and not has_place:
        message = "several entities would share it: write {device} or {entity} in it"
        yield link.finding("to", message)


def _shown(link: RawLink) -> Iterator[Finding]:
    kind = link.text("kind")
    if "kind" not in link.table:
        message = "kind is missing: what the topic is shown as"
        yield link.finding("from", message, about_key=True)
    if kind is None or kind not in KINDS:
        return
    for key, kinds in _KINDS.items():
        if key in link.table and kind not in kinds:
            message = f"{key} is for {' and '.join(sorted(kinds))}, not for {kind}"
            yield link.finding(key, message, about_key=True)
    has_set = "set_topic" in link.table
    if kind in _ONLY_READ and (has_set or "set_member" in link.table):
        key = "set_topic" if has_set else "set_member"
        yield link.finding(key, f"a {kind} takes no commands", about_key=True)
    elif kind not in _ONLY_READ and not has_set:
        yield link.finding("kind", f"a {kind} needs set_topic, for its commands")
    if kind in _NEED_OPTIONS and not link.table.get("options"):
        yield link.finding("kind", f"{kind} needs options: what there can be")
    yield from _figures(link, kind)


def _figures(link: RawLink, kind: str) -> Iterator[Finding]:
    low, high = link.table.get("minimum", 0), link.table.get("maximum", 100)
    is_range = isinstance(low, int | float) and isinstance(high, int | float)
    if kind == "number" and is_range and not low < high:  # type: ignore[operator]  # as looked
        key = "maximum" if "maximum" in link.table else "minimum"
        yield link.finding(key, f"minimum ({low}) is not below maximum ({high})")
    values = link.table.get("values")
    if isinstance(values, Mapping) and kind not in _ONLY_READ:
        meant = list(values.values())
        if len({str(one) for one in meant}) < len(meant):
            message = "two words mean the same, so commands could not be told apart"
            yield link.finding("values", message)


def _twice(links: list[RawLink]) -> Iterator[Finding]:
    entities: set[tuple[str, str]] = set()
    about: dict[tuple[str, str], object] = {}
    seen: set[str] = set()
    for link in links:
        written = repr(sorted(link.table.items(), key=lambda item: str(item[0])))
        if written in seen:
            message = "the same link is there already"
            yield link.finding("from", message, about_key=True)
            continue
        seen.add(written)
        if link.what != "device":
            continue
        target = EntityPattern.of(link.target)
        if (target.level, target.entity) in entities:
            message = f"{link.target!r} is linked to a topic already"
            yield link.finding("to", message)
        entities.add((target.level, target.entity))
        for key in ("availability", "online"):
            given = link.table.get(key)
            if given is None:
                continue
            if about.setdefault((target.level, key), given) != given:
                message = f"{key} of {target.device!r} is another one above"
                yield link.finding(key, message)


# ---------------------------------------------------------------- loops


def _loops(links: list[RawLink]) -> Iterator[Finding]:
    """Find links that would bring about each other for ever, each loop once."""
    of_entities = [one for one in links if one.what in {"command", "publish"}]
    devices = [one for one in links if one.what == "device"]
    by_topic, by_source = _Followers(), _Followers()
    for one in devices:
        for key, topic in one.topics:
            if key in {"from", "set_topic"}:
                by_topic.add(topic, one)
    for one in of_entities:
        for source in one.sources:
            pattern = EntityPattern.of(source)
            by_source.add(pattern.level if pattern.is_one_device else None, one)
    after = {
        one.index: by_topic.of(one.target.removeprefix(TOPIC))
        if one.what == "publish"
        else [
            other
            for other in by_source.of(EntityPattern.of(one.target).level)
            if _brings_about(one, other)
        ]
        for one in (*of_entities, *devices)
    }
    done: set[int] = set()
    for link in (*of_entities, *devices):
        way = _way_back(link, after) if link.index not in done else None
        if way is None:
            continue
        done |= {one.index for one in way}
        ends = [one.target for one in way]
        shown = " -> ".join([ends[-1], *ends]) if len(way) > 1 else link.target
        why = f"it would go round for ever: {shown}"
        if len(way) == 1:
            why = f"{shown} is one of its own sources"
        yield link.finding("to", printable(why, most=300))


class _Followers:
    """Links by what they wait for: of hundreds only a few are to be looked at."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[int, RawLink]] = {}
        self._any: dict[int, RawLink] = {}

    def add(self, key: str | None, link: RawLink) -> None:
        """Note what a link waits for; None is what only a comparison tells."""
        found = self._any if key is None else self._exact.setdefault(key, {})
        found[link.index] = link

    def of(self, key: str) -> list[RawLink]:
        """Give the links that may wait for it, in their order."""
        found = self._exact.get(key, {}) | self._any
        return [found[index] for index in sorted(found)]


def _way_back(
    start: RawLink, after: Mapping[int, list[RawLink]]
) -> list[RawLink] | None:
    ways, seen = [[start]], {start.index}
    while ways:
        way = ways.pop(0)
        for link in after[way[-1].index]:
            if link is start:
                return way
            if link.index not in seen:
                seen.add(link.index)
                ways.append([*way, link])
    return None


def _brings_about(first: RawLink, then: RawLink) -> bool:
    """Tell whether what a link does to an entity may have another one do something."""
    if not any(_may_be(first.target, source) for source in then.sources):
        return False
    told, wanted = first.table.get("set"), then.table.get("on")
    if first.what == "device" or not isinstance(told, str | bool) or wanted is None:
        return True
    told = ("OFF", "ON")[told] if isinstance(told, bool) else told
    return told == TOGGLE or told.casefold() == str(wanted).casefold()


def _may_be(target: str, source: str) -> bool:
    one, pattern = EntityPattern.of(target), EntityPattern.of(source)
    if not fnmatchcase(one.entity, pattern.entity):
        return False
    return pattern.fits_device(one.level, one.device)
