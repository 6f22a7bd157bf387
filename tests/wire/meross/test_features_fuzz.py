"""Whatever a device says under any namespace: nothing raises, and nothing grows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._device.commands import check_command
from structiot.errors import UsageError
from structiot.meross.features.hub import Hub
from structiot.meross.features.hub_roster import MAX_SUBDEVICES
from structiot.meross.features.room_sensors import (
    LATEST_X,
    PresenceSettings,
    RoomSensors,
)
from structiot.meross.features.schedules import VALVE_SCHEDULE, read_schedules
from structiot.meross.features.thermostat import (
    MODE,
    MODE_B,
    SUMMER_MODE,
    Thermostat,
    ThermostatB,
)
from structiot.meross.features.thermostat_c import MODE_C, ThermostatC
from structiot.meross.features.thermostat_settings import ThermostatSettings
from structiot.meross.wire.device_list import read_subdevices
from structiot.meross.wire.payloads import key_of
from structiot.model import (
    Button,
    Climate,
    ClimateState,
    Number,
    Select,
    Switch,
)
from tests._support.meross_features import AT, about

KINDS = ["mts100v3", "ms100", "ms130", "ms200", "ms405", "gs559", "mst200", "ms999"]
PRESENCE = "Appliance.Control.Presence.Config"
SETTINGS = tuple(ThermostatSettings.namespaces)
NAMES = """channel onoff mode state working work targetTemp currentTemp heatTemp min max value
    status detect temperature humidity latest latestSampleTime custom room currentSet
    togglex online lastActiveTime doorWindow smokeAlarm waterLeak mst waDet wflow dura
    tempHumi temp humi latestTime data presence light timestamp subdevice hub interConn
    fan fMode speed more hStatus heat cold mon ctlMin ctlMax down duration mthx mth1
    code deviceType subDeviceId mts100v3 ms100 sample lmTime warning mstCfg alert"""
MEMBERS = st.sampled_from(NAMES.split())
IDS = st.one_of(
    st.sampled_from([f"{n:04}" for n in range(len(KINDS))]), st.text(max_size=40)
)
NUMBERS = st.one_of(
    st.integers(-3, 400),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.sampled_from([1699999950, 4294967295, 2**63]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8))
ITEMS = st.dictionaries(MEMBERS, LEAVES | st.lists(LEAVES, max_size=3), max_size=6)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(MEMBERS, inner, max_size=5)
        | st.builds(lambda i, s, v: {"id": i, "subId": s, **v}, IDS, IDS, ITEMS)
    ),
    max_leaves=25,
)


def features():
    hub = Hub(about("msh300", *Hub.namespaces))
    listed = [
        {"subDeviceId": f"{n:04}", "subDeviceType": kind}
        for n, kind in enumerate(KINDS)
    ]
    hub.take_cloud(read_subdevices(listed), AT)
    return [
        Thermostat(about("mts200", MODE, SUMMER_MODE)),
        ThermostatB(about("mts960", MODE_B, *SETTINGS)),
        ThermostatC(about("mts300", MODE_C, *SETTINGS)),
        ThermostatSettings(about("mts200", *SETTINGS)),
        ThermostatSettings(about("mts960", MODE_B, *SETTINGS)),
        RoomSensors(about("ms600", *RoomSensors.namespaces, PRESENCE)),
        PresenceSettings(about("ms600", PRESENCE)),
        hub,
    ]


NAMESPACES = sorted(
    {name for f in features() for name in f.namespaces} | {LATEST_X, "X"}
)


def commands(entity):
    match entity:
        case Climate():
            yield from (ClimateState(mode=mode) for mode in entity.modes)
            yield from (ClimateState(preset=preset) for preset in entity.presets)
            yield ClimateState(target_c=entity.min_target_c)
        case Number():
            yield entity.minimum
        case Select():
            yield entity.options[-1]
        case Switch():
            yield False
        case Button():
            yield None


def check_state(state):
    values = [state] if not isinstance(state, ClimateState) else [
        state.target_c, state.current_c, state.humidity_percent]  # fmt: skip
    for value in values:
        assert not isinstance(value, int | float) or math.isfinite(value)
        assert not isinstance(value, int | float) or abs(value) <= 250_000
        assert not isinstance(value, str) or len(value) < 64


def drive(owner):
    """Give all commands that there are; whatever comes out is text or a request."""
    keys = [e.key for e in owner.entities]
    assert len(keys) == len(set(keys))
    assert len(keys) < 600
    for entity in owner.entities:
        for command in commands(entity):
            check_command(owner.entities, entity.key, command, device="x")
            try:
                requests = owner.command(entity.key, command, AT)
            except UsageError:
                continue
            for request in requests:
                assert key_of(request.namespace) in request.payload


@pytest.mark.parametrize(
    "which", range(len(features())), ids=lambda n: type(features()[n]).__name__
)
@given(
    messages=st.lists(
        st.tuples(st.sampled_from(NAMESPACES), st.booleans(), VALUES), max_size=6
    )
)
def test_any_json_under_any_namespace(which, messages):
    feature = features()[which]
    for namespace, is_keyed, value in messages:
        payload = {key_of(namespace): value} if is_keyed else value
        if not isinstance(payload, dict):
            payload = {"hub": value}
        digest = {"hub": value, "thermostat": payload}
        updates = [
            feature.take(namespace, payload, AT),
            feature.take_digest(digest, AT),
        ]
        if isinstance(feature, Hub):
            updates += [u for update in updates for u in update.subdevices.values()]
        for update in updates:
            for state in update.states.values():
                check_state(state)
        read_schedules(VALVE_SCHEDULE, payload)
    drive(feature)
    assert len(feature.polls) < 200
    if isinstance(feature, Hub):
        assert len(feature.subdevices) <= MAX_SUBDEVICES
        for sub in feature.subdevices.values():
            drive(sub)


@given(VALUES, st.data())
def test_any_answer_to_any_command(answer, data):
    feature = data.draw(st.sampled_from(features()))
    owners = [feature]
    if isinstance(feature, Hub):
        owners = list(feature.subdevices.values())
    owner = data.draw(st.sampled_from(owners))
    told = [(e.key, c) for e in owner.entities for c in commands(e)]
    if not told:
        return
    key, command = data.draw(st.sampled_from(told))
    try:
        requests = owner.command(key, command, AT)
    except UsageError:
        return
    for request in requests:
        payload = {key_of(request.namespace): answer}
        for state in feature.acknowledged(request, payload, AT).states.values():
            check_state(state)


def test_many_items_change_nothing_much():
    hub = Hub(about("msh300", *Hub.namespaces))
    items = [{"id": f"{n}", "status": 1, "mts100v3": {}} for n in range(5000)]
    hub.take_digest({"hub": {"subdevice": items}}, AT)
    assert len(hub.subdevices) == MAX_SUBDEVICES
    feature = Thermostat(about("mts200", MODE))
    items = [{"channel": n, "onoff": 1} for n in range(1000)]
    feature.take(MODE, {"mode": items}, AT)
    assert sum(isinstance(e, Climate) for e in feature.entities) == 16


@pytest.mark.parametrize("feature", features(), ids=lambda f: type(f).__name__)
def test_features_name_their_abilities_and_namespaces(feature):
    assert feature.name
    assert feature.abilities
    assert all(name.startswith("Appliance.") for name in feature.namespaces)
