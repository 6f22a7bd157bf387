"""Settings, how a device is doing, its timers and triggers."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from structiot.meross.features.settings import (
    ChildLock,
    Overheating,
    PowerRetention,
    Standby,
    StatusLight,
)
from structiot.meross.features.system import Connections, Firmware, Signal
from structiot.meross.features.timers import (
    Repeat,
    RuleDigest,
    Rules,
    Timer,
    Trigger,
    read_timers,
    read_triggers,
    timer_payload,
    trigger_payload,
)
from structiot.model import UpdateState
from tests.wire.meross.features import (
    NOW,
    about,
    acknowledge,
    command,
    entity,
    keys,
    questions,
    take,
)

DND, LOCK = "System.DNDMode", "Control.PhysicalLock"


def test_do_not_disturb_is_the_status_light():
    it = StatusLight(about(DND))
    assert questions(it) == [("GET", DND, {}, "slow")]
    assert entity(it, "status_light").category == "config"
    assert take(it, DND, {"DNDMode": {"mode": 0}}).states == {"status_light": True}
    assert take(it, DND, {"DNDMode": {"mode": 1}}).states == {"status_light": False}
    off = (DND, {"DNDMode": {"mode": 1}})
    assert command(it, "status_light", False) == [off]
    assert acknowledge(it, "status_light", False).states == {"status_light": False}
    assert take(it, DND, {"DNDMode": {"mode": 7}}).states == {}


def test_child_lock():
    it = ChildLock(about(LOCK))
    assert questions(it) == [("PUSH", LOCK, {}, "slow")]
    pushed = {"lock": [{"channel": 0, "onoff": 1}]}
    assert take(it, LOCK, pushed).states == {"child_lock": True}
    order = (LOCK, {"lock": [{"channel": 0, "onoff": 0}]})
    assert command(it, "child_lock", False) == [order]
    assert acknowledge(it, "child_lock", False).states == {"child_lock": False}


OVER_TEMP, KILLER = "Config.OverTemp", "Config.StandbyKiller"


def test_protection_from_overheating():
    it = Overheating(about(OVER_TEMP))
    assert questions(it) == [("GET", OVER_TEMP, {}, "slow")]
    assert take(it, OVER_TEMP, {"overTemp": {"enable": -1, "type": -1}}).states == {}
    assert it.entities == ()
    told = {"overTemp": {"enable": 1, "type": 2}}
    assert take(it, OVER_TEMP, told).states == {"overheating_protection": True}
    order = (OVER_TEMP, {"overTemp": {"enable": 2, "type": 2}})
    assert command(it, "overheating_protection", False) == [order]
    states = acknowledge(it, "overheating_protection", False).states
    assert states == {"overheating_protection": False}


def test_standby_killer():
    it = Standby(about(KILLER, model="mss305"))
    assert questions(it) == [("GET", KILLER, {"config": [{"channel": 0}]}, "slow")]
    told = {"channel": 0, "power": 2500, "time": 600, "enable": 2, "alert": 1}
    update = take(it, KILLER, {"config": [told]})
    assert update.states == {
        "standby_killer": False,
        "standby_power_w": 2.5,
        "standby_time_s": 600.0,
    }
    for key, value, field in (
        ("standby_killer", True, {"enable": 1}),
        ("standby_power_w", 3.5, {"power": 3500}),
        ("standby_time_s", 60, {"time": 60}),
    ):
        order = (KILLER, {"config": [{**told, **field}]})
        assert command(it, key, value) == [order]
    assert acknowledge(it, "standby_time_s", 60).states["standby_time_s"] == 60.0
    assert take(it, KILLER, {"config": [{"channel": 1}]}).states == {}


def test_power_retention_is_a_number():
    it = PowerRetention(about("Control.PowerRetention"))
    asked = {"powerRetention": [{"channel": 0}]}
    assert questions(it) == [("GET", "Control.PowerRetention", asked, "once")]
    told = {"powerRetention": [{"channel": 0, "state": 2}]}
    update = take(it, "Control.PowerRetention", told)
    assert update.states == {"power_retention": 2}


def test_signal():
    it = Signal(about("System.Runtime"))
    assert questions(it) == [("GET", "System.Runtime", {}, "slow")]
    told = {"runtime": {"signal": 88, "ssid": "x"}}
    assert take(it, "System.Runtime", told).states == {"signal": 88}
    absurd = {"runtime": {"signal": 101}}
    assert take(it, "System.Runtime", absurd).states == {"signal": None}


def test_firmware_and_what_becomes_of_an_upgrade():
    it = Firmware(about("System.Firmware", "Control.Upgrade", firmware="6.3.22"))
    assert keys(it) == ["firmware", "upgrade"]
    assert questions(it) == [("GET", "System.Firmware", {}, "once")]
    assert it.take_digest({}, NOW).states == {
        "firmware": UpdateState(installed="6.3.22")
    }
    it.latest = "6.3.24"
    told = {"firmware": {"version": "6.3.23", "innerIp": "192.0.2.10"}}
    state = UpdateState(installed="6.3.23", latest="6.3.24")
    assert take(it, "System.Firmware", told).states == {"firmware": state}
    for status, what in ((1, "finished"), (2, "failed")):
        pushed = {"upgradeInfo": {"status": status}}
        (one,) = take(it, "Control.Upgrade", pushed).happened
        assert (one.key, one.event_type) == ("upgrade", what)
    order = it.upgrade("http://192.0.2.1/firmware", "00ff")
    expected = {"upgrade": {"md5": "00ff", "url": "http://192.0.2.1/firmware"}}
    assert dict(order.payload) == expected


def test_connections():
    it = Connections(about("System.Debug"))
    assert questions(it) == [("GET", "System.Debug", {}, "once")]
    told = {
        "debug": {
            "system": {"version": "6.3.22", "sysUpTime": "1h2m3s"},
            "network": {"linkStatus": "connected", "wifiDisconnectCount": 3},
            "cloud": {"sysDisconnectCount": 5, "userId": 123456},
        }
    }
    assert take(it, "System.Debug", told).states == {
        "wifi_losses": 3,
        "cloud_losses": 5,
        "uptime": "1h2m3s",
    }


WEEKDAYS = 0x80 | 0b0111110
TIMER_X = {
    "id": "abcdefgh01234567",
    "alias": "Morning",
    "type": 1,
    "enable": 1,
    "channel": 2,
    "createTime": 1700000000,
    "week": WEEKDAYS,
    "time": 390,
    "sunOffset": 0,
    "duration": 0,
    "extend": {"toggle": {"onoff": 0, "lmTime": 0}},
}
MORNING = Timer(
    id="abcdefgh01234567",
    alias="Morning",
    channel=2,
    repeat=Repeat.WEEKLY,
    is_enabled=True,
    weekdays=frozenset(range(5)),
    created_utc=datetime.fromtimestamp(1700000000, UTC),
    at=time(6, 30),
    is_on=False,
)


def test_timers_are_read_and_written():
    answer = {"digest": {"channel": 2, "id": "x", "count": 1}, "timerx": TIMER_X}
    assert read_timers(answer) == (MORNING,)
    assert timer_payload(MORNING) == {"timerx": TIMER_X}
    assert read_timers({"digest": {}, "timerx": {}}) == ()
    legacy = {"timer": [{**TIMER_X, "type": 2, "week": 0x81}]}
    (once,) = read_timers(legacy)
    assert (once.repeat, once.weekdays) == (Repeat.ONCE, frozenset({6}))


TRIGGER_X = {
    "id": "abcdefgh01234567",
    "alias": "",
    "type": 1,
    "enable": 0,
    "channel": 0,
    "createTime": 1700000000,
    "rule": {"week": 0xFF, "duration": 300},
}


def test_triggers_are_read_and_written():
    (trigger,) = read_triggers({"triggerx": TRIGGER_X})
    assert trigger == Trigger(
        id="abcdefgh01234567",
        is_enabled=False,
        created_utc=datetime.fromtimestamp(1700000000, UTC),
        after_s=300,
    )
    assert trigger_payload(trigger) == {"triggerx": TRIGGER_X}
    rule = {
        "_if_": {"toggle": {"onoff": 1}},
        "_then_": {"delay": {"week": 0xFF, "duration": 60}},
        "_do_": {"toggle": {"onoff": 0}},
    }
    (legacy,) = read_triggers({"trigger": [{**TRIGGER_X, "rule": rule}]})
    assert legacy.after_s == 60


def test_which_timers_and_triggers_there_are():
    it = Rules(about("Control.TimerX", "Control.TriggerX", "Digest.TimerX"))
    digest = {"timerx": [{"channel": 1, "id": "x", "count": 4}], "triggerx": []}
    update = it.take_digest(digest, NOW)
    assert update.states == {"timers": 1, "triggers": 0}
    assert it.timers == (RuleDigest(channel=1, id="x", count=4),)
    told = {"digest": [{"channel": 0, "id": "a", "count": 1}, {"id": None}]}
    assert take(it, "Digest.TimerX", told).states == {"timers": 1}
    assert take(it, "Digest.TriggerX", told).states == {"triggers": 1}
    assert it.triggers == (RuleDigest(channel=0, id="a", count=1),)
    assert take(it, "Control.TimerX", {"timerx": TIMER_X}).states == {}


@pytest.mark.parametrize(
    ("is_trigger", "abilities", "namespace", "payload"),
    [
        (False, ("Control.TimerX",), "Control.TimerX", {"timerx": {"id": "x"}}),
        (True, ("Control.TriggerX",), "Control.TriggerX", {"triggerx": {"id": "x"}}),
        (False, ("Control.Timer",), "Control.Timer", {}),
        (True, ("Control.Trigger",), "Control.Trigger", {}),
    ],
)
def test_questions_for_timers_and_triggers(is_trigger, abilities, namespace, payload):
    request = Rules(about(*abilities)).question("x", is_trigger=is_trigger)
    assert request.namespace == f"Appliance.{namespace}"
    assert dict(request.payload) == payload


def test_orders_for_timers_and_triggers():
    it = Rules(about("Control.TimerX", "Control.TriggerX"))
    assert dict(it.order(MORNING).payload) == {"timerx": TIMER_X}
    (trigger,) = read_triggers({"triggerx": TRIGGER_X})
    assert it.order(trigger).namespace == "Appliance.Control.TriggerX"
