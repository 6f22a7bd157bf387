"""SENERGY's topics, payloads, tokens and hashes, without a platform."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.redact import Secret
from structiot.connector.wire.hashes import DeviceHashes
from structiot.connector.wire.senergy import (
    decode_command,
    decode_device,
    decode_hub,
    decode_tokens,
    encode_device,
    encode_event,
    encode_response,
    id_fault,
    is_unused_hub,
    member_hash,
    new_hub,
    service_roots,
    subject_of,
    topic_of,
)
from structiot.errors import ProtocolViolation

LAMP_HASH = "0c03760de95fed4d61500077be496586edb7feb6"
FAN_HASH = "9b560ee2668b66c5a58dcd583952d12570726605"
BOTH_HASH = "65761e24934f1b6053f7c76492e3ae03cbdf6b88"
FLOOR = {"key": "floor", "value": "1", "origin": "structiot"}
ROOM = {"key": "room", "value": "kitchen", "origin": "structiot"}
NONE_HASH = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def jwt(claims: object) -> Secret:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"e30.{part}.c2ln")


# ---------------------------------------------------------------- hashes


def test_the_hashes_are_those_of_the_reference():
    assert member_hash("dev1", "Lamp") == LAMP_HASH
    assert member_hash("dev2", "Fan") == FAN_HASH
    both = DeviceHashes({"dev1": LAMP_HASH, "dev2": FAN_HASH})
    assert both.digest() == BOTH_HASH
    assert DeviceHashes().digest() == NONE_HASH


# ---------------------------------------------------------------- topics


def test_topics_name_the_owner():
    assert topic_of("command", "me", "dev1", "+") == "command/me/dev1/+"
    assert topic_of("event", "me", "dev1", "power") == "event/me/dev1/power"
    assert topic_of("response", "me", "dev1", "on") == "response/me/dev1/on"
    assert topic_of("error/command", "me", "c-1") == "error/command/me/c-1"
    assert topic_of("error/device", "me", "dev1") == "error/device/me/dev1"


@pytest.mark.parametrize(
    "bad", ["a/b", "a+", "iot#1", "a\0b", "", "x" * 1001, "\ud800"]
)
def test_what_can_be_no_level_of_a_topic_is_told(bad):
    assert id_fault(bad)


@pytest.mark.parametrize("good", ["dev1", "urn:infai:ses:device:1", "Küche 1", "a,b"])
def test_what_can_be_a_level_of_a_topic_has_no_fault(good):
    assert id_fault(good) is None


# ---------------------------------------------------------------- payloads


def test_a_command_is_taken_apart():
    data = b"""{"correlation_id": "c-1", "payload": {"metadata": "", "data": "{\\"on\\":true}"},
        "timestamp": 1700000000.5, "completion_strategy": "pessimistic"}"""
    command = decode_command(data)
    assert command.correlation_id == "c-1"
    assert command.parts == {"metadata": "", "data": '{"on":true}'}
    assert command.sent_at_s == 1700000000.5


def test_a_command_may_have_no_parts_and_no_time():
    command = decode_command(b'{"correlation_id": "c", "payload": null}')
    assert (command.parts, command.sent_at_s) == ({}, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"payload": {}}',
        b'{"correlation_id": 5, "payload": {}}',
        b'{"correlation_id": "a/b", "payload": {}}',
        b'{"correlation_id": "c", "payload": [1]}',
        b'{"correlation_id": "c", "payload": "on"}',
        b'{"correlation_id": "c", "payload": {%s"z": ""}}'
        % b"".join(b'"%d": "",' % number for number in range(64)),
    ],
)
def test_what_is_no_command_is_refused(data):
    with pytest.raises(ProtocolViolation):
        decode_command(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_a_violation(data):
    try:
        decode_command(data)
    except ProtocolViolation:
        return


def test_events_and_responses_leave_out_what_is_not_said():
    assert encode_event('{"w":1}', None) == b'{"data":"{\\"w\\":1}"}'
    assert json.loads(encode_event("1", "m")) == {"metadata": "m", "data": "1"}
    assert json.loads(encode_response("c-1", None, "m")) == {
        "correlation_id": "c-1",
        "payload": {"metadata": "m"},
    }
    assert encode_event("ü", None) == '{"data":"ü"}'.encode()


# ---------------------------------------------------------------- tokens


def test_tokens_need_no_extras_of_keycloak():
    tokens = decode_tokens(b'{"access_token": "abc"}')
    assert tokens.access.reveal() == "abc"
    assert tokens.refresh is None
    assert tokens.expires_in_s == 60
    assert "abc" not in repr(tokens)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"access_token": 1}', b'{"access_token": "a\\nb"}']
)
def test_what_has_no_token_is_refused_and_shown_nowhere(data):
    with pytest.raises(ProtocolViolation) as caught:
        decode_tokens(data)
    assert not caught.value.data


def test_a_refresh_token_that_cannot_be_sent_is_none():
    tokens = decode_tokens(b'{"access_token": "a", "refresh_token": "\\ud800"}')
    assert tokens.refresh is None


def test_the_subject_of_a_token_is_the_owner():
    assert subject_of(jwt({"sub": "user-1"})) == "user-1"


@pytest.mark.parametrize(
    "token",
    [Secret("abc"), Secret("a.%%%.c"), Secret("a.e30.c"), jwt({"sub": "a/b"}), jwt([])],
)
def test_a_token_of_nobody_is_refused(token):
    with pytest.raises(ProtocolViolation, match="whose it is"):
        subject_of(token)


# ---------------------------------------------------------------- hubs and devices


def test_tags_are_attributes_of_our_origin_and_others_are_not_seen():
    device = encode_device("dev1", "t", "Lamp", {"room": "kitchen", "floor": "1"})
    assert device == {
        "local_id": "dev1",
        "name": "Lamp",
        "device_type_id": "t",
        "attributes": [FLOOR, ROOM],
    }
    foreign = {"key": "nickname", "value": "x", "origin": "web-ui"}
    seen = {**device, "id": "urn:1", "attributes": [ROOM, foreign, FLOOR, 5]}
    assert decode_device(seen) == device


@pytest.mark.parametrize("value", [None, [], {}, {"local_id": 5}])
def test_what_is_no_device_is_refused(value):
    with pytest.raises(ProtocolViolation):
        decode_device(value)


def test_a_hub_is_read_as_it_is_changed():
    attributes = [{"key": "a", "value": "b", "origin": "web-ui"}]
    told = {"id": "h", "name": "N", "hash": None, "device_ids": ["urn:1", "urn:2"]}
    hub = decode_hub({**told, "device_local_ids": ["b", "a"], "attributes": attributes})
    assert hub == {
        "id": "h",
        "name": "N",
        "hash": "",
        "device_local_ids": ["a", "b"],
        "owner_id": "",
        "attributes": attributes,
    }


def test_an_unused_hub_of_ours_is_known_by_its_mark():
    made = decode_hub({**new_hub("N"), "id": "h", "owner_id": "me"})
    assert is_unused_hub(made, "N", "me")
    others: list[dict[str, object]] = [
        {"name": "M"},
        {"owner_id": "you"},
        {"attributes": []},
        {"device_local_ids": ["a"]},
    ]
    for other in others:
        assert not is_unused_hub({**made, **other}, "N", "me")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"id": ""},
        {"id": 5},
        {"id": "a\nb"},
        {"id": "\ud800"},
        {"id": " a"},
        {"id": "a" * 257},
        {"id": "a", "attributes": [{"value": float("inf")}]},
    ],
)
def test_what_is_no_hub_is_refused(value):
    with pytest.raises(ProtocolViolation):
        decode_hub(value)


def test_where_the_repository_is_is_told_by_the_address_of_the_manager():
    assert service_roots("https://a.b/x/device-manager/") == (
        "https://a.b/x",
        "/device-manager",
        "/device-repository",
    )
    assert service_roots("https://a.b/dm") == ("https://a.b/dm", "", None)
