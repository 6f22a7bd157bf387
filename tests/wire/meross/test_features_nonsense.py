"""Whatever devices send, features neither raise nor grow without end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structiot.meross.features.channels import MAX_CHANNELS
from structiot.meross.features.feature import About, Feature
from structiot.meross.features.registry import FEATURES, features_of
from structiot.meross.wire.payloads import key_of
from structiot.model import (
    Command,
    Cover,
    CoverAction,
    Entity,
    Fan,
    FanState,
    Light,
    LightState,
    Number,
    Select,
    Switch,
)
from tests.wire.meross.features import NOW, about

NAMESPACES = sorted({one for each in FEATURES for one in each.namespaces})
EVERYTHING = [ability.removeprefix("Appliance.") for ability in NAMESPACES]
# What is read anywhere, so that nonsense gets as far as it can.
WORDS = [
    "alarm",
    "alert",
    "alias",
    "capacity",
    "channel",
    "config",
    "createTime",
    "current",
    "data",
    "date",
    "debug",
    "diffuser",
    "digest",
    "doorCloseDuration",
    "doorEnable",
    "doorOpenDuration",
    "effect",
    "effectName",
    "enable",
    "event",
    "execute",
    "extend",
    "fan",
    "filter",
    "firmware",
    "garageDoor",
    "humidity",
    "id",
    "interConn",
    "life",
    "light",
    "luminance",
    "lock",
    "mConsume",
    "maxElectricityCurrent",
    "maxSpeed",
    "mode",
    "mp3",
    "mute",
    "network",
    "onoff",
    "open",
    "overTemp",
    "position",
    "power",
    "rgb",
    "rule",
    "runtime",
    "signal",
    "signalOpen",
    "song",
    "source",
    "speed",
    "spray",
    "state",
    "status",
    "subId",
    "system",
    "temperature",
    "time",
    "timerx",
    "timestamp",
    "toggle",
    "togglex",
    "total",
    "triggerx",
    "type",
    "value",
    "version",
    "voltage",
    "volume",
    "week",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 110)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2023-11-14", "1700000000", "1e400", "\ud800"])
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=4)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)


def check(feature: Feature) -> None:
    entities = feature.entities
    assert len({one.key for one in entities}) == len(entities)
    assert len(entities) <= 12 * MAX_CHANNELS
    assert all(len(one.name or "") <= 200 for one in entities)


def device(digest) -> About:
    return about(*EVERYTHING, digest=digest, attributes={"Control.Light": digest})


def read(feature: Feature, namespace: str, payload, digest) -> None:
    at_utc = NOW
    for update in (
        feature.take(namespace, payload, at_utc),
        feature.take_digest(digest, at_utc + timedelta(seconds=30)),
        feature.take_digest(payload, at_utc),
    ):
        assert len(update.states) <= 12 * MAX_CHANNELS
        assert len(update.readings) <= MAX_CHANNELS
        assert len(update.happened) <= 2 * MAX_CHANNELS
        known = {one.key for one in feature.entities}
        assert set(update.states) <= known
        assert {one.key for one in update.happened} <= known
    check(feature)


COMMANDS: dict[type[Entity], Command] = {
    Switch: True,
    Number: 15,
    Select: "",
    Cover: CoverAction.OPEN,
    Light: LightState(is_on=True, brightness_percent=50),
    Fan: FanState(speed_percent=30),
}


def acknowledge(feature: Feature, payload) -> None:
    told = [one for one in feature.entities if type(one) in COMMANDS]
    for one in told:
        value = one.options[0] if isinstance(one, Select) else COMMANDS[type(one)]
        for request in feature.command(one.key, value, NOW):
            update = feature.acknowledged(request, payload, NOW)
            assert set(update.states) <= {each.key for each in feature.entities}


EACH = pytest.mark.parametrize("kind", FEATURES, ids=lambda kind: kind.__name__)


@EACH
@given(digest=OBJECTS, payload=OBJECTS, found=JSON)
def test_any_json_in_any_namespace(kind: type[Feature], digest, payload, found):
    feature = kind(device(digest))
    check(feature)
    for namespace in sorted(feature.namespaces):
        told = {**payload, key_of(namespace): found}
        read(feature, namespace, told, digest)
        read(feature, namespace, payload, told)
        acknowledge(feature, told)


@EACH
@settings(max_examples=10)
@given(item=OBJECTS)
def test_any_number_of_channels(kind: type[Feature], item):
    feature = kind(device({}))
    many = [{**item, "channel": n} for n in range(200)]
    for namespace in sorted(feature.namespaces):
        read(feature, namespace, {key_of(namespace): many}, {})


def test_a_feature_is_made_if_one_of_its_abilities_is_there():
    for feature in FEATURES:
        for ability in feature.abilities:
            made = features_of(about(ability.removeprefix("Appliance.")))
            assert feature in {type(one) for one in made}
    assert features_of(about("System.All", "Something.New")) == ()


def test_questions_are_for_namespaces_that_are_read():
    for feature in features_of(device({})):
        for poll in feature.polls:
            assert poll.request.namespace in feature.namespaces


def test_no_two_features_of_a_device_have_a_key_in_common():
    plug = about(
        "Control.ToggleX",
        "Control.Electricity",
        "Control.ConsumptionX",
        "Control.ConsumptionConfig",
        "System.DNDMode",
        "System.Runtime",
        "System.Firmware",
        "System.Debug",
        "Control.TimerX",
        "Control.Upgrade",
    )
    found = [one.key for feature in features_of(plug) for one in feature.entities]
    assert len(found) == len(set(found))


def test_a_device_without_a_time_zone_has_features_too():
    it = device({})
    nowhere = replace(it, system=replace(it.system, timezone=None))
    assert len(features_of(nowhere)) == len(FEATURES)
