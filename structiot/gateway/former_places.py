"""The base topics and discovery prefixes that a gateway has had, until nothing is there."""

from __future__ import annotations

from collections.abc import Callable

from structiot.gateway.entities.topics import (
    REPORTS,
    Topics,
    gateway_availability,
    gateway_report,
)
from structiot.gateway.records import Records

__all__ = ["FormerPlaces"]


class FormerPlaces:
    """Where a gateway has published, the present place last.

    Args:
        topics: The gateway's topics.
        records: What stands on the broker; it keeps the places as well.

    Attributes:
        bases: Base topics.
        prefixes: Discovery prefixes.
    """

    def __init__(self, topics: Topics, records: Records) -> None:
        self._records = records
        self.bases: list[str] = records.places("base", topics.base)
        self.prefixes: list[str] = records.places("prefix", topics.discovery_prefix)
        records.keep_places("base", self.bases)
        records.keep_places("prefix", self.prefixes)

    def forget(self, clear: Callable[[str], None]) -> None:
        """Forget those where nothing of this gateway is left; the gateway is not there."""
        *old_bases, base = self.bases
        *old_prefixes, prefix = self.prefixes
        for old in old_bases:
            clear(gateway_availability(old))
            for report in REPORTS:
                clear(gateway_report(old, report))
        bases = {one.base for one in self._records}
        heads = tuple(f"{old}/" for old in old_prefixes)
        configs = [config for one in self._records for config in one.configs]
        left = {
            head
            for config in (*configs, *self._records.cleared)
            if config.startswith(heads)
            for head in heads
            if config.startswith(head)
        }
        old_bases = [old for old in old_bases if old in bases]
        old_prefixes = [old for old in old_prefixes if f"{old}/" in left]
        self._records.keep_places("base", [*old_bases, base])
        self._records.keep_places("prefix", [*old_prefixes, prefix])
