"""Timers and triggers that a device carries out by itself. Facts: reference 4.5.

A timer switches at a time of day, a trigger some time after something was switched on.
Devices answer for one of them at a time, by its id; the ids stand in digests. Legacy
devices tell all of theirs at once, and write triggers in another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from typing import Final

from structiot.meross.features.figures import label_of, on_off_of, utc_of, whole_of
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, object_of

__all__ = [
    "Repeat",
    "Rule",
    "RuleDigest",
    "Timer",
    "Trigger",
    "read_rule_digests",
    "read_timers",
    "read_triggers",
    "rules_of",
    "timer_payload",
    "trigger_payload",
]

_MAX_RULES: Final = 128
_A_DAY_MIN: Final = 24 * 60
_A_DAY_S: Final = 86_400
# Bit 7 of the week is always 1; bit 0 is Sunday.
_ALWAYS: Final = 0x80


class Repeat(IntEnum):
    """When a timer or trigger applies."""

    WEEKLY = 1
    ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What timers and triggers have in common.

    Attributes:
        id: 16 characters.
        channel: Whom it switches.
        alias: What its user calls it.
        repeat: Whether every week or once.
        is_enabled: Whether it applies.
        weekdays: On which days; 0 is Monday, as in `datetime.weekday`.
        created_utc: When it was made.
    """

    id: str
    channel: int = 0
    alias: str = ""
    repeat: Repeat = Repeat.WEEKLY
    is_enabled: bool = True
    weekdays: frozenset[int] = frozenset(range(7))
    created_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer(Rule):
    """Switches at a time of day.

    Attributes:
        at: When, by the device's clock.
        is_on: Whether it switches on.
    """

    at: time
    is_on: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Rule):
    """Switches off some time after something was switched on.

    Attributes:
        after_s: How long after, in seconds.
    """

    after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDigest:
    """That there is a timer or trigger.

    Attributes:
        channel: Whom it switches.
        id: What to ask for.
        count: Increases with each change.
    """

    channel: int
    id: str
    count: int = 0


def read_rule_digests(items: Sequence[Item]) -> tuple[RuleDigest, ...]:
    """Read items of `Digest.TimerX`, `Digest.TriggerX` or of the digest of all."""
    found = []
    for item in items[:_MAX_RULES]:
        rule_id = label_of(item.get("id"))
        if rule_id is not None:
            count = whole_of(item.get("count"), 0, 0xFFFF_FFFF) or 0
            found.append(RuleDigest(channel=channel_of(item), id=rule_id, count=count))
    return tuple(found)


def read_timers(payload: Payload) -> tuple[Timer, ...]:
    """Read the payload of `TimerX` or `Timer`; what makes no sense is left out."""
    timers = []
    for item in rules_of(payload, "timerx", "timer"):
        rule_id = label_of(item.get("id"))
        minute = whole_of(item.get("time"), 0, _A_DAY_MIN - 1)
        if rule_id is None or minute is None:
            continue
        is_on = on_off_of(object_of(item, "extend", "toggle").get("onoff"))
        timers.append(
            Timer(
                id=rule_id,
                channel=channel_of(item),
                alias=label_of(item.get("alias")) or "",
                repeat=_repeat_of(item),
                is_enabled=on_off_of(item.get("enable")) is True,
                weekdays=_weekdays_of(item.get("week")),
                created_utc=utc_of(item.get("createTime")),
                at=time(minute // 60, minute % 60),
                is_on=is_on is not False,
            )
        )
    return tuple(timers)


def read_triggers(payload: Payload) -> tuple[Trigger, ...]:
    """Read the payload of `TriggerX` or `Trigger`; nonsense is left out."""
    triggers = []
    for item in rules_of(payload, "triggerx", "trigger"):
        rule = object_of(item, "rule", "_then_", "delay") or object_of(item, "rule")
        rule_id = label_of(item.get("id"))
        after_s = whole_of(rule.get("duration"), 0, _A_DAY_S)
        if rule_id is None or after_s is None:
            continue
        triggers.append(
            Trigger(
                id=rule_id,
                channel=channel_of(item),
                alias=label_of(item.get("alias")) or "",
                repeat=_repeat_of(item),
                is_enabled=on_off_of(item.get("enable")) is True,
                weekdays=_weekdays_of(rule.get("week")),
                created_utc=utc_of(item.get("createTime")),
                after_s=after_s,
            )
        )
    return tuple(triggers)


def timer_payload(timer: Timer) -> Payload:
    """Write the payload that sets a timer by `TimerX`."""
    return {
        "timerx": {
            **_common(timer),
            "week": _week(timer.weekdays),
            "time": timer.at.hour * 60 + timer.at.minute,
            "sunOffset": 0,
            "duration": 0,
            "extend": {"toggle": {"onoff": int(timer.is_on), "lmTime": 0}},
        }
    }


def trigger_payload(trigger: Trigger) -> Payload:
    """Write the payload that sets a trigger by `TriggerX`."""
    rule = {"week": _week(trigger.weekdays), "duration": trigger.after_s}
    return {"triggerx": {**_common(trigger), "rule": rule}}


def rules_of(payload: Mapping[str, object], *keys: str) -> Sequence[Item]:
    """Give the items under any of the keys, as many as a device may have."""
    return [item for key in keys for item in items_of(payload, key)][:_MAX_RULES]


def _repeat_of(item: Item) -> Repeat:
    return Repeat.ONCE if whole_of(item.get("type"), 2, 2) else Repeat.WEEKLY


def _weekdays_of(value: object) -> frozenset[int]:
    week = whole_of(value, 0, 255) or 0
    return frozenset(day for day in range(7) if week >> (day + 1) % 7 & 1)


def _week(weekdays: frozenset[int]) -> int:
    return _ALWAYS | sum(1 << (day + 1) % 7 for day in weekdays)


def _common(rule: Rule) -> dict[str, object]:
    created = rule.created_utc
    return {
        "id": rule.id,
        "alias": rule.alias,
        "type": int(rule.repeat),
        "enable": int(rule.is_enabled),
        "channel": rule.channel,
        "createTime": 0 if created is None else int(created.timestamp()),
    }
