"""Each kind of entity on topics of others: what it is, what it is told, and any nonsense."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot.gateway.config.links import LinkSection
from structiot.gateway.drivers.topics.mapping import NONSENSE, TopicEntity
from structiot.gateway.entities.states import state_payload
from structiot.gateway.entities.told_members import MISSING, object_in
from structiot.model import (
    CoverMotion,
    CoverState,
    Event,
    LightState,
    LockState,
)
from tests.gateway.link_house import linked

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- every kind


@pytest.mark.parametrize(
    ("link", "said", "state", "command", "sent"),
    [
        ({"kind": "switch"}, "on", True, b"OFF", ["OFF"]),
        (
            {"kind": "switch", "values": {"1": "ON", "0": "OFF"}},
            "1",
            True,
            b"OFF",
            ["0"],
        ),
        (
            {
                "kind": "switch",
                "set_member": "on",
                "values": {"true": "ON", "false": "OFF"},
            },
            "true",
            True,
            b"OFF",
            ['{"on":false}'],
        ),
        ({"kind": "sensor", "unit": "W"}, " 12.50 ", 12.5, None, []),
        ({"kind": "sensor", "options": ["eco", "full"]}, "eco", "eco", None, []),
        ({"kind": "sensor"}, "some text", "some text", None, []),
        ({"kind": "binary_sensor"}, "1", True, None, []),
        ({"kind": "number", "maximum": 10}, "5", 5.0, b"7.5", ["7.5"]),
        ({"kind": "number", "set_member": "n"}, "5", 5.0, b"7", ['{"n":7.0}']),
        ({"kind": "select", "options": ["a", "b"]}, "a", "a", b"B", ["b"]),
        ({"kind": "text"}, "a text", "a text", b"x", ["x"]),
        ({"kind": "light"}, "ON", LightState(is_on=True), b"OFF", ["OFF"]),
        ({"kind": "lock"}, "LOCK", LockState.LOCKED, b"UNLOCK", ["UNLOCK"]),
        ({"kind": "lock"}, "jammed", LockState.JAMMED, b"lock", ["LOCK"]),
        (
            {"kind": "cover"},
            "CLOSE",
            CoverState(motion=CoverMotion.CLOSED),
            b"STOP",
            ["STOP"],
        ),
    ],
)
async def test_every_kind_is_read_and_told(link, said, state, command, sent):
    given = {"from": "mqtt:their/state", "to": "their/thing", **link}
    if command is not None:
        given["set_topic"] = "their/set"
    async with linked(links=[given]) as house:
        await house.say("their/state", said, retain=True)
        assert house.state("their", "thing") == state
        if command is not None:
            await house.gateway.devices["their"].carry_out("thing", command)
        await anyio.sleep(0.2)
        assert house.on("their/set") == sent


async def test_levels_may_have_topics_of_their_own():
    light = {
        "from": "mqtt:tele/x/STATE",
        "to": "x/light",
        "kind": "light",
        "member": "POWER",
        "level_member": "Dimmer",
        "set_topic": "cmnd/x/POWER",
        "level_set_topic": "cmnd/x/Dimmer",
    }
    cover = {
        "from": "mqtt:their/cover",
        "to": "y/cover",
        "kind": "cover",
        "member": "state",
        "level_member": "position",
        "set_topic": "their/cover/set",
        "set_member": "state",
    }
    async with linked(links=[light, cover]) as house:
        await house.say("tele/x/STATE", '{"POWER":"ON","Dimmer":40}')
        await house.say("their/cover", '{"position":30}')
        assert house.state("x", "light").brightness_percent == 40
        assert house.state("y", "cover") == CoverState(position_percent=30)
        await house.gateway.devices["x"].carry_out("light", b'{"brightness":30}')
        await house.gateway.devices["y"].carry_out("cover", b"75")
        await house.gateway.devices["y"].carry_out("cover", b"OPEN")
        await anyio.sleep(0.2)
        assert (house.on("cmnd/x/POWER"), house.on("cmnd/x/Dimmer")) == ([], ["30"])
        assert house.on("their/cover/set") == ['{"position":75}', '{"state":"OPEN"}']


_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["ON", "off", "12", "1e400", "NaN", "open"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
_SAID = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["v", "level", "x"]), _VALUES, max_size=3
).map(lambda one: json.dumps(one).encode())
_KINDS = [
    {"kind": "switch", "set_topic": "x"},
    {"kind": "sensor"},
    {"kind": "sensor", "unit": "W"},
    {"kind": "binary_sensor", "values": {"1": "ON"}},
    {"kind": "number", "set_topic": "x"},
    {"kind": "select", "options": ["ON"], "set_topic": "x"},
    {"kind": "text", "set_topic": "x"},
    {"kind": "light", "set_topic": "x", "level_member": "level"},
    {"kind": "cover", "set_topic": "x", "level_member": "level"},
    {"kind": "lock", "set_topic": "x"},
    {"kind": "event", "options": ["ON"]},
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(said=_SAID, kind=st.sampled_from(_KINDS), has_member=st.booleans())
def test_whatever_is_on_a_topic_is_a_state_or_nothing(said, kind, has_member):
    given = {"from": "mqtt:t", "to": "a/b", **kind}
    if has_member:
        given["member"] = "v"
    part = TopicEntity(LinkSection.model_validate(given))
    text, found = said.decode(errors="replace"), object_in(said)
    if isinstance(part.entity, Event):
        word = part.happened(text, found)
        assert word is None or word
        return
    state: Any = part.state(text, found)
    if state is NONSENSE or state is MISSING:
        return
    assert isinstance(state_payload(part.entity, state), str)
