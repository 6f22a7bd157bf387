"""What stands on the topic of an event."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.gateway.entities.states import occurrence_payload
from structiot.model import Event, Occurrence

BELL = Event(key="bell", event_types=("press", "hold"), device_class="doorbell")
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def told(event_type: str, data: Mapping[str, object] | None = None) -> str:
    occurrence = Occurrence(
        key="bell", event_type=event_type, at_utc=AT, data=data or {}
    )
    return occurrence_payload(BELL, occurrence)


def test_an_occurrence_is_told_as_home_assistant_documents_it():
    assert json.loads(told("hold")) == {"event_type": "hold"}
    payload = told("press", {"duration": 0.1})
    assert json.loads(payload) == {"event_type": "press", "duration": 0.1}
    assert ": " not in payload


def test_the_data_of_an_occurrence_are_json():
    data = {"who": "Zo\u00eb", "buttons": [1, {"two": None}], "is_long": True}
    payload = told("press", MappingProxyType(data))
    assert json.loads(payload) == {"event_type": "press", **data}
    assert "Zo\u00eb" in payload


def test_an_event_type_that_the_entity_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(
        UsageError, match=r"^bell has no event 'ring'; it has press, ho"
    ):
        told("ring")


def test_it_says_when_it_was_unless_the_device_does():
    for data, at in (({}, "2026-11-21T12:00:00.000+00:00"), ({"at": 7}, 7)):
        one = Occurrence(key="bell", event_type="hold", at_utc=AT, data=data)
        payload = occurrence_payload(BELL, one, is_timed=True)
        assert json.loads(payload) == {"event_type": "hold", "at": at}


def test_the_data_of_an_occurrence_cannot_say_what_happened():
    with pytest.raises(
        UsageError, match=r"^the data of bell have a member 'event_type"
    ):
        told("press", {"event_type": "hold"})


def circle() -> dict[str, object]:
    circle: dict[str, object] = {}
    circle["round"] = circle
    return circle


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        {"power": math.nan},
        {"power": [math.inf]},
        {"at": AT},
        {"raw": b"\x00"},
        {("a", "b"): 1},
        circle(),
        {"deep": nested(100_000)},
        {"text": "\ud800"},
    ],
    ids=range(8),
)
def test_data_that_are_no_json_are_refused(data: dict[str, object]):
    with pytest.raises(UsageError, match=r"^bell tells "):
        told("press", data)
