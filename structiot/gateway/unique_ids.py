"""Whose unique id is that of another device's entity: an id and a key run together in it.

The entity `left_relay` of the device `P` and the entity `relay` of `P_left` would have one
unique id. The device with the longer id gives way, whoever comes first; so all others keep the
unique ids that they have always had.
"""

from __future__ import annotations

import logging

from structiot._kit.text import printable
from structiot.gateway.records import DeviceRecord, Records

__all__ = ["UniqueIds"]

_log = logging.getLogger(__name__)


class UniqueIds:
    """The unique ids of the devices of one gateway.

    Args:
        records: All its devices.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        # Devices that may have to give way, as shown last.
        self._long: dict[str, DeviceRecord] = {}
        self._said: set[tuple[str, str]] = set()

    def shown(self, record: DeviceRecord) -> None:
        """Take note of what a device has."""
        self._long.pop(record.root, None)
        if "_" in record.id:
            self._long[record.root] = record

    def gone(self, root: str) -> None:
        """Forget a device."""
        self._long.pop(root, None)

    def ambiguous(self, record: DeviceRecord) -> frozenset[str]:
        """Give the entities of a device whose unique ids are another one's."""
        found: set[str] = set()
        for at, character in enumerate(record.id):
            if character != "_":
                continue
            for other in self._records.of(record.system, record.id[:at]):
                if not other.is_believed:
                    found |= _alike(record, other)
        for key in sorted(found):
            if (record.root, key) not in self._said and len(self._said) < 1000:
                self._said.add((record.root, key))
                _log.warning(
                    "%s of %s would have the unique id of another device's entity: it "
                    "gets one with more at its end",
                    key,
                    printable(record.id, most=100),
                )
        return frozenset(found)

    def give_way(self, record: DeviceRecord) -> list[str]:
        """Give the roots of devices that have a unique id of this one."""
        return [
            root
            for root, other in self._long.items()
            if other.system == record.system
            and other.id.startswith(f"{record.id}_")
            and _alike(other, record)
        ]


def _alike(longer: DeviceRecord, shorter: DeviceRecord) -> set[str]:
    rest = longer.id[len(shorter.id) + 1 :]
    return {key for key in longer.platforms if f"{rest}_{key}" in shorter.platforms}
