"""Times as people read them, by the house's clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from structiot._kit.zones import zone_of
from structiot.dashboard.views import PageView

__all__ = ["ago_text", "duration_text", "house_zone", "size_text", "time_text"]

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400


def ago_text(at_s: float, now_s: float) -> str:
    """Say how long ago something was, in the largest unit: `3 min ago`.

    Args:
        at_s: When it was, in seconds of the epoch.
        now_s: The time, alike.
    """
    passed = max(0.0, now_s - at_s)
    if passed < _MINUTE_S:
        return f"{passed:.0f} s ago"
    if passed < _HOUR_S:
        return f"{passed // _MINUTE_S:.0f} min ago"
    if passed < _DAY_S:
        return f"{passed // _HOUR_S:.0f} h ago"
    return f"{passed // _DAY_S:.0f} d ago"


def duration_text(length_s: float) -> str:
    """Write a length of time in its two largest units: `4 h 12 min`."""
    seconds = round(length_s)
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    minutes = round(length_s / _MINUTE_S)
    days, minutes = divmod(minutes, _DAY_S // _MINUTE_S)
    hours, minutes = divmod(minutes, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2])


def house_zone(page: PageView) -> tzinfo:
    """Give the house's zone; by its present offset where it has no name with rules."""
    return zone_of(page.zone) or timezone(timedelta(minutes=page.zone_offset_min))


def time_text(at_utc: datetime, page: PageView) -> str:
    """Write a time by the house's clock, with the day unless it is today's."""
    zone = house_zone(page)
    at, now = at_utc.astimezone(zone), page.now_utc.astimezone(zone)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%Y-%m-%d %H:%M:%S}"


def size_text(size_bytes: float) -> str:
    """Write a size: `512 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}" if unit != "B" else f"{size_bytes:.0f} B"
        size_bytes /= 1000
    return f"{size_bytes:.3g} GB"
