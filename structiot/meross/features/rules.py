"""That a device has timers and triggers. Facts: reference 4.5."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.feature import About, Feature, Request, Update
from structiot.meross.features.timers import (
    RuleDigest,
    Timer,
    Trigger,
    read_rule_digests,
    rules_of,
    timer_payload,
    trigger_payload,
)
from structiot.meross.wire.envelope import Method, Payload
from structiot.model import Entity, Sensor, State

__all__ = ["Rules"]

DIGEST_TIMER_X: Final = "Appliance.Digest.TimerX"
DIGEST_TRIGGER_X: Final = "Appliance.Digest.TriggerX"
TIMER: Final = "Appliance.Control.Timer"
TIMER_X: Final = "Appliance.Control.TimerX"
TRIGGER: Final = "Appliance.Control.Trigger"
TRIGGER_X: Final = "Appliance.Control.TriggerX"


class Rules(Feature):
    """How many timers and triggers there are.

    Attributes:
        timers: Those of the digest.
        triggers: Those of the digest.
    """

    name = "rules"
    abilities: ClassVar[tuple[str, ...]] = (TIMER_X, TRIGGER_X, TIMER, TRIGGER)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {*abilities, DIGEST_TIMER_X, DIGEST_TRIGGER_X}
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.timers: tuple[RuleDigest, ...] = ()
        self.triggers: tuple[RuleDigest, ...] = ()

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe two sensors for those who want to know."""
        return tuple(
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
        if namespace == DIGEST_TIMER_X:
            return self.take_digest({"timerx": payload.get("digest")}, at_utc)
        if namespace == DIGEST_TRIGGER_X:
            return self.take_digest({"triggerx": payload.get("digest")}, at_utc)
        return Update()

    def question(self, rule_id: str, *, is_trigger: bool = False) -> Request:
        """Give the question for one timer or trigger; a legacy device tells all."""
        namespace = TRIGGER_X if is_trigger else TIMER_X
        key = "triggerx" if is_trigger else "timerx"
        if namespace in self.about.abilities:
            payload: Payload = {key: {"id": rule_id}}
            return Request(method=Method.GET, namespace=namespace, payload=payload)
        legacy = TRIGGER if is_trigger else TIMER
        return Request(method=Method.GET, namespace=legacy)

    @staticmethod
    def order(rule: Timer | Trigger) -> Request:
        """Give the order that sets a timer or trigger, by its id."""
        if isinstance(rule, Timer):
            payload, namespace = timer_payload(rule), TIMER_X
        else:
            payload, namespace = trigger_payload(rule), TRIGGER_X
        return Request(method=Method.SET, namespace=namespace, payload=payload)
