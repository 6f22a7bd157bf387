"""SEPL's frames, as the original client and the platform have written them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.redact import Secret
from structiot.connector.wire.envelope import (
    MAX_FRAME_BYTES,
    Frame,
    Handler,
    Hello,
    Welcome,
    read_frame,
    read_welcome,
    write_frame,
    write_hello,
)
from structiot.connector.wire.parts import event_payload, put_payload
from structiot.errors import ProtocolViolation, UsageError

# Reference 6: recorded from the original client, and reference 2: what it is answered.
HELLO = '{"user":"testuser","pw":"secret","gid":"","token":"credentials"}'
WELCOME = (
    '{"status":200,"handler":"response","token":"credentials","content_type":"map",'
    '"payload":{"gid":"iot#gw-0001","hash":null}}'
)
CLEAR = (
    '{"status":0,"handler":"clear","token":"f69b...","content_type":"","payload":null}'
)
DONE = (
    '{"status":200,"handler":"response","token":"f69b...","content_type":"string",'
    '"payload":"ok"}'
)
PUT = (
    '{"status":0,"handler":"put","token":"60d8...","content_type":"","payload":'
    '{"uri":"dev1","name":"Lamp","iot_type":"iot#type-1",'
    '"tags":["room:kitchen","floor:1"]}}'
)
COMMIT = (
    '{"status":0,"handler":"commit","token":"5aaa...","content_type":"",'
    '"payload":"a479f92cc26342e465129189bed015ea564ebeb9"}'
)
EVENT = (
    '{"status":0,"handler":"event","token":"9fc7...","content_type":"","payload":'
    '{"device_uri":"dev1","service_uri":"svc","value":[{"name":"metadata",'
    '"value":"meta"},{"name":"data","value":"{\\"v\\":1}"}]}}'
)
TAGS = ["room:kitchen", "floor:1"]
RECORDED = [
    (CLEAR, Frame("clear", "f69b...")),
    (DONE, Frame("response", "f69b...", "ok", 200, "string")),
    (PUT, Frame("put", "60d8...", put_payload("dev1", "iot#type-1", "Lamp", TAGS))),
    (COMMIT, Frame("commit", "5aaa...", "a479f92cc26342e465129189bed015ea564ebeb9")),
    (
        EVENT,
        Frame("event", "9fc7...", event_payload("dev1", "svc", '{"v":1}', "meta")),
    ),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "handler", "token", "content_type", "payload", "gid", "hash"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("text", "frame"), RECORDED, ids=lambda one: "")
def test_recorded_frames_are_written_and_read(text: str, frame: Frame):
    assert write_frame(frame) == text
    assert read_frame(text) == read_frame(text.encode()) == frame


def test_the_hello_is_written():
    hello = Hello("testuser", Secret("secret"))
    assert write_hello(hello) == HELLO
    assert "secret" not in repr(hello)


@pytest.mark.parametrize("given_hash", ["null", '""', '"a479"'])
def test_the_answer_to_the_hello_is_read(given_hash: str):
    frame = read_frame(WELCOME.replace("null", given_hash))
    expected = json.loads(given_hash) or ""
    assert read_welcome(frame) == Welcome("iot#gw-0001", expected)


def test_only_the_handler_has_to_be_there():
    assert read_frame('{"handler": "clear"}') == Frame("clear")
    nulls = '{"handler":"x","token":null,"status":null,"content_type":null}'
    assert read_frame(nulls) == Frame("x")


def test_a_handler_that_nobody_knows_is_told_and_fit_to_be_shown():
    assert read_frame('{"handler": "a\\nb"}').handler == "a b"


@pytest.mark.parametrize(
    "text",
    [
        # The platform's own, where it cannot encode what it wants to say.
        "ERROR: unable to create response",
        "",
        "[]",
        "null",
        '{"token": "a"}',
        '{"handler": ""}',
        '{"handler": 1}',
        '{"handler": "response", "token": 1}',
        '{"handler": "response", "status": "200"}',
        '{"handler": "response", "status": true}',
        f'{{"handler": "response", "token": "{"a" * 300}"}}',
        '{"handler": "response", "payload": ' + "[" * 60 + "]" * 60 + "}",
        '{"handler": "response", "payload": "' + "a" * MAX_FRAME_BYTES + '"}',
        '{"handler": "response", "payload": "\xff',
        '{"handler": "response", "payload": [' + "1," * 70_000 + "1]}",
        '{"handler": "response", "payload": ' + "1" * 1001 + "}",
    ],
)
def test_what_is_no_frame_is_refused(text: str):
    with pytest.raises(ProtocolViolation):
        read_frame(text)


@pytest.mark.parametrize(
    "payload",
    [
        "null",
        "[]",
        "{}",
        '{"gid": ""}',
        '{"gid": 1}',
        '{"gid": "a\\nb"}',
        '{"gid": " a"}',
        '{"gid": "a", "hash": 1}',
        f'{{"gid": "{"a" * 300}"}}',
    ],
)
def test_a_gateway_that_cannot_be_is_refused(payload: str):
    with pytest.raises(ProtocolViolation):
        read_welcome(read_frame(f'{{"handler": "response", "payload": {payload}}}'))


def test_an_answer_of_another_handler_is_no_welcome():
    with pytest.raises(ProtocolViolation):
        read_welcome(Frame("command", payload={"gid": "a", "hash": ""}))


@pytest.mark.parametrize(
    "payload", [float("nan"), b"bytes", {1, 2}, "a" * MAX_FRAME_BYTES]
)
def test_a_payload_that_cannot_be_written_is_refused(payload: object):
    with pytest.raises(UsageError):
        write_frame(Frame(Handler.EVENT, "a", payload))


def test_half_a_character_goes_there_and_back():
    frame = Frame("response", "a", {"\ud800": "ä\udfff"})
    text = write_frame(frame)
    assert text.isascii()
    assert read_frame(text) == frame


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_whatever_comes_is_read_or_refused(text: str):
    try:
        found = read_frame(text)
    except ProtocolViolation:
        return
    assert found.handler.isprintable()
    assert found.content_type.isprintable()
    try:
        welcome = read_welcome(found)
    except ProtocolViolation:
        return
    assert welcome.gid.isprintable()


@given(st.text(min_size=1, max_size=9), JSON, st.integers(0, 999))
def test_what_is_written_is_read(token: str, payload: object, status: int):
    try:
        text = write_frame(Frame("response", token, payload, status, "map"))
    except UsageError:
        with pytest.raises(ValueError, match="JSON compliant"):
            json.dumps(payload, allow_nan=False)
        return
    found = read_frame(text)
    assert found == Frame(
        "response", token, json.loads(json.dumps(payload)), status, "map"
    )
