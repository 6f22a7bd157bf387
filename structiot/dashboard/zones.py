"""In which zone the house is, by a name that knows of summer and winter."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from structiot._kit.zones import zone_of

__all__ = ["offset_min", "system_zone"]

_LINK = Path("/etc/localtime")


def system_zone() -> str | None:
    """Name this computer's zone, as `TZ` or `/etc/localtime` has it; blocks.

    Returns:
        The name, such as `"Europe/Berlin"`; None if it has none.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        with suppress(OSError):
            name = str(_LINK.resolve()).partition("/zoneinfo/")[2]
    zone = zone_of(name)
    return None if zone is None else zone.key.removeprefix("Etc/")


def offset_min(at: datetime) -> int:
    """Give by how many minutes a local time is ahead of UTC."""
    offset = at.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)
