"""Time zones by their names."""

from __future__ import annotations

from zoneinfo import ZoneInfo

__all__ = ["zone_of"]


def zone_of(name: str | None) -> ZoneInfo | None:
    """Give the time zone of this name, such as `"Europe/Berlin"`; None if there is none.

    The first time it reads a file: call it in a worker thread.
    """
    try:
        return ZoneInfo(name) if name else None
    # One that there is not is a `KeyError`; a folder and a name with `..` are others.
    except (KeyError, OSError, ValueError):
        return None
