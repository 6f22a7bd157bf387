"""Timers and triggers that a device carries out by itself. Facts: reference 4.5.

A timer switches at a time of day, a trigger some time after something was switched on.
Devices answer for one of them at a time, by its id; the ids stand in digests. Legacy
devices tell all of theirs at once, and write triggers in another way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from typing import Any, ClassVar, Final

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError
from structiot.meross.features.feature import About, Feature, Request, Update
from structiot.meross.features.figures import label_of, on_off_of, utc_of, whole_of
from structiot.meross.features.requests import order, question
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of, object_of
from structiot.meross.wire.system import ALL
from structiot.model import Entity, Sensor, State

__all__ = [
    "Repeat",
    "Rule",
    "RuleDigest",
    "Rules",
    "Timer",
    "Trigger",
    "check_rule",
    "read_rule_digests",
    "read_timers",
    "read_triggers",
    "rules_of",
    "timer_payload",
    "trigger_payload",
]

TIMER: Final = "Appliance.Control.Timer"
TIMER_X: Final = "Appliance.Control.TimerX"
TRIGGER: Final = "Appliance.Control.Trigger"
TRIGGER_X: Final = "Appliance.Control.TriggerX"
# What tells which there are, with the key under which the digest of all has them.
_TIMERS: Final = "Appliance.Digest.TimerX"
_TRIGGERS: Final = "Appliance.Digest.TriggerX"
_DIGESTS: Final = {_TIMERS: "timerx", _TRIGGERS: "triggerx"}
_MAX_RULES: Final = 128
_A_DAY_S: Final = 86_400
# Bit 7 of the week is always 1; bit 0 is Sunday.
_ALWAYS: Final = 0x80
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)


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
        common, minute = _common_of(item, item), whole_of(item.get("time"), 0, 1439)
        if common is None or minute is None:
            continue
        is_on = on_off_of(object_of(item, "extend", "toggle").get("onoff"))
        at = time(minute // 60, minute % 60)
        timers.append(Timer(**common, at=at, is_on=is_on is not False))
    return tuple(timers)


def read_triggers(payload: Payload) -> tuple[Trigger, ...]:
    """Read the payload of `TriggerX` or `Trigger`; nonsense is left out."""
    triggers = []
    for item in rules_of(payload, "triggerx", "trigger"):
        rule = object_of(item, "rule", "_then_", "delay") or object_of(item, "rule")
        common = _common_of(item, rule)
        after_s = whole_of(rule.get("duration"), 0, _A_DAY_S)
        if common is not None and after_s is not None:
            triggers.append(Trigger(**common, after_s=after_s))
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


def check_rule(rule: Timer | Trigger) -> None:
    """See that a device could carry a timer or trigger out.

    Raises:
        UsageError: It could not.
    """
    check_argument("rule", rule, Timer, Trigger)
    check_argument("id", rule.id, str)
    check_argument("alias", rule.alias, str)
    check_argument("repeat", rule.repeat, Repeat)
    check_argument("created_utc", rule.created_utc, datetime, None)
    if not _ID.fullmatch(rule.id):
        message = f"the id of a timer is 1 to 32 letters and digits, not {rule.id!r}"
        raise UsageError(message)
    check_argument("channel", rule.channel, int)
    if rule.channel < 0:
        raise UsageError(f"a channel is a number from 0, not {rule.channel!r}")
    days = rule.weekdays
    check_argument("weekdays", days, frozenset, set)
    if not days <= set(range(7)):
        raise UsageError(f"weekdays are 0 (Monday) to 6, not {sorted(days, key=str)}")
    if isinstance(rule, Timer):
        check_argument("at", rule.at, time)
        return
    check_argument("after_s", rule.after_s, int)
    if not 1 <= rule.after_s <= _A_DAY_S:
        raise UsageError(f"after_s is 1 to {_A_DAY_S}, not {rule.after_s}")


def rules_of(payload: Mapping[str, object], *keys: str) -> Sequence[Item]:
    """Give the items under any of the keys, as many as a device may have."""
    return [item for key in keys for item in items_of(payload, key)][:_MAX_RULES]


class Rules(Feature):
    """How many timers and triggers there are.

    Attributes:
        timers: Those of the digest.
        triggers: Those of the digest.
    """

    name = "rules"
    abilities: ClassVar[tuple[str, ...]] = (TIMER_X, TRIGGER_X, TIMER, TRIGGER)
    namespaces: ClassVar[frozenset[str]] = frozenset({*abilities, *_DIGESTS})
    fixed: ClassVar[tuple[Entity, ...]] = tuple(
        Sensor(
            key=key,
            name=key.capitalize(),
            category="diagnostic",
            is_enabled=False,
            icon="mdi:timer-outline",
            state_class="measurement",
            decimals=0,
        )
        for key in ("timers", "triggers")
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.timers: tuple[RuleDigest, ...] = ()
        self.triggers: tuple[RuleDigest, ...] = ()

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """Read which there are."""
        states: dict[str, State | None] = {}
        if "timerx" in digest or "timer" in digest:
            self.timers = read_rule_digests(rules_of(digest, "timerx", "timer"))
            states["timers"] = len(self.timers)
        if "triggerx" in digest or "trigger" in digest:
            self.triggers = read_rule_digests(rules_of(digest, "triggerx", "trigger"))
            states["triggers"] = len(self.triggers)
        return Update(states=states)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read which there are; what one of them is, `read_timers` tells who asked."""
        if namespace not in _DIGESTS:
            return Update()
        return self.take_digest({_DIGESTS[namespace]: payload.get("digest")}, at_utc)

    def which(self, *, is_trigger: bool = False) -> Request | None:
        """Ask which there are; None where `question` tells all."""
        control, digest = (TRIGGER_X, _TRIGGERS) if is_trigger else (TIMER_X, _TIMERS)
        if control not in self.about.abilities:
            return None
        return question(digest if digest in self.about.abilities else ALL)

    def questions(self, *, is_trigger: bool = False) -> list[Request]:
        """Ask for all that there are, as far as that is known."""
        if self.which(is_trigger=is_trigger) is None:
            return [self.question("", is_trigger=is_trigger)]
        known = self.triggers if is_trigger else self.timers
        return [self.question(one.id, is_trigger=is_trigger) for one in known]

    def question(self, rule_id: str, *, is_trigger: bool = False) -> Request:
        """Give the question for one timer or trigger; a legacy device tells all."""
        namespace = TRIGGER_X if is_trigger else TIMER_X
        if namespace in self.about.abilities:
            return question(namespace, {"id": rule_id})
        return question(TRIGGER if is_trigger else TIMER)

    @staticmethod
    def order(rule: Timer | Trigger) -> Request:
        """Give the order that sets a timer or trigger, by its id.

        Raises:
            UsageError: It is none, or no device could carry it out.
        """
        check_rule(rule)
        if isinstance(rule, Timer):
            return order(TIMER_X, timer_payload(rule)[key_of(TIMER_X)])
        return order(TRIGGER_X, trigger_payload(rule)[key_of(TRIGGER_X)])

    @staticmethod
    def removal(rule: Timer | Trigger) -> Request:
        """Give the order that deletes a timer or trigger, by its id.

        Raises:
            UsageError: It is none.
        """
        check_rule(rule)
        namespace = TIMER_X if isinstance(rule, Timer) else TRIGGER_X
        return question(namespace, {"id": rule.id}, method=Method.DELETE)


def _common_of(item: Item, days: Item) -> dict[str, Any] | None:
    """Read what is in each `Rule`; None for one that nobody can ask for."""
    rule_id = label_of(item.get("id"))
    if rule_id is None:
        return None
    is_once = whole_of(item.get("type"), 2, 2) is not None
    week = whole_of(days.get("week"), 0, 255) or 0
    return {
        "id": rule_id,
        "channel": channel_of(item),
        "alias": label_of(item.get("alias")) or "",
        "repeat": Repeat.ONCE if is_once else Repeat.WEEKLY,
        "is_enabled": on_off_of(item.get("enable")) is True,
        "weekdays": frozenset(day for day in range(7) if week >> (day + 1) % 7 & 1),
        "created_utc": utc_of(item.get("createTime")),
    }


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
