"""Which subdevices a hub has: by the cloud's list, its digest, answers and pushes.

A kind that the cloud tells wins over one that the hub lists, and that over one inferred
from an answer. It holds `MAX_SUBDEVICES` at most, whatever comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from typing import Final

from structiot.meross.features.sub_registry import UNKNOWN, subfeatures_of
from structiot.meross.features.subdevice import SubAbout, Subdevice

__all__ = ["MAX_SUBDEVICES", "HubRoster", "KnownFrom"]

# One hub takes 16; some of a hub's past may still be listed.
MAX_SUBDEVICES: Final = 64


class KnownFrom(IntEnum):
    """Where the kind of a subdevice is known from; a higher one wins."""

    NOWHERE = 0
    INFERRED = 1
    LISTED = 2
    CLOUD = 3


class HubRoster:
    """The subdevices of one hub.

    Attributes:
        hub: `DeviceInfo.id` of the hub.
    """

    def __init__(self, hub: str) -> None:
        self.hub: str = hub
        self._subdevices: dict[str, Subdevice] = {}
        self._known_from: dict[str, KnownFrom] = {}

    @property
    def subdevices(self) -> Mapping[str, Subdevice]:
        """All of them, by id."""
        return self._subdevices

    def is_in_cloud(self, sub_id: str) -> bool:
        """Tell whether the cloud lists it."""
        return self._known_from.get(sub_id) is KnownFrom.CLOUD

    def know(
        self,
        sub_id: str,
        kind: str | None,
        known_from: KnownFrom,
        *,
        name: str | None = None,
    ) -> bool:
        """Add a subdevice, or describe it anew if it is known better; tell whether so."""
        known = self._subdevices.get(sub_id)
        if known is None:
            return self._add(sub_id, kind, known_from, name)
        about = known.about
        if kind is not None and known_from > self._known_from[sub_id]:
            self._known_from[sub_id] = known_from
            about = replace(about, kind=kind)
        return self.describe(known, replace(about, name=name or about.name))

    def describe(self, subdevice: Subdevice, about: SubAbout) -> bool:
        """Say what is known of a subdevice now; one of another kind is made anew."""
        if about == subdevice.about:
            return False
        if about.kind != subdevice.about.kind:
            is_online = subdevice.is_online
            subdevice = Subdevice(about, subfeatures_of(about))
            subdevice.is_online = is_online
            self._subdevices[about.sub_id] = subdevice
        subdevice.about = about
        return True

    def doubt(self, sub_id: str) -> None:
        """Take note that the cloud does not list it any more."""
        if self.is_in_cloud(sub_id):
            self._known_from[sub_id] = KnownFrom.LISTED

    def forget(self, sub_id: str) -> bool:
        """Remove a subdevice; tell whether there was one."""
        self._known_from.pop(sub_id, None)
        return self._subdevices.pop(sub_id, None) is not None

    def _add(
        self, sub_id: str, kind: str | None, known_from: KnownFrom, name: str | None
    ) -> bool:
        if len(self._subdevices) >= MAX_SUBDEVICES:
            return False
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
        return True
