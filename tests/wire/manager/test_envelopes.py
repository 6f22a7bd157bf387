"""What nodes tell each other: as it is documented, and whatever else may come."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import (
    Ask,
    Came,
    Errand,
    Gone,
    Here,
    Listed,
    Member,
    Message,
    Outcome,
    Report,
    Send,
    Went,
    decode,
    encode,
    node_name,
)
from structiot.manager.wire.info import Info

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
NODE = "hall-1.0123456789abcdef"
OTHER = "b_2.fedcba9876543210"
LAMP = Member(
    info=Info(uuid=UUID, type="Lämpchen", data={"ü": [1, None, "\ud800\n"]}),
    dialect=Dialect.D4,
    address=("2001:db8::1", 4000),
    turn=1_700_000_000_000,
)
MEMBER = {
    "info": f'{UUID}##lamp##{{"a":1}}',
    "dialect": "structiot",
    "address": ["10.0.0.7", 4000],
    "turn": 1_700_000_000_000,
}
ENVELOPES = [
    Here(NODE, 7, asks=True),
    Listed(NODE, (LAMP, LAMP), is_first=True, is_last=False),
    Came(NODE, (LAMP,)),
    Went(NODE, UUID, 2**52, "it has hung up"),
    Gone(NODE, "it has ended"),
    Message(NODE, UUID, "Lämpchen", 2**64 - 1, is_own=True, data=b"\n\xff{}\n"),
    Send(NODE, OTHER, UUID, 1, is_own=False, data=b""),
    Report(NODE, OTHER, UUID, 1, Outcome.UNKNOWN, "it has hung up"),
    Ask(NODE, OTHER, UUID, 1, Errand.END, "enough"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(sorted(MEMBER)), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda one: type(one).__name__)
def test_what_is_written_is_read(envelope):
    assert decode(encode(envelope)) == envelope


def test_an_envelope_is_a_line_of_json_and_data():
    send = Send(NODE, OTHER, UUID, 255, is_own=True, data=b"on\n")
    head, _, data = encode(send).partition(b"\n")
    assert data == b"on\n"
    assert json.loads(head) == {
        "kind": "send",
        "node": NODE,
        "to": OTHER,
        "uuid": UUID,
        "message_id": "00000000000000ff",
        "is_own": True,
    }


def test_a_device_is_told_of_as_it_would_tell_itself():
    info = Info(uuid=UUID, type="lamp", data={"a": 1})
    member = Member(
        info=info,
        dialect=Dialect.STRUCTIOT,
        address=("10.0.0.7", 4000),
        turn=1_700_000_000_000,
    )
    head = json.loads(encode(Came(NODE, (member,))))
    assert head == {"kind": "came", "node": NODE, "devices": [MEMBER]}


def test_a_device_that_makes_no_sense_costs_the_others_nothing():
    strange: list[object] = [
        7,
        None,
        [],
        {**MEMBER, "info": "x"},
        {**MEMBER, "turn": -1},
        {**MEMBER, "turn": 2**52},
        {**MEMBER, "turn": True},
        {**MEMBER, "address": ["10.0.0.7", 1.0]},
        {**MEMBER, "address": ["10.0.0.7", 65_536]},
        {**MEMBER, "info": str(MEMBER["info"]) + " " * 32_768},
        {**MEMBER, "info": f"{UUID}##lamp##{{}}\ud800"},
    ]
    head = {"kind": "came", "node": NODE, "devices": [*strange, MEMBER]}
    found = decode(json.dumps(head).encode() + b"\n")
    assert isinstance(found, Came)
    assert [member.info.uuid for member in found.devices] == [UUID]


@pytest.mark.parametrize(
    "data",
    ["\\", '"', "\U0001f600", "\u20ac", "\u00e4", "x"],
)
def test_the_longest_infos_fit_by_the_portion(data: str):
    """Whatever they are made of, and numbers that become longer when they are written."""
    room = 8192 - len(f"{UUID}##lamp##") - 16
    each = len(json.dumps(data, ensure_ascii=False).encode()) - 2
    text = {"a": data * (room // each)}
    numbers = {"a": [1e15] * (room // 5)}
    for told in (text, numbers):
        info = Info(uuid=UUID, type="lamp", data=told)
        member = Member(
            info=info, dialect=Dialect.D0, address=("10.0.0.7", 4000), turn=7
        )
        found = decode(encode(Came(NODE, (member,) * 32)))
        assert isinstance(found, Came)
        assert len(found.devices) == 32


def test_no_more_devices_are_read_than_an_envelope_has():
    head = {"kind": "came", "node": NODE, "devices": [MEMBER] * 1000}
    found = decode(json.dumps(head).encode() + b"\n")
    assert isinstance(found, Came)
    assert len(found.devices) == 32


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"{}\n",
        b"[]\n",
        b"[" * 100_000 + b"\n",
        b" " * 3_000_000 + b"{}\n",
        b'{"kind":"gone","node":"a/b.0123456789abcdef","reason":""}\n',
        b'{"kind":"gone","node":7,"reason":""}\n',
        b'{"kind":["gone"],"node":"a.0123456789abcdef","reason":""}\n',
        b'{"kind":"other","node":"a.0123456789abcdef","reason":""}\n',
        b'{"kind":"here","node":"a.0123456789abcdef","count":1e999,"asks":false}\n',
        b'{"kind":"here","node":"a.0123456789abcdef","count":true,"asks":false}\n',
        b'{"kind":"here","node":"a.0123456789abcdef","count":1,"asks":"no"}\n',
        b'{"kind":"here","node":"a.0123456789abcdef","count":1,"asks":false'
        + b" " * 1_100_000
        + b"}\n",
    ],
)
def test_what_is_no_envelope_is_none(payload):
    assert decode(payload) is None


def test_a_node_is_reached_by_its_name():
    assert node_name(NODE) == "hall-1"
    for wrong in (
        "",
        "a",
        "a.",
        ".0123456789abcdef",
        "a/+.0123456789abcdef",
        NODE + "0",
    ):
        assert node_name(wrong) is None


@given(
    envelope=st.sampled_from(ENVELOPES),
    changes=st.dictionaries(
        st.sampled_from(
            ["kind", "devices", "uuid", "turn", "message_id", "to", "reason"]
        ),
        JSON,
        max_size=3,
    ),
    member=st.dictionaries(st.sampled_from(sorted(MEMBER)), JSON, max_size=3),
)
def test_whatever_a_field_is_nothing_is_raised(envelope, changes, member):
    head = json.loads(encode(envelope).partition(b"\n")[0])
    if "devices" in head:
        head["devices"] = [{**MEMBER, **member}]
    decode(json.dumps({**head, **changes}).encode() + b"\n\x00data")


@given(st.binary(max_size=200))
def test_whatever_comes_nothing_is_raised(payload):
    decode(payload)
    decode(payload + b"\n" + payload)
