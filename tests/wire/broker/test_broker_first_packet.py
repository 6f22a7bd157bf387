"""The first packet of a client: rows B1, B2 and B3 of the conformance table."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Suback,
    Will,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.server_state import ServerState
from tests.wire.broker.clients import House, ScriptedClient

versions = pytest.mark.parametrize("version", [4, 5])

CONNECT_4 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"
CONNECT_5 = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c"


def closed_without_a_word(client: ScriptedClient) -> bool:
    return client.protocol.state is ServerState.CLOSING and not client.got()


# -- B1, B2, B3: the first packet


@versions
def test_b1_a_packet_before_connect_closes(version: int):
    client = ScriptedClient(House(), version)
    client.send(Pingreq())
    assert closed_without_a_word(client)


@versions
def test_b1_a_second_connect_closes(version: int):
    client = House().client(version=version)
    client.send(Connect(client_id="c", version=version))
    assert client.protocol.state is ServerState.CLOSING
    reasons = [ReasonCode.PROTOCOL_ERROR] if version == 5 else []
    assert [p.reason for p in client.got() if isinstance(p, Disconnect)] == reasons


@versions
def test_b1_a_second_connect_in_the_same_write_closes_too(version: int):
    client = ScriptedClient(House(), version)
    client.send_bytes(2 * (CONNECT_4 if version == 4 else CONNECT_5))
    first, *rest = client.got()
    assert isinstance(first, Connack)
    assert [type(packet) for packet in rest] == ([Disconnect] if version == 5 else [])
    assert client.house.core.sessions == {}


@pytest.mark.parametrize(
    ("level", "code"),
    [
        (3, ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION),
        (0, ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION),
        (0x84, ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION),
        (6, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    ],
)
def test_b2_another_level_is_refused_with_a_code_that_its_client_knows(
    level: int, code: int
):
    version = 5 if level > 5 else 4
    client = ScriptedClient(House(), version)
    client.send_bytes(CONNECT_4[:8] + bytes((level,)) + CONNECT_4[9:])
    assert client.got() == [Connack(reason=code)]  # type: ignore[arg-type]
    assert client.protocol.state is ServerState.CLOSING


def test_b2_a_client_of_3_1_is_served_as_one_of_3_1_1():
    client = ScriptedClient(House(), 4)
    client.send_bytes(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c")
    assert client.got() == [Connack()]
    client.send_bytes(b"\x82\x06\x00\x01\x00\x01t\x01\x30\x04\x00\x01t!")
    assert client.got() == [
        Suback(packet_id=1, reasons=(ReasonCode.GRANTED_QOS_1,)),
        Message("t", b"!"),
    ]


@pytest.mark.parametrize("level", [0, 2, 4, 0x83])
def test_b2_no_other_level_goes_with_the_name_of_3_1(level: int):
    client = ScriptedClient(House(), 4)
    connect = b"\x10\x0f\x00\x06MQIsdp%c\x02\x00\x00\x00\x01c" % level
    client.send_bytes(connect)
    refusal = ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION
    assert client.got() == [Connack(reason=refusal)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            CONNECT_4[:9] + b"\x03" + CONNECT_4[10:], id="reserved connect flag"
        ),
        pytest.param(CONNECT_4[:9] + b"\x0a" + CONNECT_4[10:], id="will QoS, no will"),
        pytest.param(
            CONNECT_4[:9] + b"\x22" + CONNECT_4[10:], id="will retain, no will"
        ),
        pytest.param(
            b"\x10\x12" + CONNECT_4[2:9] + b"\x1e" + CONNECT_4[10:] + b"\0\1t\0\0",
            id="will QoS 3",
        ),
        pytest.param(
            b"\x10\x10" + CONNECT_4[2:9] + b"\x42" + CONNECT_4[10:] + b"\0\1p",
            id="password without name",
        ),
        pytest.param(b"\x10\x0e" + CONNECT_4[2:] + b"\0", id="trailing byte"),
        pytest.param(b"\x10\x0c" + CONNECT_4[2:-1], id="cut"),
        pytest.param(b"\x11" + CONNECT_4[1:], id="flag nibble"),
        pytest.param(CONNECT_4[:4] + b"XQTT" + CONNECT_4[8:], id="another protocol"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
def test_b3_a_malformed_connect_closes_without_a_word(data: bytes):
    client = ScriptedClient(House())
    client.send_bytes(data)
    assert closed_without_a_word(client)
    assert client.house.core.sessions == {}


CONNECT_5_HEAD = CONNECT_5[2:9]


def connect_5(flags: int, properties: bytes, payload: bytes) -> bytes:
    body = CONNECT_5_HEAD + bytes((flags, 0, 0, len(properties))) + properties + payload
    return b"\x10" + bytes((len(body),)) + body


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (connect_5(0x03, b"", b"\0\1c"), 0x81),  # reserved flag
        (connect_5(0x1E, b"", b"\0\1c\0\0\1t\0\0"), 0x81),  # will QoS 3
        (connect_5(0x0A, b"", b"\0\1c"), 0x81),  # will QoS, no will
        (connect_5(0x02, b"", b"\0\1c\0"), 0x81),  # trailing byte
        (connect_5(0x02, b"", b"\0\2\xc3\x28"), 0x81),  # no UTF-8
        (connect_5(0x02, b"\x21\0\0", b"\0\1c"), 0x82),  # receive maximum 0
        (connect_5(0x02, b"\x27\0\0\0\0", b"\0\1c"), 0x82),  # packet size 0
        (connect_5(0x02, b"\x17\1\x17\1", b"\0\1c"), 0x82),  # twice
        (connect_5(0x02, b"\x17\2", b"\0\1c"), 0x82),  # neither 0 nor 1
        (connect_5(0x02, b"\x0b\1", b"\0\1c"), 0x82),  # not in CONNECT
        (connect_5(0x02, b"\x16\0\0", b"\0\1c"), 0x82),  # data without a method
        (connect_5(0x06, b"", b"\0\1c\0\0\1#\0\0"), 0x90),  # will topic
    ],
)
def test_b3_a_client_of_5_0_is_told_what_is_wrong_with_its_connect(
    data: bytes, code: int
):
    client = ScriptedClient(House(), 5)
    client.send_bytes(data)
    (connack,) = client.got()
    assert isinstance(connack, Connack)
    assert connack.reason == code
    assert connack.properties.reason_string
    assert client.protocol.state is ServerState.CLOSING
    assert client.house.core.sessions == {}


def too_long_connect(version: int) -> bytes:
    will = Will(topic="t" * 20_000, payload=bytes(20_000))
    return encode(Connect(client_id="c", will=will, version=version), version)


@versions
def test_b3_a_connect_that_is_too_long_is_refused_from_its_header(version: int):
    data = too_long_connect(version)
    client = ScriptedClient(House(connect_bytes=30_000), version)
    client.send_bytes(data[:3])
    assert client.protocol.violation is None
    client.send_bytes(data[3:4])
    assert closed_without_a_word(client)
    told = ScriptedClient(House(connect_bytes=30_000), version)
    told.send_bytes(data)
    expected = [ReasonCode.PACKET_TOO_LARGE] if version == 5 else []
    assert [p.reason for p in told.got() if isinstance(p, Connack)] == expected
    assert not ScriptedClient(House(), version).connect("c").reason.is_failure


@versions
def test_b3_what_follows_a_connect_may_be_longer(version: int):
    house = House(connect_bytes=16_386)
    subscriber = house.subscriber("a")
    client = ScriptedClient(house, version)
    connect = Connect(client_id="hasty", version=version)
    data = encode(connect, version) + encode(Message("a", bytes(50_000)), version)
    client.send_bytes(data[:40_000])
    client.send_bytes(data[40_000:])
    assert client.protocol.violation is None
    assert subscriber.got_payloads() == [bytes(50_000)]
