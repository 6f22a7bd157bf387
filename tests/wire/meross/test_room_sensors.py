"""Sensors of devices on the Wi-Fi (reference 4.11 and 12)."""

from __future__ import annotations

import pytest

from structiot.meross.features.room_sensors import (
    LATEST_X,
    PresenceSettings,
    RoomSensors,
)
from tests._support.meross_features import AT, about, acknowledge, entity, tell

LATEST = "Appliance.Control.Sensor.Latest"
HISTORY = "Appliance.Control.Sensor.History"
CONFIG = "Appliance.Control.Presence.Config"
AT_S = 1699999950


@pytest.fixture
def presence():
    return RoomSensors(about("ms600", LATEST_X, CONFIG))


def asked(feature):
    return [(p.request.namespace, p.request.payload, p.pace) for p in feature.polls]


def test_a_presence_sensor_is_asked_with_channel_and_names(presence):
    question = {"latest": [{"channel": 0, "data": ["presence", "light"]}]}
    assert asked(presence) == [(LATEST_X, question, "live")]
    other = RoomSensors(about("mts300", LATEST_X))
    question = {"latest": [{"channel": 0, "data": ["temp", "humi"]}]}
    assert asked(other) == [(LATEST_X, question, "live")]


@pytest.mark.parametrize(("value", "present"), [(1, False), (2, True), (3, True)])
def test_presence_distance_and_light(presence, value, present):
    data = {
        "presence": [{"value": value, "distance": 1250, "times": 0, "timestamp": AT_S}],
        "light": [{"value": 36, "timestamp": AT_S}],
    }
    update = presence.take(LATEST_X, {"latest": [{"channel": 0, "data": data}]}, AT)
    assert update.states == {
        "presence": present,
        "presence_distance": 1.25,
        "light": 36,
    }
    assert not update.entities_changed
    assert {e.key for e in presence.entities} == set(update.states)
    # In the dark, light may be missing for long, and an object may stand for a list.
    one = {"presence": {"value": 1, "timestamp": AT_S + 1}}
    update = presence.take(LATEST_X, {"latest": {"data": one}}, AT)
    assert update.states == {"presence": False}


def test_of_samples_the_newest_counts(presence):
    def told(*samples):
        found = [{"value": value, "timestamp": time} for value, time in samples]
        payload = {"latest": [{"channel": 0, "data": {"light": found}}]}
        return presence.take(LATEST_X, payload, AT).states

    assert told((10, AT_S), (30, AT_S + 20), (20, AT_S + 10)) == {"light": 30}
    assert told((99, AT_S)) == {}
    assert told((5, AT_S + 20)) == {"light": 5}
    # What makes no sense is no sample.
    assert told((-1, AT_S + 60)) == {}
    assert told((6, AT_S + 30)) == {"light": 6}


def test_the_history_of_the_same_is_read_as_well(presence):
    found = [{"value": 30, "timestamp": AT_S}, {"value": 20, "timestamp": AT_S - 60}]
    payload = {"history": [{"channel": 0, "data": {"light": found}}]}
    update = presence.take("Appliance.Control.Sensor.HistoryX", payload, AT)
    assert update.states == {"light": 30}


def test_temperature_and_humidity_exist_once_they_are_told(presence):
    data = {"temp": [{"value": 2134}], "humi": [{"value": 481}]}
    update = presence.take(LATEST_X, {"latest": [{"channel": 1, "data": data}]}, AT)
    assert update.states == {"temperature_1": 21.34, "humidity_1": 48.1}
    assert update.entities_changed
    assert entity(presence, "temperature_1").name == "Temperature 1"


def test_latest_and_history():
    feature = RoomSensors(about("mts200", LATEST, HISTORY))
    assert asked(feature) == [(LATEST, {"latest": [{"channel": 0}]}, "live")]
    item = {"channel": 0, "capacity": 2, "value": [{"humi": 596, "timestamp": AT_S}]}
    assert feature.take(LATEST, {"latest": [item]}, AT).states == {"humidity": 59.6}
    values = [{"timestamp": AT_S - 60, "temp": 2050}, {"timestamp": AT_S, "temp": 2100}]
    item = {"channel": 0, "capacity": 1, "value": values}
    assert feature.take(HISTORY, {"history": [item]}, AT).states == {"temperature": 21}
    only = RoomSensors(about("x", HISTORY))
    assert asked(only) == [(HISTORY, {"history": [{"channel": 0}]}, "slow")]


def test_what_subdevices_of_a_hub_tell_is_not_its_own():
    feature = RoomSensors(about("msh450", LATEST_X, "Appliance.Hub.Online"))
    assert asked(feature) == []
    data = {"temp": [{"value": 2134}]}
    payload = {"latest": [{"subId": "A1", "channel": 0, "data": data}]}
    assert feature.take(LATEST_X, payload, AT).states == {}


def test_settings_of_a_presence_sensor():
    feature = PresenceSettings(about("ms600", CONFIG))
    assert asked(feature) == [(CONFIG, {"config": [{"channel": 0}]}, "slow")]
    assert feature.entities == ()
    item = {
        "channel": 0, "mode": {"workMode": 1, "testMode": 2}, "noBodyTime": {"time": 15},
        "distance": {"value": 8100}, "sensitivity": {"level": 2},
        "mthx": {"mth1": 120, "mth2": 72, "mth3": 72},
    }  # fmt: skip
    update = feature.take(CONFIG, {"config": [item]}, AT)
    assert update.entities_changed
    assert update.states == {
        "presence_work_mode": "mode_1", "presence_timeout": 15, "presence_range": 8.1,
        "presence_sensitivity": 2, "presence_threshold_1": 120,
        "presence_threshold_2": 72, "presence_threshold_3": 72,
    }  # fmt: skip
    wanted = {"config": [{"channel": 0, "distance": {"value": 3500}}]}
    assert tell(feature, "presence_range", 3.5) == [(CONFIG, wanted)]
    wanted = {"config": [{"channel": 0, "mthx": {"mth2": 80}}]}
    assert tell(feature, "presence_threshold_2", 80) == [(CONFIG, wanted)]
    assert acknowledge(feature, "presence_timeout", 30).states == {
        "presence_timeout": 30
    }
