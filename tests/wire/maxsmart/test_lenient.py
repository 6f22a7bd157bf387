"""What comes in: read as far as it makes sense, and never an error but a violation."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.json_text import clean_text, parse_object
from structiot.errors import ProtocolViolation
from structiot.maxsmart.wire.codec import (
    decode_http_target,
    decode_reply,
    decode_v3_reply,
    decode_v3_request,
)
from structiot.maxsmart.wire.codec_data import (
    normal_mac,
    read_clock,
    read_identifiers,
    read_port_data,
    read_statistics,
    read_switches,
)
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_reply,
    decode_discovery_request,
    ports_of_serial,
    readable_serial,
)
from structiot.maxsmart.wire.messages import (
    Reply,
)

SERIAL = "SWP6000000000001"


def reply_with(**data: object) -> Reply:
    return Reply(response=511, data=data)


# ---------------------------------------------------------------- what comes in


@pytest.mark.parametrize(
    ("element", "unit", "power_mw"),
    [
        ("5.20", None, 5200),
        (5.2, None, 5200),
        (5200, None, 5200),
        (5200, "W", 5_200_000),
        ("5200", "mW", 5200),
        (" 7.5 ", None, 7500),
        ("-3.3", None, None),
        ("1e3", None, 1_000_000),
        *[(e, None, None) for e in ("", "n/a", "5,2", "0x1", "inf", "nan", "1_0", "٣")],
        *[(e, None, None) for e in (None, True, [1], {"w": 1}, 10**400)],
    ],
)
def test_each_element_decides_its_own_unit(element, unit, power_mw):
    reply = reply_with(switch=[1, 1], watt=[element, 1000], amp=[element, 0])
    ports = read_port_data(reply, watt_unit=unit)
    assert ports.power_mw[0] == power_mw
    assert ports.power_mw[1] == (1_000_000 if unit == "W" else 1000)


@pytest.mark.parametrize(
    ("power_w", "current_a"),
    [
        (-8388.608, 65.535),
        (4294967.295, -0.001),
        (1e30, 1e30),
        (-0.01, 25.001),
        (6250.001, 4294967.295),
    ],
)
@pytest.mark.parametrize("is_text", [False, True])
def test_figures_that_no_port_can_have_are_none_and_noted(power_w, current_a, is_text):
    def told(figure: float) -> object:
        return str(figure) if is_text else round(figure * 1000)

    reply = reply_with(
        switch=[1, 1], watt=[told(power_w), told(1)], amp=[told(2), told(current_a)]
    )
    ports = read_port_data(reply)
    assert [*ports.power_mw] == [None, 1000]
    assert [*ports.current_ma] == [2000, None]
    assert [text.split(" ", 1)[1] for text in ports.impossible] == [
        "W at port 1",
        "A at port 2",
    ]


def test_the_largest_figures_of_a_port_are_taken():
    reply = reply_with(switch=[1, 0], watt=[6_250_000, 0], amp=[25_000, 0])
    ports = read_port_data(reply)
    assert (ports.power_mw, ports.current_ma) == ((6_250_000, 0), (25_000, 0))
    assert ports.impossible == ()


def test_the_override_is_for_watts_and_leaves_amperes_alone():
    reply = reply_with(switch=[1], watt=[5], amp=[20])
    ports = read_port_data(reply, watt_unit="W")
    assert (ports.power_mw, ports.current_ma) == ((5000,), (20,))


@pytest.mark.parametrize(
    ("elements", "states"),
    [
        ([1, 0], (True, False)),
        ([True, False], (True, False)),
        (["1", "0"], (True, False)),
        ([1.0, 0.0], (True, False)),
        ([2, None], (None, None)),
        (["on", [1]], (None, None)),
    ],
)
def test_states_that_are_neither_on_nor_off_are_none(elements, states):
    assert read_switches(reply_with(switch=elements)) == states


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"switch": []},
        {"switch": 1},
        {"switch": [1] * 65},
        {"switch": [1, 1], "watt": [1]},
        {"switch": [1], "watt": [1, 2]},
        {"switch": [1], "watt": 5},
        {"switch": [1, 1], "watt": [1, 1], "amp": [1]},
    ],
)
def test_lists_that_cannot_be_matched_to_ports_are_refused(data):
    with pytest.raises(ProtocolViolation):
        read_port_data(reply_with(**data))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"code":"200"}', 200),
        (b'{"code":null}', 200),
        (b"{}", 200),
        (b'{"code":" 400 "}', 400),
        (b'{"code":400.0}', 400),
    ],
)
def test_codes_may_be_text_or_missing(text, code):
    assert decode_reply(text).code == code


@pytest.mark.parametrize("code", [b'"fine"', b"true", b"[]", b"1.5", b'"2_0"'])
def test_codes_that_are_no_number_are_refused(code):
    with pytest.raises(ProtocolViolation):
        decode_reply(b'{"code":' + code + b"}")


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (read_clock, {}),
        (read_clock, {"time": "2024-13-01,00:00:00"}),
        (read_clock, {"time": "yesterday"}),
        (read_statistics, {}),
        (read_statistics, {"watt": [], "type": 0}),
        (read_statistics, {"watt": [[1]], "type": 7}),
        (read_statistics, {"watt": [1], "type": 0}),
        (read_statistics, {"watt": [[1] * 1001], "type": 0}),
    ],
)
def test_other_data_without_sense_are_refused(read, data):
    with pytest.raises(ProtocolViolation):
        read(reply_with(**data))


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?cmd=",
        "/?cmd=999",
        "/?cmd=abc",
        "/?cmd=200",
        "/?cmd=200&json=",
        "/?cmd=200&json={}",
        '/?cmd=200&json={"port":1}',
        '/?cmd=200&json={"port":1,"state":2}',
        '/?cmd=200&json={"port":"x","state":1}',
        '/?cmd=201&json={"port":1,"name":7}',
        '/?cmd=510&json={"type":3}',
        "/?cmd=511&json=[1]",
    ],
)
def test_devices_hang_up_on_requests_without_sense(target):
    with pytest.raises(ProtocolViolation):
        decode_http_target(target)


@pytest.mark.parametrize("data", [b"", b"V3", b'{"cmd":90}', b'V3{"cmd":502}', b"V3[]"])
def test_devices_stay_silent_on_frames_without_sense(data):
    with pytest.raises(ProtocolViolation):
        decode_v3_request(data)


@pytest.mark.parametrize("zone", ["x", "99", "-99", "+15"])
def test_a_zone_that_is_none_is_left_out(zone):
    data = f"00dv=all,2024-05-01,13:45:10,{zone};".encode()
    assert decode_discovery_request(data).zone_h is None


@pytest.mark.parametrize("data", [b"", b"01dv=all;", b"00xx=all;", b"V3{}", b"\xff"])
def test_other_datagrams_are_no_discovery_request(data):
    with pytest.raises(ProtocolViolation):
        decode_discovery_request(data)


# ---------------------------------------------------------------- names and numbers


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("02:00:00:00:00:0A", "02000000000a"),
        ("02-00-00-00-00-0a", "02000000000a"),
        ("0200.0000.000a", "02000000000a"),
        ("02000000000A", "02000000000a"),
        *[
            (t, None)
            for t in ("", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "x", 12, None)
        ],
        ("01:00:5e:00:00:01", None),
    ],
)
def test_macs_are_normal_or_none(text, mac):
    assert normal_mac(text) == mac


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        (SERIAL, SERIAL),
        (f" {SERIAL}\0", SERIAL),
        ("SW\x01P6", None),
        ("SW P6", None),
        ("é" * 16, None),
        ("abc", None),
        ("x" * 33, None),
        (12345, None),
    ],
)
def test_serials_are_readable_or_none(text, serial):
    assert readable_serial(text) == serial


@pytest.mark.parametrize(
    ("serial", "ports"),
    [
        (SERIAL, 6),
        ("SWW1000000000001", 1),
        ("SWP9", None),
        ("XX6612", None),
        (None, None),
    ],
)
def test_the_fourth_character_of_a_serial_is_the_number_of_ports(serial, ports):
    assert ports_of_serial(serial) == ports


def test_texts_lose_control_characters_and_half_characters():
    assert clean_text(" a\x00b\ud83d ") == "a b\ufffd"
    assert clean_text("a\u202e\u200bb\u2066 \x9bc") == "a b   c"
    clean_text("\ud83d").encode("utf-8")


def test_a_violation_shows_where_and_hides_secrets():
    data = b'{"data":{"sak":"00112233AABB","sn":"x",,}}'
    with pytest.raises(ProtocolViolation) as caught:
        decode_discovery_reply(data)
    assert caught.value.offset == data.index(b",,") + 1
    assert b"00112233AABB" not in caught.value.data
    assert b'"sak":"***"' in caught.value.data


def test_json_nested_without_end_is_refused():
    with pytest.raises(ProtocolViolation, match="nested"):
        parse_object(b'{"a":' * 30_000, "reply")


def test_a_number_without_end_is_refused():
    with pytest.raises(ProtocolViolation):
        parse_object(b'{"a":' + b"9" * 10_000 + b"}", "reply")


# ---------------------------------------------------------------- anything at all

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["200", "5.20", "nan", "1" * 50]),
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "code",
                    "response",
                    "sn",
                    "watt",
                    "amp",
                    "switch",
                    "time",
                    "cpuid",
                    "type",
                    "mac",
                    "pname",
                    "name",
                    "ver",
                    "sak",
                    "cmd",
                    "port",
                ]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=25,
)
DECODERS: list[Callable[[bytes], Any]] = [
    decode_reply,
    decode_v3_reply,
    decode_v3_request,
    decode_discovery_reply,
    decode_discovery_request,
    lambda data: decode_http_target(data.decode("latin-1")),
    lambda data: read_port_data(decode_reply(data)),
    lambda data: read_statistics(decode_reply(data)),
    lambda data: read_clock(decode_reply(data)),
    lambda data: read_identifiers(decode_reply(data)),
]


def nothing_but_violations(data: bytes) -> None:
    for decode in DECODERS:
        with suppress(ProtocolViolation):
            decode(data)


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_violations(data):
    nothing_but_violations(data)


@given(
    value=JSON, prefix=st.sampled_from([b"", b"V3", b"00dv=all,", b"/?cmd=200&json="])
)
def test_any_json_raises_nothing_but_violations(value, prefix):
    nothing_but_violations(prefix + json.dumps(value).encode())


@pytest.mark.parametrize("read", [decode_discovery_reply, decode_v3_reply])
def test_a_datagram_longer_than_any_device_sends_is_not_read(read):
    def padded(size: int) -> bytes:
        members = {"code": 200, "data": {"name": "n"}, "x": ""}
        short = json.dumps(members)
        return json.dumps({**members, "x": "x" * (size - len(short))}).encode()

    read(padded(8192))
    with pytest.raises(ProtocolViolation, match="a datagram of 8193 bytes"):
        read(padded(8193))


def test_names_without_end_are_cut():
    names = ["p" * 500] * 200
    fields = {"name": "n" * 500, "ver": "1" * 500, "pname": names[:10]}
    reply = decode_discovery_reply(json.dumps({"data": fields}).encode())
    assert (reply.name, reply.firmware) == ("n" * 64, "1" * 64)
    assert reply.port_names == ("p" * 64,) * 10
    many = json.dumps({"data": {"pname": [""] * 500}}).encode()
    assert len(decode_discovery_reply(many).port_names or ()) == 64
