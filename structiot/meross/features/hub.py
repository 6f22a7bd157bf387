"""A hub: which of its payloads concerns which subdevice, and what it is asked.

Facts: reference 3.4, 4.12 and 12. What it has is known by the cloud's list, by its digest,
by answers and by pushes (`hub_roster.py`). One id may be listed twice there, once as a
dead twin of zeros. An answer about more subdevices than fit into 4 kB comes cut in two:
what many are to be asked is asked in chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of, number_of, text_of
from structiot.meross.features.feature import About, Feature, Happened, Poll, Request
from structiot.meross.features.fields import Occurring, Pace
from structiot.meross.features.hub_roster import (
    MAX_SUBDEVICES,
    HubRoster,
    HubUpdate,
    KnownFrom,
)
from structiot.meross.features.samples import DIGEST_HUB
from structiot.meross.features.sub_registry import SUB_NAMESPACES, kind_of, kind_of_item
from structiot.meross.features.subdevice import Subdevice
from structiot.meross.wire.device_list import CloudSubdevice
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of, object_of
from structiot.meross.wire.system import Abilities
from structiot.model import Entity

__all__ = ["Hub", "is_hub"]

_HUB: Final = "Appliance.Hub."
_ONLINE: Final = _HUB + "Online"
_EXCEPTION: Final = _HUB + "Exception"
_LIST: Final = _HUB + "SubdeviceList"
_BIND: Final = _HUB + "Bind"
_UNBIND: Final = _HUB + "Unbind"
_VERSION: Final = _HUB + "SubDevice.Version"
_OWN: Final = frozenset({_ONLINE, _EXCEPTION, _LIST, _BIND, _UNBIND, _VERSION})
# Only valves are in the first; in the other, only what its item has says which.
_KIND_OF_ALL: Final = {_HUB + "Mts100.All": "mts100v3", _HUB + "Sensor.All": None}
# What lists subdevices, with their status.
_LISTS: Final = frozenset({DIGEST_HUB, _LIST, _ONLINE, *_KIND_OF_ALL})
_RADIO_LOST: Final = 5061
_LOOK_AGAIN_S: Final = 60.0
_AT_ONCE: Final = 8
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)
_STATUS_ONLINE: Final = 1
_RADIO: Final = Occurring(
    "hub_radio", name="Radio", category="diagnostic", event_types=("lost", "exception")
)


def is_hub(digest: Mapping[str, object], abilities: Abilities) -> bool:
    """Tell whether a device is a hub; not every one lists `Hub.SubdeviceList`."""
    has_digest = isinstance(digest.get("hub"), dict)
    return has_digest or any(name.startswith(_HUB) for name in abilities)


class Hub(Feature):
    """A hub as a feature of its device; what it takes becomes a `HubUpdate`."""

    name = "hub"
    namespaces: ClassVar[frozenset[str]] = _OWN | SUB_NAMESPACES
    abilities: ClassVar[tuple[str, ...]] = (
        DIGEST_HUB,
        *sorted(name for name in namespaces if name.startswith("Appliance.Hub.")),
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._roster: HubRoster = HubRoster(about.device)

    @property
    def subdevices(self) -> Mapping[str, Subdevice]:
        """What hangs on it, by id."""
        return self._roster.subdevices

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What happens on the radio."""
        return (_RADIO.entity(_RADIO.key, _RADIO.name),)

    @property
    def polls(self) -> Sequence[Poll]:
        """What its subdevices want to be asked, those of a sort together.

        An empty list of ids asks for all; a hub with more than eight subdevices of a
        sort is asked for eight at once.
        """
        asked: dict[tuple[str, Pace], list[Item]] = {}
        for sub_id, subdevice in self.subdevices.items():
            for poll in (p for feature in subdevice.features for p in feature.polls):
                namespace = poll.request.namespace
                items = items_of(poll.request.payload, key_of(namespace))
                asked.setdefault((namespace, poll.pace), []).extend(items)
            asked.setdefault((_VERSION, "once"), []).append({"id": sub_id})
        return [
            Poll(
                request=Request(
                    method=Method.GET,
                    namespace=namespace,
                    payload={key_of(namespace): chunk},
                ),
                pace=pace,
            )
            for (namespace, pace), items in asked.items()
            if namespace in self.about.abilities
            for chunk in _chunks(items)
        ]

    def take_cloud(
        self,
        subdevices: Sequence[CloudSubdevice],
        at_utc: datetime,  # noqa: ARG002
    ) -> HubUpdate:
        """Take the cloud's list of its subdevices: their kinds and names."""
        listed: set[str] = set()
        for one in subdevices[:MAX_SUBDEVICES]:
            sub_id = _id_of({"id": one.subdevice_id})
            if sub_id is not None:
                listed.add(sub_id)
                kind = kind_of(one.model)
                self._roster.know(sub_id, kind, KnownFrom.CLOUD, name=one.name)
        for sub_id in set(self.subdevices) - listed:
            self._roster.doubt(sub_id)
        return self._roster.taken()

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> HubUpdate:
        """Read the hub's part of the digest."""
        return self.take(DIGEST_HUB, digest, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> HubUpdate:
        """Read a payload; each item goes to the subdevice that it is of."""
        if namespace == _EXCEPTION:
            happened = tuple(self._exceptions(items_of(payload, "exception"), at_utc))
            return self._roster.taken(happened, _LOOK_AGAIN_S if happened else None)
        if namespace in {_BIND, _UNBIND}:
            for sub_id, item in _named(items_of(payload, "bind")):
                if namespace == _UNBIND:
                    self._roster.forget(sub_id)
                else:
                    kind = kind_of(item.get("deviceType"))
                    self._roster.know(sub_id, kind, KnownFrom.LISTED)
            return self._roster.taken()
        items = items_of(payload, key_of(namespace))
        if namespace in {DIGEST_HUB, _LIST}:
            items = items_of(object_of(payload, key_of(namespace)), "subdevice")
        found = _living(items) if namespace in _LISTS else _named(items)
        for sub_id, item in found:
            self._item(namespace, sub_id, item, at_utc)
        if namespace == DIGEST_HUB:
            listed = object_of(payload, "hub").get("subdevice")
            # Nonsense in the place of the list is no list without members.
            if isinstance(listed, list) and (found or not listed):
                self._missed({sub_id for sub_id, _ in found})
        return self._roster.taken()

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> HubUpdate:
        """Read the SETACK to a subdevice's request; what it does not say is as asked."""
        key = key_of(request.namespace)
        answers = {
            (sub_id, channel_of(item)): item
            for sub_id, item in _named(items_of(payload, key))
        }
        for sub_id, asked in _named(items_of(request.payload, key)):
            subdevice = self.subdevices.get(sub_id)
            answer = answers.pop((sub_id, channel_of(asked)), None)
            if subdevice is not None:
                own = replace(request, payload={key: asked})
                update = subdevice.acknowledged(own, {key: answer}, at_utc)
                self._roster.told(sub_id, update)
        for (sub_id, _), item in answers.items():
            self._item(request.namespace, sub_id, item, at_utc)
        return self._roster.taken()

    def _item(self, namespace: str, sub_id: str, item: Item, at_utc: datetime) -> None:
        if namespace in _LISTS:
            of_all = namespace in _KIND_OF_ALL
            known_from = KnownFrom.INFERRED if of_all else KnownFrom.LISTED
            kind = kind_of_item(item) or _KIND_OF_ALL.get(namespace)
            self._roster.know(sub_id, kind, known_from)
        subdevice = self.subdevices.get(sub_id)
        if subdevice is None:
            return
        status = _status_of(item)
        if namespace in _LISTS and status is not None:
            self._roster.set_online(sub_id, is_online=status == _STATUS_ONLINE)
        if namespace in {_LIST, _VERSION}:
            said = {
                name: text[:32]
                for name in ("hardware", "firmware")
                if (text := text_of(item.get(name)))
            }
            self._roster.describe(replace(subdevice.about, **said))
        payload = {key_of(namespace): item}
        self._roster.told(sub_id, subdevice.take(namespace, payload, at_utc))

    def _missed(self, listed: set[str]) -> None:
        """Take note of what the digest does not list: in the cloud's list, it is away."""
        for sub_id in set(self.subdevices) - listed:
            if self._roster.is_in_cloud(sub_id):
                self._roster.set_online(sub_id, is_online=False)
            else:
                self._roster.forget(sub_id)

    def _exceptions(
        self, items: Sequence[Item], at_utc: datetime
    ) -> Iterator[Happened]:
        for sub_id, item in _named(items):
            code = integer_of(item.get("code"))
            if sub_id not in self.subdevices or code is None:
                continue
            is_lost = code == _RADIO_LOST
            if is_lost:
                self._roster.set_online(sub_id, is_online=False)
            yield Happened(
                key=_RADIO.key,
                event_type="lost" if is_lost else "exception",
                data={"subdevice": sub_id, "code": code if abs(code) < 10**6 else None},
                at_utc=at_utc,
            )


def _chunks(items: list[Item]) -> list[list[Item]]:
    if len(items) <= _AT_ONCE and not any("subId" in item for item in items):
        return [[]]
    starts = range(0, len(items), _AT_ONCE)
    return [items[start : start + _AT_ONCE] for start in starts]


def _id_of(item: Item) -> str | None:
    sub_id = text_of(item.get("id", item.get("subId")))
    return sub_id if sub_id and _ID.fullmatch(sub_id) else None


def _status_of(item: Item) -> int | None:
    nested = object_of(item, "online")
    return integer_of(nested.get("status", item.get("status")))


def _named(items: Sequence[Item]) -> list[tuple[str, Item]]:
    """Give items with their ids."""
    named = ((_id_of(item), item) for item in items)
    return [(sub_id, item) for sub_id, item in named if sub_id is not None]


def _living(items: Sequence[Item]) -> list[tuple[str, Item]]:
    """Give items with their ids; of an id that is there twice, not its dead twin."""
    found: dict[str, Item] = {}
    for sub_id, item in _named(items):
        twin = found.get(sub_id)
        if twin is None or _liveliness(item) >= _liveliness(twin):
            found[sub_id] = item
    return list(found.items())


def _liveliness(item: Item) -> tuple[bool, float]:
    nested = object_of(item, "online")
    active = number_of(nested.get("lastActiveTime", item.get("lastActiveTime")))
    return _status_of(item) == _STATUS_ONLINE, active or 0.0
