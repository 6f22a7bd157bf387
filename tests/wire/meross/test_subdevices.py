"""Sensors, alarms and sprinklers on a hub (reference 4.12 and 12)."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.wire.payloads import items_of
from tests._support.meross_features import HubOfOne, entity

# ------------------------------------------------------- temperature and humidity

AT_S = 1699999950


@pytest.mark.parametrize(
    ("kind", "scale"), [("ms100", 10), ("ms100f", 10), ("ms120", 100), ("ms130", 100)]
)
def test_all_of_a_climate_sensor(kind, scale):
    one = HubOfOne(kind)
    # The limits are ten times as large with all of them.
    item = {
        "online": {"status": 1, "lastActiveTime": AT_S},
        "temperature": {
            "latest": int(21.4 * scale),
            "latestSampleTime": AT_S,
            "max": 500,
            "min": -100,
        },
        "humidity": {"latest": 480, "latestSampleTime": AT_S, "max": 1000, "min": 0},
    }
    states = one.take("Hub.Sensor.All", "all", item).states
    assert states == {"temperature": 21.4, "humidity": 48}


@pytest.mark.parametrize(
    ("kind", "name", "key", "item"),
    [
        ("ms100", "Hub.Sensor.Latest", "latest",
         {"temperature": {"sample": 214, "time": AT_S}, "humidity": {"sample": 480, "time": AT_S}}),
        ("ms100", "Hub.Sensor.TempHum", "tempHum",
         {"latestTemperature": 214, "latestHumidity": 480, "syncedTime": AT_S,
          "sample": [[210, 470, 1, 2]]}),
        ("ms130", "Hub.Sensor.TempHum", "tempHum",
         {"latestTemperature": 214, "latestHumidity": 480, "latestTime": AT_S}),
        ("ms130", "Hub.Sensor.TempHum", "tempHum",
         {"latestTemperature": 2140, "latestHumidity": 480, "latestTime": AT_S}),
    ],
)  # fmt: skip
def test_other_namespaces_of_climate_sensors(kind, name, key, item):
    one = HubOfOne(kind)
    assert one.take(name, key, item).states == {"temperature": 21.4, "humidity": 48}


def test_the_digest_of_climate_sensors():
    one = HubOfOne("ms130")
    sample = {"latestTime": AT_S, "temp": 405, "humi": 512}
    assert one.digest(tempHumi=sample).states == {"temperature": 4.05, "humidity": 51.2}
    item = {"subId": one.id, "channel": 0, "data": {
        "temp": [{"value": 390, "timestamp": AT_S - 60}, {"value": 415, "timestamp": AT_S + 5}],
        "light": [{"value": 120, "timestamp": AT_S + 5}]}}  # fmt: skip
    update = one.take("Control.Sensor.LatestX", "latest", item)
    assert update.states == {"temperature": 4.15, "light": 120}
    assert update.entities_changed
    assert entity(one.sub, "light").unit == "lx"
    one.take(
        "Hub.Sensor.All",
        "all",
        {"temperature": {"latest": 420, "latestSampleTime": AT_S + 9}},
    )
    assert not one.digest(tempHumi=sample).states


@pytest.mark.parametrize("absurd", [99999, -9999, None, "warm", [], {}, True, 10**400])
def test_absurd_samples_are_left_out(absurd):
    one = HubOfOne("ms100")
    item = {"temperature": {"latest": absurd}, "humidity": {"latest": absurd}}
    assert one.take("Hub.Sensor.All", "all", item).states == {}


def test_an_adjustment_is_sent_as_a_difference():
    one = HubOfOne("ms100")
    with pytest.raises(UsageError, match="before"):
        one.tell("temperature_adjustment", 1.0)
    said = one.take("Hub.Sensor.Adjust", "adjust", {"temperature": 5, "humidity": -20})
    assert said.states == {"temperature_adjustment": 0.5, "humidity_adjustment": -2}
    (request,) = one.requests("temperature_adjustment", -1.0)
    assert request.is_relative
    assert request.payload == {"adjust": [{"id": one.id, "temperature": -15}]}
    update = one.acknowledge("temperature_adjustment", -1.0)
    assert update.states == {"temperature_adjustment": -1}
    assert one.requests("temperature_adjustment", -1.0) == []
    assert one.tell("humidity_adjustment", 0) == [
        ("Hub.Sensor.Adjust", {"humidity": 20})
    ]


def test_thresholds():
    one = HubOfOne("ms100")
    item = {"temperature": [[1, 100, 260], [0, -50, 300]], "humidity": [[2, 300, 600]]}
    update = one.take("Hub.Sensor.Alert", "alert", item)
    assert update.entities_changed
    assert update.states == {
        "temperature_alert": False,
        "temperature_alert_enabled": True,
        "temperature_alert_low": 10,
        "temperature_alert_high": 26,
        "temperature_alert_enabled_2": False,
        "temperature_alert_low_2": -5,
        "temperature_alert_high_2": 30,
        "humidity_alert": True,
        "humidity_alert_enabled": True,
        "humidity_alert_low": 30,
        "humidity_alert_high": 60,
    }
    assert {e.key for e in one.sub.entities} >= set(update.states)
    rows = [[1, 120, 260], [0, -50, 300]]
    assert one.tell("temperature_alert_low", 12) == [
        ("Hub.Sensor.Alert", {"temperature": rows})
    ]
    rows = [[1, 100, 260], [1, -50, 300]]
    wanted = [("Hub.Sensor.Alert", {"temperature": rows})]
    assert one.tell("temperature_alert_enabled_2", True) == wanted
    update = one.acknowledge("humidity_alert_enabled", False)
    assert update.states["humidity_alert"] is False
    for nonsense in ([[1, 2]], [[7, 0, 1]], [1], "x", [[1, 0, 10**9]]):
        update = one.take("Hub.Sensor.Alert", "alert", {"temperature": nonsense})
        assert update.states == {}


# -------------------------------------------------------------- doors, leaks, smoke


def test_a_door():
    one = HubOfOne("ms200")
    said = {"doorWindow": {"status": 0, "lmTime": AT_S}}
    assert one.digest(**said).states == {"door": False}
    pushed = {"status": 1, "lmTime": AT_S + 20, "sample": [[1, AT_S + 20]]}
    assert one.take("Hub.Sensor.DoorWindow", "doorWindow", pushed).states == {
        "door": True
    }
    assert one.digest(**said).states == {}
    # An answer that is late.
    assert one.take("Hub.Sensor.All", "all", said).states == {}


def test_a_leak_is_a_state_and_an_event():
    one = HubOfOne("ms405")
    item = {"waterLeak": {"latestWaterLeak": 0, "latestSampleTime": 0}}
    update = one.take("Hub.Sensor.All", "all", item)
    assert (update.states, update.happened) == ({"leak": False}, ())
    pushed = {"latestWaterLeak": 1, "latestSampleTime": AT_S, "syncedTime": AT_S}
    update = one.take("Hub.Sensor.WaterLeak", "waterLeak", pushed)
    assert update.states == {"leak": True}
    assert [(h.key, h.event_type) for h in update.happened] == [("leak_event", "leak")]
    # Said twice, it has happened once.
    assert one.take("Hub.Sensor.WaterLeak", "waterLeak", pushed).happened == ()
    dry = {"latestWaterLeak": 0, "latestSampleTime": AT_S + 9}
    (happened,) = one.take("Hub.Sensor.WaterLeak", "waterLeak", dry).happened
    assert happened.event_type == "dry"
    assert {"leak", "dry"} == set(entity(one.sub, "leak_event").event_types)


@pytest.mark.parametrize(
    ("number", "on", "status", "event"),
    [
        (17, {"fault"}, "temperature_fault", "fault"),
        (18, {"fault"}, "smoke_fault", "fault"),
        (19, {"fault"}, "battery_fault", "fault"),
        (20, {"fault", "muted"}, "temperature_fault_muted", "muted"),
        (21, {"fault", "muted"}, "smoke_fault_muted", "muted"),
        (22, {"fault", "muted"}, "battery_fault_muted", "muted"),
        (23, set(), "self_test", "self_test"),
        (24, {"heat"}, "heat", "heat"),
        (25, {"smoke"}, "smoke", "smoke"),
        (26, {"heat", "muted"}, "heat_muted", "muted"),
        (27, {"smoke", "muted"}, "smoke_muted", "muted"),
    ],
)
def test_what_a_smoke_alarm_says(number, on, status, event):
    one = HubOfOne("gs559a")
    fine = {"smokeAlarm": {"status": 170, "lmtime": AT_S, "interConn": 1}}
    first = one.take("Hub.Sensor.All", "all", fine)
    assert first.states == {
        "smoke": False, "heat": False, "fault": False, "muted": False,
        "smoke_status": "fine", "alarm_group": True,
    }  # fmt: skip
    assert first.happened == ()
    update = one.take("Hub.Sensor.Smoke", "smokeAlarm", {"status": number})
    flags = {k for k in ("smoke", "heat", "fault", "muted") if update.states[k]}
    assert (flags, update.states["smoke_status"]) == (on, status)
    (happened,) = update.happened
    assert (happened.key, happened.event_type) == ("smoke_alarm", event)
    assert event in entity(one.sub, "smoke_alarm").event_types
    assert status in entity(one.sub, "smoke_status").options


@pytest.mark.parametrize(
    ("number", "muted"), [(17, 20), (18, 21), (19, 22), (24, 26), (25, 27)]
)
def test_a_smoke_alarm_is_muted(number, muted):
    one = HubOfOne("gs559")
    with pytest.raises(UsageError, match="nothing to mute"):
        one.tell("mute", None)
    one.take("Hub.Sensor.Smoke", "smokeAlarm", {"status": number})
    assert one.tell("mute", None) == [("Hub.Sensor.Smoke", {"status": muted})]
    assert one.acknowledge("mute", None).states["muted"] is True
    with pytest.raises(UsageError, match="nothing to mute"):
        one.tell("mute", None)


def test_a_smoke_alarm_is_tested_and_grouped():
    one = HubOfOne("gs559")
    assert one.tell("self_test", None) == [("Hub.Sensor.Smoke", {"status": 23})]
    assert one.tell("alarm_group", True) == [("Hub.Sensor.Smoke", {"interConn": 1})]
    assert one.acknowledge("alarm_group", True).states == {"alarm_group": True}
    # A number that nobody knows leaves things as they are.
    assert one.take("Hub.Sensor.Smoke", "smokeAlarm", {"status": 99}).states == {}


# ----------------------------------------------------------------------- sprinklers

WATER = "Control.Water"


def test_a_sprinkler():
    one = HubOfOne("mst100", abilities=("Appliance.Control.Water",))
    (poll,) = one.hub.polls
    assert poll.request.payload == {"control": [{"subId": one.id, "channel": 0}]}
    states = one.digest(mst={"dura": 600, "wflow": 2}).states
    assert states == {"water_flow": False}
    item = {"subId": one.id, "channel": 0, "onoff": 2}
    assert one.take(WATER, "control", item).states == {"water": False}
    assert one.tell("water", True) == [(WATER, {"channel": 0, "onoff": 1})]
    config = {"subId": one.id, "channel": 0, "mstCfg": {"dura": 900}}
    assert one.take("Config.DeviceCfg", "config", config).states == {
        "water_duration": 900
    }
    assert one.tell("water", True) == [(WATER, {"channel": 0, "onoff": 1, "dura": 900})]
    assert one.tell("water", False) == [(WATER, {"channel": 0, "onoff": 2})]
    assert one.acknowledge("water", True).states == {"water": True}
    wanted = [("Config.DeviceCfg", {"channel": 0, "mstCfg": {"dura": 300}})]
    assert one.tell("water_duration", 300) == wanted
    # Acknowledged by a sprinkler, it moves nothing.
    assert one.take("Hub.ToggleX", "togglex", {"onoff": 1}).states == {}


def test_a_sprinkler_of_two_zones():
    one = HubOfOne("mst200", abilities=("Appliance.Control.Water",))
    zones = [{"channel": n, "ts": AT_S, "dura": 60, "wflow": 1 + n} for n in (0, 1)]
    update = one.digest(waDet=zones)
    assert update.states == {"water_flow": True, "water_flow_1": False}
    assert update.entities_changed
    (poll,) = one.hub.polls
    assert [i["channel"] for i in items_of(poll.request.payload, "control")] == [0, 1]
    assert one.tell("water_1", False) == [(WATER, {"channel": 1, "onoff": 2})]
    answer = {"control": [{"subId": one.id, "channel": 1, "onoff": 2}]}
    assert one.acknowledge("water_1", False, answer).states == {"water_1": False}


def test_a_kind_that_nobody_knows_has_its_battery():
    one = HubOfOne("ms999")
    assert [e.key for e in one.sub.entities] == ["battery"]
    with pytest.raises(UsageError, match="takes no commands"):
        one.sub.command("battery", 1, None)
