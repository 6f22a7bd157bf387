"""Hashes by which a platform and we tell whether both know the same devices.

Facts: reference 7 (read and run). The platform keeps what was committed last and
compares nothing itself, so that any algorithm would do; this is that of the original
client, by which its users change over without sending all devices again.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["DeviceHashes", "device_hash", "text_hash"]


def device_hash(
    device_id: str, device_type: str, name: str, tags: Mapping[str, str]
) -> str:
    """Give the hash of one device, 40 hexadecimal digits.

    Nothing stands between the texts: a device `a` of type `bc` has the hash of a device
    `ab` of type `c`. The order of the tags matters.
    """
    texts = [device_id, device_type, name]
    for pair in tags.items():
        texts += pair
    return text_hash(texts)


def text_hash(texts: Iterable[str]) -> str:
    """Give the hash of texts with nothing between them, 40 hexadecimal digits."""
    joined = "".join(texts).encode("utf-8", "surrogatepass")
    # A fingerprint, not a proof.
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


class DeviceHashes:
    """The hashes of devices by id, and the hash of all of them.

    They change one by one: whoever adds a thousand hashes each once, and what is left to
    do for all is to join what is in order already.

    Args:
        hashes: Those of the first devices.
    """

    def __init__(self, hashes: Mapping[str, str] | None = None) -> None:
        self._by_id: dict[str, str] = dict(hashes or {})
        self._in_order: list[str] = sorted(self._by_id.values())

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def put(self, device_id: str, digest: str) -> None:
        """Add a device, or change its hash."""
        self.discard(device_id)
        self._by_id[device_id] = digest
        insort(self._in_order, digest)

    def discard(self, device_id: str) -> None:
        """Take a device away, if there is one."""
        digest = self._by_id.pop(device_id, None)
        if digest is not None:
            del self._in_order[bisect_left(self._in_order, digest)]

    def digest(self) -> str:
        """Give the hash of all, in whatever order they came."""
        return text_hash(self._in_order)
