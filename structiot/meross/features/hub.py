"""A hub: which subdevices it has, and which of its payloads concerns which.

Facts: reference 4.12 and 12. What it has is known by the cloud's list, by its digest, by
answers and by pushes (`hub_roster.py`). One id may be listed twice there, once as a dead
twin of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of, number_of, text_of
from structiot.meross.features.feature import (
    About,
    Feature,
    Happened,
    Poll,
    Request,
    Update,
)
from structiot.meross.features.hub_polls import hub_polls
from structiot.meross.features.hub_roster import (
    MAX_SUBDEVICES,
    HubRoster,
    KnownFrom,
)
from structiot.meross.features.sub_registry import kind_of, kind_of_item
from structiot.meross.features.subdevice import DIGEST_HUB, Subdevice, joined
from structiot.meross.wire.device_list import CloudSubdevice
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of, object_of
from structiot.meross.wire.system import Abilities
from structiot.model import Entity, Event

__all__ = ["Hub", "HubUpdate", "is_hub"]

_HUB: Final = "Appliance.Hub."
_ONLINE: Final = _HUB + "Online"
_EXCEPTION: Final = _HUB + "Exception"
_LIST: Final = _HUB + "SubdeviceList"
_BIND: Final = _HUB + "Bind"
_UNBIND: Final = _HUB + "Unbind"
_VERSION: Final = _HUB + "SubDevice.Version"
_ALLS: Final = (_HUB + "Mts100.All", _HUB + "Sensor.All")
# Only valves are in the first; in the other, only what its item has says which.
_OF_ALL: Final = {_ALLS[0]: "mts100v3"}
# What lists subdevices, with their status.
_LISTS: Final = frozenset({DIGEST_HUB, _LIST, _ONLINE, *_ALLS})
# Namespaces beyond the hub's own whose items have a `subId`.
_BY_SUB_ID: Final = (
    "Appliance.Control.Sensor.LatestX",
    "Appliance.Control.Water",
    "Appliance.Config.DeviceCfg",
)
_OWN: Final = (
    *("Battery", "ToggleX", "Mts100.Mode", "Mts100.Temperature", "Mts100.Adjust"),
    *("Mts100.SuperCtl", "Sensor.Latest", "Sensor.TempHum", "Sensor.Alert"),
    *("Sensor.Adjust", "Sensor.DoorWindow", "Sensor.Smoke", "Sensor.WaterLeak"),
)
_RADIO_LOST: Final = 5061
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)
_STATUS_ONLINE: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUpdate(Update):
    """What a hub's payload has told of its subdevices, besides of itself.

    Attributes:
        subdevices: Updates by id.
        online: Which have come or gone, by id.
        is_changed: Whether `Hub.subdevices` has others, or one is described anew.
    """

    subdevices: Mapping[str, Update] = field(default_factory=dict)
    online: Mapping[str, bool] = field(default_factory=dict)
    is_changed: bool = False


def is_hub(digest: Mapping[str, object], abilities: Abilities) -> bool:
    """Tell whether a device is a hub; not every one lists `Hub.SubdeviceList`."""
    has_digest = isinstance(digest.get("hub"), dict)
    return has_digest or any(name.startswith(_HUB) for name in abilities)


class Hub(Feature):
    """A hub as a feature of its device; what it takes becomes a `HubUpdate`."""

    name = "hub"
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {
            *(_ONLINE, _EXCEPTION, _LIST, _BIND, _UNBIND, _VERSION, DIGEST_HUB),
            *(*_ALLS, *_BY_SUB_ID, *(_HUB + name for name in _OWN)),
        }
    )
    abilities: ClassVar[tuple[str, ...]] = (
        DIGEST_HUB,
        *sorted(name for name in namespaces if name.startswith(_HUB)),
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
        event = Event(
            key="hub_radio",
            name="Radio",
            category="diagnostic",
            event_types=("lost", "exception"),
        )
        return (event,)

    @property
    def polls(self) -> Sequence[Poll]:
        """What its subdevices want to be asked."""
        return hub_polls(self.about.abilities, self.subdevices.values())

    def take_cloud(
        self, subdevices: Sequence[CloudSubdevice], at_utc: datetime
    ) -> HubUpdate:
        """Take the cloud's list of its subdevices: their kinds and names."""
        taking = _Taking(self._roster, at_utc)
        listed: set[str] = set()
        for one in subdevices[:MAX_SUBDEVICES]:
            sub_id = _id_of({"id": one.subdevice_id})
            if sub_id is not None:
                listed.add(sub_id)
                kind = kind_of(one.model)
                taking.know(sub_id, kind, KnownFrom.CLOUD, name=one.name)
        for sub_id in set(self.subdevices) - listed:
            self._roster.doubt(sub_id)
        return taking.update()

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> HubUpdate:
        """Read the hub's part of the digest."""
        return self.take(DIGEST_HUB, digest, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> HubUpdate:
        """Read a payload; each item goes to the subdevice that it is of."""
        taking = _Taking(self._roster, at_utc)
        if namespace == DIGEST_HUB:
            taking.digest(object_of(payload, "hub"))
        elif namespace == _EXCEPTION:
            taking.exceptions(items_of(payload, "exception"))
        elif namespace in {_BIND, _UNBIND}:
            taking.bind(items_of(payload, "bind"), is_bound=namespace == _BIND)
        else:
            items = items_of(payload, key_of(namespace))
            if namespace == _LIST:
                items = items_of(object_of(payload, "subdeviceList"), "subdevice")
            is_list = namespace in _LISTS
            for sub_id, item in _living(items) if is_list else _named(items):
                taking.item(namespace, sub_id, item)
        return taking.update()

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> HubUpdate:
        """Read the SETACK to a subdevice's request; what it does not say is as asked."""
        key = key_of(request.namespace)
        answers = {
            (sub_id, channel_of(item)): item
            for sub_id, item in _named(items_of(payload, key))
        }
        taking = _Taking(self._roster, at_utc)
        for sub_id, asked in _named(items_of(request.payload, key)):
            subdevice = self.subdevices.get(sub_id)
            answer = answers.pop((sub_id, channel_of(asked)), None)
            if subdevice is not None:
                update = subdevice.acknowledged(
                    request.namespace, asked, answer, at_utc
                )
                taking.told(sub_id, update)
        for (sub_id, _), item in answers.items():
            taking.item(request.namespace, sub_id, item)
        return taking.update()


class _Taking:
    """One payload as it is read, and what becomes of it."""

    def __init__(self, roster: HubRoster, at_utc: datetime) -> None:
        self._roster = roster
        self._at_utc = at_utc
        self._updates: dict[str, Update] = {}
        self._online: dict[str, bool] = {}
        self._happened: list[Happened] = []
        self._is_changed = False
        self._look_again_s: float | None = None

    def update(self) -> HubUpdate:
        return HubUpdate(
            subdevices=self._updates,
            online=self._online,
            is_changed=self._is_changed,
            happened=tuple(self._happened),
            look_again_s=self._look_again_s,
        )

    def know(
        self,
        sub_id: str,
        kind: str | None,
        known_from: KnownFrom,
        *,
        name: str | None = None,
    ) -> None:
        is_new = self._roster.know(sub_id, kind, known_from, name=name)
        self._is_changed = self._is_changed or is_new

    def told(self, sub_id: str, update: Update) -> None:
        if update.states or update.happened or update.entities_changed:
            before = self._updates.get(sub_id, Update())
            self._updates[sub_id] = joined([before, update])
            self._is_changed = self._is_changed or update.entities_changed

    def digest(self, hub: Item) -> None:
        if not isinstance(hub.get("subdevice"), list):
            return
        found = _living(items_of(hub, "subdevice"))
        if hub["subdevice"] and not found:
            return
        for sub_id, item in found:
            self.item(DIGEST_HUB, sub_id, item)
        listed = {sub_id for sub_id, _ in found}
        for sub_id in set(self._roster.subdevices) - listed:
            # What the cloud still lists is only away.
            if self._roster.is_in_cloud(sub_id):
                self._set_online(sub_id, is_online=False)
            else:
                self._forget(sub_id)

    def item(self, namespace: str, sub_id: str, item: Item) -> None:
        is_list = namespace in _LISTS
        if is_list:
            is_inferred = namespace in _ALLS
            known_from = KnownFrom.INFERRED if is_inferred else KnownFrom.LISTED
            self.know(sub_id, kind_of_item(item) or _OF_ALL.get(namespace), known_from)
        subdevice = self._roster.subdevices.get(sub_id)
        if subdevice is None:
            return
        if is_list:
            status = _status_of(item)
            if status is not None:
                self._set_online(sub_id, is_online=status == _STATUS_ONLINE)
        if namespace in {_LIST, _VERSION}:
            self._version(subdevice, item)
        self.told(sub_id, subdevice.take_item(namespace, item, self._at_utc))

    def exceptions(self, items: Sequence[Item]) -> None:
        for sub_id, item in _named(items):
            code = integer_of(item.get("code"))
            if sub_id not in self._roster.subdevices or code is None:
                continue
            is_lost = code == _RADIO_LOST
            if is_lost:
                self._set_online(sub_id, is_online=False)
            data = {"subdevice": sub_id, "code": code if abs(code) < 10**6 else None}
            happened = Happened(
                key="hub_radio",
                event_type="lost" if is_lost else "exception",
                data=data,
                at_utc=self._at_utc,
            )
            self._happened.append(happened)
            self._look_again_s = 60.0

    def bind(self, items: Sequence[Item], *, is_bound: bool) -> None:
        for sub_id, item in _named(items):
            if is_bound:
                self.know(sub_id, kind_of(item.get("deviceType")), KnownFrom.LISTED)
            else:
                self._forget(sub_id)

    def _forget(self, sub_id: str) -> None:
        self._is_changed = self._roster.forget(sub_id) or self._is_changed

    def _set_online(self, sub_id: str, *, is_online: bool) -> None:
        subdevice = self._roster.subdevices[sub_id]
        if subdevice.is_online != is_online:
            subdevice.is_online = is_online
            self._online[sub_id] = is_online

    def _version(self, subdevice: Subdevice, item: Item) -> None:
        said = {
            name: text[:32]
            for name in ("hardware", "firmware")
            if (text := text_of(item.get(name)))
        }
        about = replace(subdevice.about, **said)
        self._is_changed = self._roster.describe(subdevice, about) or self._is_changed


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
