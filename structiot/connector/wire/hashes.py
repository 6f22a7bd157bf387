"""Hashes by which a platform and we tell whether both know the same devices.

Facts: reference 7 (read and run). The platform keeps what was committed last and
compares nothing itself, so that any algorithm would do; this is that of the original
client, by which its users change over without sending all devices again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

__all__ = ["device_hash", "devices_hash"]


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
    return _sha1(texts)


def devices_hash(hashes: Iterable[str]) -> str:
    """Give the hash of all devices from theirs, in whatever order they come."""
    return _sha1(sorted(hashes))


def _sha1(texts: Iterable[str]) -> str:
    joined = "".join(texts).encode("utf-8", "surrogatepass")
    # A fingerprint, not a proof.
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()
