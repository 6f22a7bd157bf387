"""Which subdevices a hub has, by the cloud's list, its digest, answers and pushes.

A kind that the cloud tells wins over one that the hub lists, and that over one inferred
from an answer. It holds `MAX_SUBDEVICES` at most, whatever comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from structiot.meross.features.feature import Happened, Update, joined
from structiot.meross.features.sub_registry import UNKNOWN, subfeatures_of
from structiot.meross.features.subdevice import SubAbout, Subdevice

__all__ = ["MAX_SUBDEVICES", "HubRoster", "HubUpdate", "KnownFrom"]

# One hub takes 16; some of a hub's past may still be listed.
MAX_SUBDEVICES: Final = 64


class KnownFrom(IntEnum):
    """Where the kind of a subdevice is known from; a higher one wins."""

    NOWHERE = 0
    INFERRED = 1
    LISTED = 2
    CLOUD = 3


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


class HubRoster:
    """The subdevices of one hub, and what has become of them since it was last asked.

    Attributes:
        hub: `DeviceInfo.id` of the hub.
    """

    def __init__(self, hub: str) -> None:
        self.hub: str = hub
        self._subdevices: dict[str, Subdevice] = {}
        self._known_from: dict[str, KnownFrom] = {}
        self._told: dict[str, list[Update]] = {}
        self._online: dict[str, bool] = {}
        self._is_changed = False

    @property
    def subdevices(self) -> Mapping[str, Subdevice]:
        """All of them, by id."""
        return self._subdevices

    def is_in_cloud(self, sub_id: str) -> bool:
        """Tell whether the cloud lists it."""
        return self._known_from.get(sub_id) is KnownFrom.CLOUD

    def taken(
        self, happened: tuple[Happened, ...] = (), look_again_s: float | None = None
    ) -> HubUpdate:
        """Give what has changed since the last time, with what happened to the hub."""
        update = HubUpdate(
            subdevices={sub_id: joined(told) for sub_id, told in self._told.items()},
            online=self._online,
            is_changed=self._is_changed,
            happened=happened,
            look_again_s=look_again_s,
        )
        self._told, self._online, self._is_changed = {}, {}, False
        return update

    def know(
        self,
        sub_id: str,
        kind: str | None,
        known_from: KnownFrom,
        *,
        name: str | None = None,
    ) -> None:
        """Add a subdevice, or describe it anew if it is known better."""
        known = self._subdevices.get(sub_id)
        if known is None:
            self._add(sub_id, kind, known_from, name)
            return
        about = known.about
        if kind is not None and known_from > self._known_from[sub_id]:
            self._known_from[sub_id] = known_from
            about = replace(about, kind=kind)
        self.describe(replace(about, name=name or about.name))

    def describe(self, about: SubAbout) -> None:
        """Say what is known of a subdevice now; one of another kind is made anew."""
        subdevice = self._subdevices[about.sub_id]
        if about == subdevice.about:
            return
        if about.kind != subdevice.about.kind:
            is_online = subdevice.is_online
            subdevice = Subdevice(about, subfeatures_of(about))
            subdevice.is_online = is_online
            self._subdevices[about.sub_id] = subdevice
        subdevice.about = about
        self._is_changed = True

    def doubt(self, sub_id: str) -> None:
        """Take note that the cloud does not list it any more."""
        if self.is_in_cloud(sub_id):
            self._known_from[sub_id] = KnownFrom.LISTED

    def forget(self, sub_id: str) -> None:
        """Remove a subdevice, if there is one."""
        self._known_from.pop(sub_id, None)
        if self._subdevices.pop(sub_id, None) is not None:
            self._is_changed = True

    def set_online(self, sub_id: str, *, is_online: bool) -> None:
        """Take note of whether the hub reaches it."""
        subdevice = self._subdevices[sub_id]
        if subdevice.is_online != is_online:
            subdevice.is_online = is_online
            self._online[sub_id] = is_online

    def told(self, sub_id: str, update: Update) -> None:
        """Take note of what a subdevice has told."""
        if update.states or update.happened or update.entities_changed:
            self._told.setdefault(sub_id, []).append(update)
            self._is_changed = self._is_changed or update.entities_changed

    def _add(
        self, sub_id: str, kind: str | None, known_from: KnownFrom, name: str | None
    ) -> None:
        if len(self._subdevices) >= MAX_SUBDEVICES:
            return
        about = SubAbout(
            device=f"{self.hub}_{sub_id}",
            hub=self.hub,
            sub_id=sub_id,
            kind=kind or UNKNOWN,
            name=name,
        )
        # Being in the cloud's list counts, though the kind be none.
        is_known = kind is not None or known_from is KnownFrom.CLOUD
        self._known_from[sub_id] = known_from if is_known else KnownFrom.NOWHERE
        self._subdevices[sub_id] = Subdevice(about, subfeatures_of(about))
        self._is_changed = True
