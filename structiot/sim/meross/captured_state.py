"""What a device was like at the end of a capture, namespace by namespace.

    GETACK without a selector in the question -> replaces what is known
    GETACK to a selector, PUSH, acknowledged SET -> merged into it, item by item

An item is known by its `channel` or `id`; what has neither is the only one. The digest of
`Appliance.System.All` follows where it has the same.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from structiot._kit.json_text import compact
from structiot.errors import ProtocolViolation
from structiot.meross.wire.capture import Kind, Manifest, Record, unfold
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.payloads import MAX_ITEMS, items_of, key_of
from structiot.meross.wire.system import ABILITY, ALL, read_abilities
from structiot.sim.meross.stage import Item

__all__ = ["CapturedState", "chosen", "identity_of_item", "merged"]

_DEEPEST: Final = 64
_MAX_NAMESPACES: Final = 512
_MAX_BYTES: Final = 4_194_304
_MOST_WAITING: Final = 1_024
_IDENTITIES: Final = ("channel", "id", "Id", "subId")
_ALL_CHANNELS: Final = 65_535
# In the digest these are counters of what the namespaces of the same key hold.
_COUNTED: Final = frozenset({"timerx", "triggerx", "timer", "trigger"})


class CapturedState:
    """The state of a captured device; `take` the records in their order.

    Args:
        manifest: Whose capture it is.

    Attributes:
        manifest: As given.
        payloads: What each namespace tells.
        acknowledging: Namespaces whose SETACK tells the state.
        queried: Namespaces that were asked by PUSH.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest: Manifest = manifest
        self.payloads: dict[str, Item] = {}
        self.acknowledging: set[str] = set()
        self.queried: set[str] = set()
        self._asked: OrderedDict[str, Envelope] = OrderedDict()
        self._bytes_since = 0

    def take_all(self, records: Iterable[Record]) -> None:
        """Take the records of a capture.

        Raises:
            ProtocolViolation: They make a state of absurd size.
        """
        for record in records:
            self.take(record)

    def take(self, record: Record) -> None:
        """Take one record; errors as of `take_all`."""
        envelope = record.envelope
        if envelope is None:
            return
        for one in unfold(envelope):
            if record.kind is Kind.REQUEST:
                self._note_request(one)
            elif record.kind is Kind.ANSWER:
                self._take_answer(one)
            elif record.kind is Kind.PUSH and one.method is Method.PUSH:
                self._merge(one.namespace, one.payload)

    @property
    def abilities(self) -> dict[str, Mapping[str, Any]]:
        """What the device can do, and all that it has answered."""
        told = read_abilities(self.payloads.get(ABILITY, {})) or self.manifest.abilities
        always = {name: told.get(name, {}) for name in (ABILITY, ALL, *self.payloads)}
        return {**told, **always}

    @property
    def digest(self) -> Item:
        """The state of everything in short; empty if it was not captured."""
        everything = self.payloads.get(ALL, {}).get("all")
        if not isinstance(everything, dict):
            return {}
        found = everything.get("digest", everything.get("control"))
        return found if isinstance(found, dict) else {}

    def in_digest(self, namespace: str) -> tuple[Item, str] | None:
        """Tell where in the digest a namespace's state stands: in what, under which key."""
        digest, key = self.digest, key_of(namespace)
        family = namespace.split(".")[-2:][0]
        family = family[:1].lower() + family[1:]
        inner = digest.get(family)
        if isinstance(inner, dict) and key in inner:
            return inner, key
        if family == "garageDoor" and key == "state" and family in digest:
            return digest, family
        is_there = key in digest and key not in _COUNTED and family == "control"
        return (digest, key) if is_there else None

    def told(self, namespace: str) -> Item | None:
        """Give what a namespace tells, from the digest if it was not asked."""
        found = self.payloads.get(namespace)
        if found is None:
            place = self.in_digest(namespace)
            found = None if place is None else {key_of(namespace): place[0][place[1]]}
        return found

    # ------------------------------------------------------------ inside

    def _note_request(self, request: Envelope) -> None:
        if request.method is Method.PUSH and len(self.queried) < _MAX_NAMESPACES:
            self.queried.add(request.namespace)
        self._asked[request.message_id] = request
        if len(self._asked) > _MOST_WAITING:
            self._asked.popitem(last=False)

    def _take_answer(self, answer: Envelope) -> None:
        namespace = answer.namespace
        asked = self._asked.pop(answer.message_id, None)
        if answer.method is Method.GETACK:
            selectors = items_of(asked.payload, key_of(namespace)) if asked else ()
            if any(identity_of_item(one) is not None for one in selectors):
                self._merge(namespace, answer.payload)
            else:
                self._store(namespace, self._taken(answer.payload))
        elif answer.method is Method.SETACK and asked is not None:
            self._merge(namespace, asked.payload)
            if answer.payload and len(self.acknowledging) < _MAX_NAMESPACES:
                self.acknowledging.add(namespace)

    def _merge(self, namespace: str, payload: Mapping[str, Any]) -> None:
        key, given = key_of(namespace), self._taken(payload)
        own = self.told(namespace)
        if own is None or key not in given or key not in own:
            self._store(namespace, {**(own or {}), **given})
            return
        place = self.in_digest(namespace)
        if place is not None:
            place[0][place[1]] = merged(place[0][place[1]], given[key])
        self._store(namespace, {**own, key: merged(own[key], given[key])})

    def _taken(self, payload: Mapping[str, Any]) -> Item:
        """Copy what was said; once in a while, look how much is known by now."""
        found = {name: _copy(value, 1) for name, value in payload.items()}
        self._bytes_since += _size(found)
        if self._bytes_since > _MAX_BYTES:
            self._bytes_since = 0
            if sum(map(_size, self.payloads.values())) > _MAX_BYTES:
                raise ProtocolViolation("capture: a state of absurd size")
        return found

    def _store(self, namespace: str, payload: Item) -> None:
        self.payloads[namespace] = payload
        if len(self.payloads) > _MAX_NAMESPACES:
            raise ProtocolViolation("capture: a state of absurdly many namespaces")


