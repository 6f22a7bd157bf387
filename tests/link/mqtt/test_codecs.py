"""Codecs by distmqtt's names, with its parameters."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import ConfigError, UsageError
from structiot.mqtt import BaseCodec, get_codec
from structiot.mqtt.codecs import BoolCodec, JsonCodec, NoopCodec

PARAMS: dict[str, dict[str, Any]] = {
    "bool": {"on": "1", "off": "0"},
    "BOOL": {"name": "bool", "on": "ON", "off": "OFF", "null": "NONE"},
    "yesno": {"name": "bool", "on": "yes", "off": "no"},
    "msgpack": {"use_list": True},
}


@pytest.mark.parametrize(
    ("name", "value", "payload"),
    [
        ("noop", b"\x00\xff", b"\x00\xff"),
        ("noop", b"", b""),
        ("binary", b"x", b"x"),
        ("utf8", "gr\u00fcn", b"gr\xc3\xbcn"),
        (
            "json",
            {"a": [1, 2.5, None, True, "\u00fc"]},
            b'{"a":[1,2.5,null,true,"\xc3\xbc"]}',
        ),
        ("msgpack", {"a": (1, b"x", "y")}, b"\x81\xa1a\x93\x01\xc4\x01x\xa1y"),
        ("msgpack+json", '{"a":[1,"y"]}', b"\x81\xa1a\x92\x01\xa1y"),
        ("bool", True, b"on"),
        ("bool", False, b"off"),
        ("int", -12, b"-12"),
        ("float", 21.5, b"21.5"),
    ],
)
def test_a_codec_speaks_its_format_both_ways(name: str, value: Any, payload: bytes):
    codec = get_codec(name)
    assert codec.encode(value) == payload
    assert codec.decode(payload) == value
    assert type(codec.encode(value)) is bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noop", "\ud800"),
        ("noop", 5),
        ("noop", None),
        ("utf8", b"bytes"),
        ("utf8", 5),
        ("utf8", "\ud800"),
        ("json", {1, 2}),
        ("json", math.nan),
        ("json", [math.inf]),
        ("json", "\ud800"),
        ("msgpack", object()),
        ("msgpack+json", "not json"),
        ("msgpack+json", {"a": 1}),
        ("bool", "on"),
        ("bool", 2),
        ("bool", None),
        ("bool", []),
        ("int", 1.5),
        ("int", "5"),
        ("int", math.inf),
        ("int", math.nan),
        ("int", None),
        ("float", "warm"),
        ("float", None),
    ],
)
def test_what_a_codec_does_not_take_is_a_value_or_type_error(name: str, value: Any):
    with pytest.raises((ValueError, TypeError)):
        get_codec(name).encode(value)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("utf8", b"\xff"),
        ("json", b""),
        ("json", b"{"),
        ("json", b"\xff\xfe1\x00"),
        ("json", b"[" * 200_000),
        ("json", b"1" * 5000),
        ("msgpack", b""),
        ("msgpack", b"\xc1"),
        ("msgpack", b"\x01\x01"),
        ("msgpack", b"\x91" * 5000),
        ("msgpack", b"\x81\x01\x01"),
        ("msgpack+json", b"\xc4\x01x"),
        ("bool", b"ON"),
        ("bool", b""),
        ("int", b"1.5"),
        ("int", b""),
        ("float", b"warm"),
    ],
)
def test_a_payload_that_does_not_decode_is_a_value_or_type_error(
    name: str, payload: bytes
):
    with pytest.raises((ValueError, TypeError)):
        get_codec(name).decode(payload)


@given(st.binary(max_size=60))
def test_no_payload_makes_a_codec_raise_anything_else(payload: bytes):
    names = ("utf8", "json", "msgpack", "msgpack+json", "bool", "int", "float")
    for name in names:
        try:
            get_codec(name).decode(payload)
        except (ValueError, TypeError):
            continue


def test_json_that_is_nested_too_deep_to_write_is_refused():
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deep"):
        get_codec("json").encode(value)
    while value:  # or the interpreter itself would descend into it
        value = value[0]


# -- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, 1, 1.0])
def test_bool_takes_whatever_equals_1_for_on(value: Any):
    assert get_codec("bool").encode(value) == b"on"


@pytest.mark.parametrize("value", [False, 0, 0.0])
def test_bool_takes_whatever_equals_0_for_off(value: Any):
    assert get_codec("bool").encode(value) == b"off"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bool", {True: b"1", False: b"0"}),
        ("BOOL", {True: b"ON", False: b"OFF", None: b"NONE"}),
        ("yesno", {True: b"yes", False: b"no"}),
    ],
)
def test_parameters_and_aliases_come_from_codec_params(
    name: str, words: dict[bool | None, bytes]
):
    codec = get_codec(name, params=PARAMS)
    for value, word in words.items():
        assert codec.encode(value) == word
        assert codec.decode(word) is value


def test_a_fallback_by_name_has_its_parameters_too():
    assert get_codec(None, "yesno", PARAMS).encode(True) == b"yes"
    assert get_codec("noop", "yesno", PARAMS).encode(b"x") == b"x"


def test_without_any_choice_bytes_stay_bytes():
    assert isinstance(get_codec(None), NoopCodec)


def test_msgpack_gives_tuples_or_lists():
    payload = b"\x92\x01\x02"
    assert get_codec("msgpack").decode(payload) == (1, 2)
    assert get_codec("msgpack", params=PARAMS).decode(payload) == [1, 2]


def test_msgpack_can_do_without_the_type_for_bytes():
    old = get_codec("msgpack", params={"msgpack": {"use_bin_type": False}})
    assert old.encode(b"x") == b"\xa1x"
    assert old.decode(b"\xa1x") == b"x"


def test_words_may_be_bytes():
    codec = BoolCodec(on=b"\x01", off=b"\x00")
    assert codec.decode(b"\x00") is False


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("yaml", {}, "unknown codec 'yaml'; there are noop, binary, utf8"),
        ("x", {"x": {"name": "yaml"}}, "unknown codec 'yaml'"),
        ("bool", {"bool": {"yes": "on"}}, "codec 'bool': .*'yes'"),
        ("json", {"json": {"on": "on"}}, "codec 'json': .*'on'"),
        ("bool", {"bool": {"on": 1, "off": 0}}, "is text, not 1"),
        ("bool", {"bool": {"on": "x", "off": "x"}}, "different words"),
        ("bool", {"bool": "on"}, "codec_params: 'bool' has parameters, not 'on'"),
    ],
)
def test_a_codec_that_cannot_be_made_is_a_config_error(
    name: str, params: Any, problem: str
):
    with pytest.raises(ConfigError, match=problem):
        get_codec(name, params=params)


@pytest.mark.parametrize("choice", [5, object(), {"name": "json"}])
def test_what_is_no_codec_is_a_usage_error(choice: Any):
    with pytest.raises(UsageError, match="needs encode and decode"):
        get_codec(choice)


def test_the_name_given_to_a_codec_must_be_its_own():
    assert BoolCodec(name="bool").decode(b"on") is True
    with pytest.raises(ConfigError, match="'json' was given the name 'bool'"):
        JsonCodec(name="bool")


# -- codecs of users -----------------------------------------------------------------


class Reversing:
    def encode(self, value: Any) -> bytes:
        return str(value).encode()[::-1]

    def decode(self, payload: bytes) -> Any:
        return payload[::-1].decode()


class Named(BaseCodec):
    name = "named"

    def encode(self, value: Any) -> bytes:
        return b"named"

    def decode(self, payload: bytes) -> Any:
        return json.loads(payload)


@pytest.mark.parametrize("choice", [Reversing, Reversing()])
def test_a_user_codec_is_any_object_or_class_with_encode_and_decode(choice: Any):
    codec = get_codec(choice)
    assert codec.decode(codec.encode("abc")) == "abc"


def test_a_user_codec_may_build_on_the_base():
    codec: Any = get_codec(Named)
    assert codec.encode(None) == b"named"
    with pytest.raises(ConfigError):
        Named(name="other")


@pytest.mark.parametrize("name", ["msgpack", "msgpack+json"])
def test_without_the_extra_msgpack_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ConfigError, match=r"pip install 'structiot\[msgpack\]'"):
        get_codec(name)
