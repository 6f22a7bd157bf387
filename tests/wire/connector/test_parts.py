"""What stands in SEPL's frames; the examples are the reference's (4 and 5)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.connector.wire.hashes import DeviceHashes, device_hash
from structiot.connector.wire.parts import (
    check_cost,
    event_payload,
    part_text,
    put_payload,
    read_command,
    read_parts,
    response_payload,
    write_parts,
)
from structiot.errors import ProtocolViolation, UsageError

COMMAND = json.loads(
    '{"device_url": "dev1", "service_url": "on",'
    '"protocol_parts": [{"name": "metadata", "value": ""},'
    '{"name": "data", "value": "{\\"on\\": true}"}],'
    '"worker_id": "w", "task_id": "t", "device_instance_id": "iot#1",'
    '"service_name": "n", "output_name": "o", "time": "1500554317"}'
)
LAMP = "4a07394c8cb64e57ad1bf193a8a2c23d12174dd7"
FAN = "3741cd4d27166c74a4983bf482f171e3f9d2c93a"
BOTH = "a479f92cc26342e465129189bed015ea564ebeb9"
NONE = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["device_url", "service_url", "protocol_parts", "name", "value"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def test_hashes_are_the_original_client_s():
    tags = {"room": "kitchen", "floor": "1"}
    assert device_hash("dev1", "iot#type-1", "Lamp", tags) == LAMP
    assert device_hash("dev2", "iot#type-1", "Fan", {}) == FAN
    both = DeviceHashes({"dev1": LAMP, "dev2": FAN})
    assert both.digest() == DeviceHashes({"dev2": FAN, "dev1": LAMP}).digest() == BOTH
    assert DeviceHashes().digest() == NONE


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([LAMP, FAN, NONE, ""])))
)
def test_the_hash_of_all_is_the_same_whatever_way_it_came_about(
    changes: list[tuple[str, str]],
):
    changing, kept = DeviceHashes(), {}
    for device_id, digest in changes:
        if digest:
            changing.put(device_id, digest)
            kept[device_id] = digest
        else:
            changing.discard(device_id)
            kept.pop(device_id, None)
        assert changing.digest() == DeviceHashes(kept).digest()
        assert set(changing) == kept.keys()


def test_the_weak_points_of_the_hash_are_the_original_client_s_too():
    assert device_hash("a", "bc", "", {}) == device_hash("ab", "c", "", {})
    one, two = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert device_hash("a", "b", "c", one) != device_hash("a", "b", "c", two)


def test_a_command_is_taken_apart():
    found = read_command(COMMAND)
    assert (found.device_id, found.service) == ("dev1", "on")
    assert found.parts == {"metadata": "", "data": '{"on": true}'}
    assert found.payload is COMMAND


def test_a_response_is_the_command_with_other_parts():
    response = response_payload(COMMAND, "200", "status")
    assert response.pop("protocol_parts") == [
        {"name": "metadata", "value": "status"},
        {"name": "data", "value": "200"},
    ]
    assert response == {k: v for k, v in COMMAND.items() if k != "protocol_parts"}
    assert read_command(COMMAND).parts["data"] == '{"on": true}'


def test_a_service_that_takes_nothing_has_no_parts():
    assert read_command({**COMMAND, "protocol_parts": None}).parts == {}


def test_parts_are_told_by_their_names_in_any_order():
    parts = {"data": "1", "metadata": None}
    assert read_parts(write_parts(parts)) == parts
    assert read_parts(write_parts(parts)[::-1]) == parts
    assert read_parts(None) == {}


def test_a_value_that_is_no_text_is_read_as_json():
    assert read_parts([{"name": "data", "value": {"on": True}}]) == {
        "data": '{"on":true}'
    }
    assert read_parts([{"name": "data"}]) == {"data": None}


@pytest.mark.parametrize(
    "told", [{}, "ab", 7, ["a"], [{}], [{"name": 1}], [{"name": "a"}] * 65]
)
def test_what_are_no_parts_is_refused(told: object):
    with pytest.raises(ProtocolViolation):
        read_parts(told)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"device_url": "dev1"},
        {"service_url": "on"},
        {**COMMAND, "device_url": 1},
        {**COMMAND, "protocol_parts": {}},
        # It could not be given back.
        {**COMMAND, "time": float("inf")},
    ],
)
def test_what_is_no_command_is_refused(payload: object):
    with pytest.raises(ProtocolViolation):
        read_command(payload)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("on", "on"),
        ({"status": 0}, '{"status":0}'),
        ([1, "ä"], '[1,"ä"]'),
        (True, "true"),
        (21.5, "21.5"),
    ],
)
def test_a_value_goes_as_a_text(value: object, text: str | None):
    assert part_text(value) == text


@pytest.mark.parametrize("value", [b"on", float("nan"), object(), {1: {2}}])
def test_a_value_that_is_no_json_is_refused(value: object):
    with pytest.raises(UsageError, match="metadata cannot be written"):
        part_text(value, "metadata")


def test_devices_and_events_have_the_platform_s_names():
    assert put_payload("dev2", "iot#type-1", "Fan", []) == {
        "uri": "dev2",
        "name": "Fan",
        "iot_type": "iot#type-1",
        "tags": [],
    }
    assert event_payload("dev1", "svc", "1")["value"] == [
        {"name": "metadata", "value": None},
        {"name": "data", "value": "1"},
    ]


@given(JSON)
def test_whatever_comes_is_a_command_or_refused(payload: object):
    try:
        found = read_command(payload)
    except ProtocolViolation:
        return
    assert all(
        value is None or isinstance(value, str) for value in found.parts.values()
    )
    # It can be answered, and what else it says comes back.
    answer = response_payload(found.payload, "x")
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert {**answer, "protocol_parts": None} == {
        **found.payload,
        "protocol_parts": None,
    }


@pytest.mark.parametrize("before", ["[", ",", ":", " ", "\t", "\n", "-", ":-", "[ -"])
def test_numbers_of_a_thousand_digits_are_too_long(before: str):
    check_cost(f"{before}{'9' * 999}".encode())
    with pytest.raises(ProtocolViolation, match="very long numbers"):
        check_cost(f"{before}{'0123456789' * 100}".encode())


@pytest.mark.parametrize("number", ["1.5", "12e3", "0E1", "-9.25", "10000.0"])
@pytest.mark.parametrize("before", ["[", ":", " ", "\r"])
def test_numbers_with_a_point_or_an_exponent_are_counted(number: str, before: str):
    check_cost(f"{before}{number}".encode() * 8_192)
    with pytest.raises(ProtocolViolation, match="very many values"):
        check_cost(f"{before}{number}".encode() * 8_193)


@pytest.mark.parametrize(
    "text", ["7" * 2_000, "a1.5" * 9_000, '"1e5' * 9_000, "1." * 9_000]
)
def test_digits_in_a_text_are_no_numbers(text: str):
    check_cost(f'"{text}"'.encode())
