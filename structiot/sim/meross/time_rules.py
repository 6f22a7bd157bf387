"""The time zone of a device: its offsets from UTC, and from when they hold.

A device has no database of time zones: it is told these rules when it is set up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, TypeAlias

from structiot._kit.json_text import integer_of
from structiot._kit.zones import zone_of
from structiot.errors import UsageError

__all__ = ["TimeRule", "given_rules", "offset_at", "rules_of", "zone_named"]

TimeRule: TypeAlias = tuple[int, int, int]
"""Seconds since 1970 from when it holds, offset in seconds, 1 in summer."""

_DAY_S: Final = 86_400
_DAYS_BEFORE: Final = 365
_DAYS_AFTER: Final = 3 * 365
_MOST: Final = 64


def zone_named(name: str) -> tzinfo:
    """Give a time zone; the first time its file is read.

    Raises:
        UsageError: There is none of this name.
    """
    if name in {"", "UTC"}:
        return UTC
    if (zone := zone_of(name)) is None:
        raise UsageError(f"no time zone {name!r} on this computer")
    return zone


def rules_of(zone: tzinfo, now_s: float) -> list[TimeRule]:
    """Give the rules of a time zone from a year ago for some years."""
    if zone is UTC:
        return [(0, 0, 0)]
    begin_s = (int(now_s) // _DAY_S - _DAYS_BEFORE) * _DAY_S
    rules: list[TimeRule] = []
    for day in range(_DAYS_BEFORE + _DAYS_AFTER):
        day_s = begin_s + day * _DAY_S
        rule = _rule_at(zone, day_s)
        if not rules:
            rules.append(rule)
        elif rule[1:] != rules[-1][1:]:
            rules.append(_begin_of(zone, day_s - _DAY_S, day_s))
    return rules


def offset_at(rules: Iterable[TimeRule], at_s: float) -> int:
    """Give the offset that holds at an instant; 0 before the first rule."""
    return next((r[1] for r in reversed([*rules]) if r[0] <= at_s), 0)


def given_rules(value: object) -> list[TimeRule]:
    """Read the rules that a device is told; what is none is left out."""
    rules: list[TimeRule] = []
    for row in value[:_MOST] if isinstance(value, list) else []:
        numbers = [integer_of(one) for one in row] if isinstance(row, list) else []
        match numbers:
            case [int(start_s), int(offset_s), int(summer)] if abs(offset_s) < _DAY_S:
                rules.append((start_s, offset_s, summer))
    return sorted(rules)


def _rule_at(zone: tzinfo, at_s: int) -> TimeRule:
    local = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    offset = local.utcoffset() or timedelta(0)
    return at_s, int(offset.total_seconds()), int(bool(local.dst()))


def _begin_of(zone: tzinfo, before_s: int, after_s: int) -> TimeRule:
    """Find the second from which the later of two rules holds."""
    later = _rule_at(zone, after_s)[1:]
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _rule_at(zone, middle_s)[1:] == later:
            after_s = middle_s
        else:
            before_s = middle_s
    return _rule_at(zone, after_s)
