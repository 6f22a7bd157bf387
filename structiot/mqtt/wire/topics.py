"""Topic names and filters: what is valid, what matches, and a tree of filters.

Levels are split at `/` and empty levels count; `+` fills one whole level; `#` stands
last, alone in its level, and includes the parent; a filter that begins with a
wildcard matches no name that begins with `$`. Nothing is normalised.

A shared filter is `$share/<group>/<filter>`; `matches` compares the inner filter. The
tree takes filters as they are, so give it the inner one (`parse_shared`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Hashable
from typing import Generic, TypeVar

from structiot.errors import UsageError

__all__ = [
    "TopicTree",
    "control_fault",
    "filter_fault",
    "fits",
    "is_shared",
    "matches",
    "name_fault",
    "parse_shared",
]

MAX_TOPIC_BYTES = 65_535
MAX_CACHED_NAMES = 16_384
MAX_CACHED_NAME_CHARS = 256
# What is remembered for all names together.
MAX_CACHED_VALUES = 200_000
# A portion of a search: nodes that are looked at, at most.
STEPS = 256
SHARED_PREFIX = "$share/"
# Control characters, and the noncharacters of each plane.
_OFTEN_REFUSED = re.compile(
    "[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(
        f"{chr(last - 1)}{chr(last)}" for last in range(0xFFFF, 0x11_0000, 0x1_0000)
    )
    + "]"
)

T = TypeVar("T", bound=Hashable)


def _text_fault(text: str) -> str | None:
    if not text:
        return "is empty"
    if "\0" in text:
        return "holds U+0000"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "holds a surrogate, which UTF-8 cannot carry"
    if size > MAX_TOPIC_BYTES:
        return f"takes {size} bytes, the limit is {MAX_TOPIC_BYTES}"
    return None


def name_fault(name: str) -> str | None:
    """Say what is wrong with a topic name, as the end of a sentence; None if nothing."""
    if "+" in name or "#" in name:
        return "holds a wildcard, + or #"
    return _text_fault(name)


def control_fault(topic: str) -> str | None:
    """Say which character of a name or filter the standard advises against.

    Section 1.5.4 of 5.0 (1.5.3 of 3.1.1): control characters and noncharacters should not
    be used, and who receives them may close the connection, as Mosquitto does.
    """
    # Most texts are printable, which takes no time to find out.
    if topic.isprintable() or (found := _OFTEN_REFUSED.search(topic)) is None:
        return None
    kind = "control character" if found[0] < "\xa0" else "noncharacter"
    return f"holds U+{ord(found[0]):04X}, a {kind}"


def _wildcard_fault(topic_filter: str) -> str | None:
    levels = topic_filter.split("/")
    if "#" in topic_filter and (topic_filter.count("#") > 1 or levels[-1] != "#"):
        return "holds # elsewhere than alone in the last level"
    if "+" in topic_filter and any("+" in level and level != "+" for level in levels):
        return "holds + beside other characters of its level"
    return None


def filter_fault(topic_filter: str) -> str | None:
    """Say what is wrong with a topic filter, as `name_fault` does."""
    fault = _text_fault(topic_filter)
    if fault is not None:
        return fault
    if topic_filter.startswith(SHARED_PREFIX):
        group, _, topic_filter = topic_filter[len(SHARED_PREFIX) :].partition("/")
        if not group or "+" in group or "#" in group:
            return "is shared without a valid group name"
        if not topic_filter:
            return "is shared without a filter behind the group name"
    return _wildcard_fault(topic_filter)


def is_shared(topic_filter: str) -> bool:
    """Tell whether the filter is that of a shared subscription."""
    return topic_filter.startswith(SHARED_PREFIX)


def parse_shared(topic_filter: str) -> tuple[str | None, str]:
    """Split a valid filter into its share group, None if it has none, and the rest."""
    if not topic_filter.startswith(SHARED_PREFIX):
        return None, topic_filter
    group, _, inner = topic_filter[len(SHARED_PREFIX) :].partition("/")
    return group, inner


def matches(topic_filter: str, name: str) -> bool:
    """Tell whether a valid filter matches a valid name.

    Raises:
        UsageError: What should be a name has wildcards; it may be the filter.
    """
    if "+" in name or "#" in name:
        raise UsageError(
            f"{name[:64]!r} is no topic name: matches takes the filter, then the name"
        )
    return fits(topic_filter, name)


def fits(topic_filter: str, name: str) -> bool:
    """Tell the same, of a name that was checked already."""
    _, topic_filter = parse_shared(topic_filter)
    if topic_filter == name:
        return True
    wanted = topic_filter.split("/")
    if name.startswith("$") and wanted[0] in {"+", "#"}:
        return False
    levels = name.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
    elif len(levels) != len(wanted):
        return False
    return all(
        want in {"+", level} for want, level in zip(wanted, levels, strict=False)
    )


class _Node(Generic[T]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: dict[T, None] = {}  # a dict keeps the order of arrival


class TopicTree(Generic[T]):
    """Values filed under topic filters, found by topic name.

    The same value may stand under several filters and is then found once for each
    filter that matches. A lookup costs as many steps as the name has levels, times
    the wildcards met on the way; its result is remembered until the tree changes,
    unless the name is long. `find` and `searching` are for those whom others wait for.
    How deep a filter may be is for the caller to bound.

    Attributes:
        steps: How many steps `find` has needed so far.
        known: Gives what `match` gives, if that is remembered.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self.steps: int = 0
        self._found: dict[str, tuple[T, ...]] = {}
        self.known: Callable[[str], tuple[T, ...] | None] = self._found.get
        self._remembered = 0
        self._changes = 0
        self._size = 0

    def __len__(self) -> int:
        """How many values are filed, counted once for each filter."""
        return self._size

    def add(self, topic_filter: str, value: T) -> bool:
        """File a value; False if it stood there already."""
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if value in node.values:
            return False
        node.values[value] = None
        self._size += 1
        self._forget()
        return True

    def remove(self, topic_filter: str, value: T) -> bool:
        """Take a value out again; False if it did not stand there."""
        node = self._root
        path: list[tuple[_Node[T], str]] = []
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return False
            path.append((node, level))
            node = child
        if value not in node.values:
            return False
        del node.values[value]
        self._size -= 1
        self._forget()
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.values or child.children:
                break
            del parent.children[level]
        return True

    def match(self, name: str) -> tuple[T, ...]:
        """Give the values of every filter that matches a valid topic name."""
        found = self._found.get(name)
        if found is None:
            values: list[T] = []
            for _ in self._search(name, values):
                pass
            found = self._remember(name, values)
        return found

    def find(self, name: str, most: int) -> tuple[T, ...] | None:
        """Look for what `match` gives; None if that takes more than so many steps."""
        values: list[T] = []
        end = self.steps + most
        for number in self._search(name, values):
            self.steps += number
            if self.steps > end:
                return None
        return self._remember(name, values)

    def searching(self, name: str) -> Generator[int, None, tuple[T, ...]]:
        """Do as `match` in portions; what is yielded are the steps of each.

        What is added or taken out meanwhile may be found or not.
        """
        found = self._found.get(name)
        if found is None:
            values: list[T] = []
            changes = self._changes
            yield from self._search(name, values)
            if changes != self._changes:
                return tuple(values)
            found = self._remember(name, values)
        return found

    def _remember(self, name: str, values: list[T]) -> tuple[T, ...]:
        found = tuple(values)
        self._remembered += len(found)
        if len(self._found) >= MAX_CACHED_NAMES or self._remembered > MAX_CACHED_VALUES:
            self._found.clear()
            self._remembered = len(found)
        if len(name) <= MAX_CACHED_NAME_CHARS:
            self._found[name] = found
        return found

    def _forget(self) -> None:
        self._found.clear()
        self._remembered = 0
        self._changes += 1

    def _search(self, name: str, found: list[T]) -> Generator[int]:
        """Add what matches to `found`; yield how many nodes were looked at, now and then."""
        nodes = [self._root]
        has_wildcards = not name.startswith("$")
        for level in name.split("/"):
            if not nodes:  # nobody has asked for so many levels
                return
            next_nodes: list[_Node[T]] = []
            for start in range(0, len(nodes), STEPS):
                some = nodes[start : start + STEPS]
                for node in some:
                    if has_wildcards:
                        if (rest := node.children.get("#")) is not None:
                            found += rest.values
                        if (any_one := node.children.get("+")) is not None:
                            next_nodes.append(any_one)
                    if (same := node.children.get(level)) is not None:
                        next_nodes.append(same)
                yield len(some)
            nodes = next_nodes
            has_wildcards = True
        _add_ends(nodes, found)


def _add_ends(nodes: list[_Node[T]], found: list[T]) -> None:
    """Add what stands where a name ends."""
    for node in nodes:
        found += node.values
        if (rest := node.children.get("#")) is not None:
            found += rest.values
