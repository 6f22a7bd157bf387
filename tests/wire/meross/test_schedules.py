"""Weekly schedules of thermostats and valves (reference 4.10 and 4.12)."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.features.schedules import (
    SCHEDULE,
    SCHEDULE_B,
    VALVE_SCHEDULE,
    VALVE_SCHEDULE_B,
    Schedule,
    Slot,
    ask_schedule,
    read_schedules,
    write_schedule,
)
from structiot.meross.features.thermostat import MODE
from structiot.meross.wire.payloads import items_of

DAY = [[390, 160], [120, 220], [930, 160]]


@pytest.mark.parametrize(
    ("namespace", "scale"),
    [(SCHEDULE, 10), (SCHEDULE_B, 100), (VALVE_SCHEDULE, 10), (VALVE_SCHEDULE_B, 10)],
)
def test_schedules_go_there_and_back(namespace, scale):
    slots = tuple(Slot(minutes=m, target_c=t / 10) for m, t in DAY)
    sub_id = None if "Thermostat" in namespace else "01000A0B"
    schedule = Schedule(days={"mon": slots, "sun": slots}, subdevice=sub_id, section=8)
    request = write_schedule(namespace, schedule)
    key = request.namespace.rpartition(".")[2]
    key = "scheduleB" if namespace == SCHEDULE_B else "schedule"
    (item,) = items_of(request.payload, key)
    assert item["mon"] == [[m, t * scale // 10] for m, t in DAY]
    assert item.get("id") == sub_id
    assert read_schedules(namespace, request.payload) == (schedule,)
    assert ask_schedule(namespace, subdevice=sub_id).payload == {
        key: [{"channel": 0} if sub_id is None else {"id": sub_id}]
    }


def test_a_schedule_with_two_targets():
    payload = {
        "scheduleB": [{"channel": 0, "section": 12, "mon": [[1440, 2000, 2600]]}]
    }
    (schedule,) = read_schedules(SCHEDULE_B, payload)
    assert schedule.days["mon"] == (Slot(minutes=1440, target_c=20, cool_target_c=26),)
    assert write_schedule(SCHEDULE_B, schedule).payload == payload


def test_a_day_has_1440_minutes():
    short = Schedule(days={"mon": (Slot(minutes=1439, target_c=20),)})
    with pytest.raises(UsageError, match="1439 minutes"):
        write_schedule(SCHEDULE, short)
    with pytest.raises(UsageError, match="no day"):
        write_schedule(SCHEDULE, Schedule(days={"noday": ()}))
    halves = (Slot(minutes=720, target_c=20),) * 2
    with pytest.raises(UsageError, match="2 slots"):
        write_schedule(SCHEDULE, Schedule(days={"mon": halves}, section=1))
    with pytest.raises(UsageError, match="no schedules"):
        write_schedule(MODE, short)
    for day in ([[1439, 200]], [[-1, 200], [1441, 200]], [[1440]], "x", [[1440, 9999]]):
        (schedule,) = read_schedules(SCHEDULE, {"schedule": [{"mon": day}]})
        assert schedule.days == {}
    assert read_schedules(MODE, {"mode": [{}]}) == ()