def identity_of_item(item: Mapping[str, Any]) -> object:
    """Give what tells an item from others; None for the only one, or for all."""
    for name in _IDENTITIES:
        value = item.get(name)
        if isinstance(value, str | int) and value != _ALL_CHANNELS:
            return name, value
    return None


def merged(own: object, given: object) -> object:
    """Give a state, one item or several, with what was said of some of them."""
    if not isinstance(given, dict | list) or not isinstance(own, dict | list):
        return given
    items = [own] if isinstance(own, dict) else own
    known = [item for item in items if isinstance(item, dict)]
    # The first of those that say not who they are is meant by whatever nobody else is.
    by_identity = {identity_of_item(item): item for item in reversed(known)}
    for one in [given] if isinstance(given, dict) else given:
        if not isinstance(one, dict):
            continue
        identity = identity_of_item(one)
        found = by_identity.get(identity) or by_identity.get(None)
        if identity is None:
            found = known[0] if known else None
        if found is not None:
            found.update(one)
        elif len(known) < MAX_ITEMS:
            known.append(one)
            by_identity[identity] = one
    items = known
    return items[0] if isinstance(own, dict) and len(items) == 1 else items


def chosen(items: Iterable[object], wanted: Mapping[str, Any]) -> Item | None:
    """Give the item that is meant by another; None if there is none."""
    identity = identity_of_item(wanted)
    for item in items:
        if isinstance(item, dict):
            own = identity_of_item(item)
            if identity is None or own is None or own == identity:
                return item
    return None


def _size(payload: Item) -> int:
    return len(compact(payload, is_ascii=True))


def _copy(value: object, depth: int) -> object:
    """Copy JSON that may be anybody's; what is no number in it becomes None."""
    if depth > _DEEPEST:
        raise ProtocolViolation("capture: a message that is nested too deeply")
    if isinstance(value, dict):
        return {name: _copy(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
