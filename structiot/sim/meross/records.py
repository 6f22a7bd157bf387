"""State as most namespaces have it: items by channel, told whole, changed in part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from structiot._kit.json_text import integer_of, number_of
from structiot.errors import UsageError
from structiot.meross.wire.payloads import items_of, key_of
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["Range", "Records", "merge", "whole_of"]

Range = tuple[int, int]

_MOST: Final = 2**48


class Records(Part):
    """The items of one namespace.

    Args:
        stage: The device.
        namespace: Which.
        items: Its state at first; each has a `channel`.
        key: Where it stands in the payload; by the namespace's name by default.
        is_list: Whether one item alone comes in a list.
        is_pushed: Whether changes are told.
        is_query: Whether it is asked for by PUSH.
        acks_state: Whether SETACK tells the new state.
        digest: Where in the digest it stands, if it does.
        is_digest_list: Whether it is a list there.
        is_fixed: Whether clients cannot change it.
        ranges: What values fields may have; a SET with another changes nothing.
        extra: What stands beside the key.
        on_change: Told of an item that was changed, before it is pushed.
    """

    def __init__(
        self,
        stage: Stage,
        namespace: str,
        items: Sequence[Item],
        *,
        key: str | None = None,
        is_list: bool = True,
        is_pushed: bool = True,
        is_query: bool = False,
        acks_state: bool = False,
        digest: tuple[str, ...] = (),
        is_digest_list: bool = True,
        is_fixed: bool = False,
        ranges: Mapping[str, Range] | None = None,
        extra: Mapping[str, Any] | None = None,
        on_change: Callable[[Item], None] | None = None,
    ) -> None:
        self.namespaces: tuple[str, ...] = (namespace,)
        self.namespace = namespace
        self.stage = stage
        self.key: str = key or key_of(namespace)
        self.items: list[Item] = [dict(item) for item in items]
        self._is_list = is_list
        self._is_pushed = is_pushed
        self._is_query = is_query
        self._acks_state = acks_state
        self._digest = digest
        self._is_digest_list = is_digest_list
        self._is_fixed = is_fixed
        self._ranges = ranges or {}
        self._extra = dict(extra or {})
        self._on_change = on_change

    def find(self, channel: object) -> Item | None:
        """Give the item of a channel; without one the first."""
        if channel is None:
            return self.items[0] if self.items else None
        found = integer_of(channel)
        return next((i for i in self.items if i.get("channel") == found), None)

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with the items that are asked for, or with all."""
        wanted = [item["channel"] for item in _selectors(payload, self.key)]
        if 65_535 in wanted:
            wanted = []
        found = [i for i in self.items if i.get("channel") in wanted]
        return self._payload(found if wanted else self.items)

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Change what is told, and tell it where that is the custom."""
        if self._is_fixed or not (wanted := items_of(payload, self.key)):
            raise Malformed(namespace)
        changed = [found for item in wanted for found in self.apply(item)]
        self.tell(changed)
        return self._payload(self.items) if self._acks_state else {}

    def query(self, namespace: str) -> Item | None:  # noqa: ARG002
        """Answer a PUSH that asks."""
        return self._payload(self.items) if self._is_query else None

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:
        """Change an item by a physical cause, and tell it."""
        item = self.find(where)
        if item is None:
            raise UsageError(f"{namespace} has no channel {where}")
        merge(item, fields)
        self._stamp(item)
        self.tell([item])

    def apply(self, wanted: Mapping[str, Any]) -> list[Item]:
        """Change the item that a client means; give what has changed."""
        item = self.find(wanted.get("channel"))
        if item is None:
            return []
        for name, (low, high) in self._ranges.items():
            value = integer_of(wanted[name]) if name in wanted else low
            if value is None or not low <= value <= high:
                return []
        merge(item, wanted)
        self._stamp(item)
        return [item]

    def tell(self, items: Sequence[Item]) -> None:
        """Push items that have changed."""
        for item in items:
            if self._on_change is not None:
                self._on_change(item)
        if self._is_pushed and items:
            self.stage.push(self.namespace, self._payload(items))

    def digest(self) -> Item:
        """Give the items where the digest has them."""
        if not self._digest:
            return {}
        found: Any = [dict(i) for i in self.items]
        if not self._is_digest_list:
            found = found[0]
        for name in reversed(self._digest):
            found = {name: found}
        return dict(found)

    def _payload(self, items: Sequence[Item]) -> Item:
        copies = [dict(item) for item in items]
        shaped = self.stage.shaped(copies, is_list=self._is_list)
        return {**self._extra, self.key: shaped}

    def _stamp(self, item: Item) -> None:
        if "lmTime" in item:
            item["lmTime"] = self.stage.stamp()


def merge(item: Item, wanted: Mapping[str, Any]) -> None:
    """Take over what fits: fields that are there, of the type that they have."""
    for name, value in wanted.items():
        if name == "channel" or name not in item:
            continue
        own = item[name]
        if isinstance(own, dict):
            if isinstance(value, dict):
                item[name] = {**own}
                merge(item[name], value)
        elif isinstance(own, int):
            number = whole_of(value)
            if number is not None:
                item[name] = number
        elif isinstance(own, float):
            item[name] = number_of(value) or 0.0
        elif isinstance(value, type(own)):
            item[name] = value


def whole_of(value: object) -> int | None:
    """Read a number as firmware does, without what is behind the point."""
    number = number_of(value)
    is_small = number is not None and abs(number) < _MOST
    return round(number) if number is not None and is_small else None


def _selectors(payload: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [item for item in items_of(payload, key) if "channel" in item]
