"""The property blocks: which property in which packet, with which values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.mqtt.wire import properties as property_module
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.decoder import Role
from structiot.mqtt.wire.codec.property_blocks import write_properties
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Puback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.properties import (
    AckProperties,
    AuthProperties,
    ConnackProperties,
    ConnectProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
    WillProperties,
)

MALFORMED, PROTOCOL_ERROR, BAD_TOPIC, BAD_ALIAS = 0x81, 0x82, 0x90, 0x94

# Identifier, a valid value, the packets that may carry it: C CONNECT, W will,
# K CONNACK, P PUBLISH, A acknowledgements of PUBLISH, B SUBSCRIBE, S SUBACK,
# N UNSUBSCRIBE, U UNSUBACK, D DISCONNECT, X AUTH.
TABLE = {
    0x01: ("01", "PW"),
    0x02: ("00000001", "PW"),
    0x03: ("000161", "PW"),
    0x08: ("000161", "PW"),
    0x09: ("000100", "PW"),
    0x0B: ("01", "PB"),
    0x11: ("00000000", "CKD"),
    0x12: ("000161", "K"),
    0x13: ("0000", "K"),
    0x15: ("000161", "CKX"),
    0x16: ("000100", "CKX"),
    0x17: ("00", "C"),
    0x18: ("00000000", "W"),
    0x19: ("01", "C"),
    0x1A: ("000161", "K"),
    0x1C: ("000161", "KD"),
    0x1F: ("000161", "KASUDX"),
    0x21: ("0001", "CK"),
    0x22: ("0000", "CK"),
    0x23: ("0001", "P"),
    0x24: ("00", "K"),
    0x25: ("00", "K"),
    0x26: ("0001610000", "CWKPABSNUDX"),
    0x27: ("00000001", "CK"),
    0x28: ("01", "K"),
    0x29: ("01", "K"),
    0x2A: ("01", "K"),
}
REPEATABLE = {(0x26, letter) for letter in "CWKPABSNUDX"} | {(0x0B, "P")}

# Who receives it, first byte, what stands before and behind the block.
PACKETS: dict[str, list[tuple[Role, int, str, str]]] = {
    "C": [("server", 0x10, "00044d515454050200 00", "000161")],
    "W": [("server", 0x10, "00044d515454050600 00 00 000161", "000177 0000")],
    "K": [("client", 0x20, "0000", "")],
    "P": [("client", 0x30, "000161", "78"), ("client", 0x32, "000161 0001", "78")],
    "A": [
        ("client", 0x40, "000100", ""),
        ("server", 0x50, "000100", ""),
        ("client", 0x62, "000100", ""),
        ("server", 0x70, "000100", ""),
    ],
    "B": [("server", 0x82, "0001", "000161 00")],
    "S": [("client", 0x90, "0001", "00")],
    "N": [("server", 0xA2, "0001", "000161")],
    "U": [("client", 0xB0, "0001", "00")],
    "D": [("client", 0xE0, "00", ""), ("server", 0xE0, "00", "")],
    "X": [("client", 0xF0, "18", ""), ("server", 0xF0, "18", "")],
}


def violation_of(
    role: Role, first: int, before: str, block: bytes, behind: str
) -> int | None:
    assert len(block) < 128
    body = bytes.fromhex(before) + bytes((len(block),)) + block + bytes.fromhex(behind)
    decoder = Decoder(role=role, version=5)
    packets = decoder.feed(bytes((first, len(body))) + body)
    assert len(packets) == (decoder.violation is None)
    return decoder.violation.code if decoder.violation else None


def prepared(number: int, letter: str, block: bytes) -> bytes:
    """Authentication data needs the method beside it."""
    if number == 0x16 and letter in "CKX":
        return b"\x15\x00\x01T" + block
    return block


@pytest.mark.parametrize("letter", PACKETS)
def test_each_property_is_accepted_where_it_belongs_and_nowhere_else(letter: str):
    for role, first, before, behind in PACKETS[letter]:
        for number in range(256):
            value, letters = TABLE.get(number, ("00", ""))
            block = bytes((number,)) + bytes.fromhex(value)
            block = prepared(number, letter, block)

            code = violation_of(role, first, before, block, behind)

            if number not in TABLE:
                assert code == MALFORMED, hex(number)
            elif letter in letters and (number, letter, role) != (0x11, "D", "client"):
                assert code is None, hex(number)
            else:
                assert code == PROTOCOL_ERROR, hex(number)


@pytest.mark.parametrize("letter", PACKETS)
def test_a_property_comes_once_unless_it_may_repeat(letter: str):
    for role, first, before, behind in PACKETS[letter]:
        for number, (value, letters) in TABLE.items():
            if letter not in letters or (number, role) == (0x11, "client"):
                continue
            block = (bytes((number,)) + bytes.fromhex(value)) * 2
            block = prepared(number, letter, block)

            code = violation_of(role, first, before, block, behind)

            is_repeatable = (number, letter) in REPEATABLE
            assert code == (None if is_repeatable else PROTOCOL_ERROR), hex(number)


@pytest.mark.parametrize("letter", PACKETS)
def test_a_block_cut_anywhere_is_malformed(letter: str):
    for role, first, before, behind in PACKETS[letter]:
        for number, (value, letters) in TABLE.items():
            if letter not in letters:
                continue
            block = bytes((number,)) + bytes.fromhex(value)
            for size in range(1, len(block)):
                code = violation_of(role, first, before, block[:size], behind)
                assert code == MALFORMED, (hex(number), size)


@pytest.mark.parametrize(
    ("letter", "block", "code"),
    [
        ("P", "0102", PROTOCOL_ERROR),
        ("W", "01ff", PROTOCOL_ERROR),
        ("C", "1702", PROTOCOL_ERROR),
        ("C", "1902", PROTOCOL_ERROR),
        ("K", "2402", PROTOCOL_ERROR),
        ("K", "2502", PROTOCOL_ERROR),
        ("K", "2802", PROTOCOL_ERROR),
        ("K", "2902", PROTOCOL_ERROR),
        ("K", "2a02", PROTOCOL_ERROR),
        ("C", "210000", PROTOCOL_ERROR),
        ("K", "210000", PROTOCOL_ERROR),
        ("C", "2700000000", PROTOCOL_ERROR),
        ("P", "230000", BAD_ALIAS),
        ("P", "0b00", PROTOCOL_ERROR),
        ("B", "0b00", PROTOCOL_ERROR),
        ("B", "0b8100", MALFORMED),
        ("B", "0bffffffff01", MALFORMED),
        ("P", "0800012b", BAD_TOPIC),
        ("W", "080000", BAD_TOPIC),
        ("X", "16000100", PROTOCOL_ERROR),
    ],
)
def test_a_value_out_of_range_is_refused(letter: str, block: str, code: int):
    for role, first, before, behind in PACKETS[letter]:
        raw = bytes.fromhex(block)
        assert violation_of(role, first, before, raw, behind) == code


def test_a_block_length_beyond_the_packet_is_malformed():
    decoder = Decoder(role="client", version=5)
    decoder.feed(bytes.fromhex("9004 0001 05 00"))
    assert decoder.violation is not None
    assert decoder.violation.code == MALFORMED


def test_user_properties_keep_their_order_and_their_duplicates():
    pairs = (("b", "2"), ("a", "1"), ("b", "2"), ("", ""))
    packet = Disconnect(properties=DisconnectProperties(user_properties=pairs))

    [again] = Decoder(role="client", version=5).feed(encode(packet, 5))

    assert isinstance(again, Disconnect)
    assert again.properties.user_properties == pairs


def with_properties(given: Any) -> Packet:
    """Put properties into a packet that takes them."""
    requests = (SubscriptionRequest(topic_filter="a"),)
    if isinstance(given, PublishProperties):
        return Message("a", properties=given)
    if isinstance(given, WillProperties):
        return Connect(version=5, will=Will(topic="w", properties=given))
    if isinstance(given, SubscribeProperties):
        return Subscribe(packet_id=1, subscriptions=requests, properties=given)
    if isinstance(given, AckProperties):
        return Puback(packet_id=1, properties=given)
    if isinstance(given, ConnectProperties):
        return Connect(version=5, properties=given)
    cls: Any = {
        ConnackProperties: Connack,
        DisconnectProperties: Disconnect,
        AuthProperties: Auth,
    }[type(given)]
    packet: Packet = cls(properties=given)
    return packet


@pytest.mark.parametrize(
    "given",
    [
        PublishProperties(payload_format=2),
        PublishProperties(message_expiry_s=-1),
        PublishProperties(message_expiry_s=2**32),
        PublishProperties(message_expiry_s=1.5),  # type: ignore[arg-type]
        PublishProperties(topic_alias=0),
        PublishProperties(topic_alias=65_536),
        PublishProperties(response_topic="a/+"),
        PublishProperties(response_topic=""),
        PublishProperties(correlation_data="text"),  # type: ignore[arg-type]
        PublishProperties(correlation_data=bytes(65_536)),
        PublishProperties(content_type="\ud800"),
        PublishProperties(content_type="a\0b"),
        PublishProperties(content_type="x" * 65_536),
        PublishProperties(content_type=b"bytes"),  # type: ignore[arg-type]
        PublishProperties(subscription_ids=(0,)),
        PublishProperties(subscription_ids=(268_435_456,)),
        PublishProperties(subscription_ids=("1",)),  # type: ignore[arg-type]
        PublishProperties(user_properties=(("a",),)),  # type: ignore[arg-type]
        PublishProperties(user_properties=("ab",)),  # type: ignore[arg-type]
        PublishProperties(user_properties=(("a", 1),)),  # type: ignore[arg-type]
        SubscribeProperties(subscription_id=0),
        ConnectProperties(receive_maximum=0),
        ConnectProperties(maximum_packet_bytes=0),
        ConnectProperties(authentication_data=b"x"),
        ConnackProperties(maximum_qos=2),
        ConnackProperties(authentication_data=b"x"),
        AuthProperties(authentication_data=b"x"),
        AckProperties(reason_string="\0"),
        WillProperties(will_delay_s=-1),
        DisconnectProperties(session_expiry_s=2**32),
    ],
)
def test_what_a_peer_would_refuse_is_refused_before_it_is_sent(given: Any):
    with pytest.raises(UsageError):
        encode(with_properties(given), 5)


def test_properties_of_another_packet_are_refused():
    packet = Disconnect(properties=AckProperties())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes DisconnectProperties, not Ack"):
        encode(packet, 5)


def test_numbers_and_truth_values_stand_for_flags():
    for value in (True, 1):
        block = write_properties(
            ConnackProperties(retain_available=value),  # type: ignore[arg-type]
            ConnackProperties,
        )
        assert block == bytes.fromhex("02 25 01")


def test_the_shared_empty_values_are_empty():
    shared = [
        value
        for name, value in vars(property_module).items()
        if name.startswith("NO_") and name.endswith("_PROPERTIES")
    ]
    assert len(shared) == 8
    for value in shared:
        assert value == type(value)()
        assert all(getattr(value, f.name) in {None, ()} for f in fields(value))


def many(count: int) -> list[tuple[str, str]]:
    return [(f"name {number}", "ü" * (number % 5)) for number in range(count)]


@pytest.mark.parametrize("count", [1, 8, 9, 300])
@pytest.mark.parametrize("is_will", [False, True])
def test_many_user_properties_go_on_as_they_came(count: int, is_will: bool):
    pairs = tuple(many(count))
    if is_will:
        will = Will(topic="t", properties=WillProperties(user_properties=pairs))
        data = encode(Connect(client_id="c", version=5, will=will), 5)
        [packet] = Decoder(role="server").feed(data)
        assert isinstance(packet, Connect)
        assert packet.will == will
        assert encode(packet, 5) == data
        return
    properties = PublishProperties(user_properties=pairs)
    data = encode(Message("t", b"x", properties=properties), 5)
    [packet] = Decoder(role="server", version=5).feed(data)
    assert isinstance(packet, Message)
    assert packet.properties == properties
    assert encode(packet, 5) == data
    changed = packet.properties.changed(message_expiry_s=7)
    expected = PublishProperties(message_expiry_s=7, user_properties=pairs)
    assert changed == expected
    assert write_properties(changed, PublishProperties) == write_properties(
        expected, PublishProperties
    )
    other = packet.properties.changed(user_properties=(("a", "b"),))
    assert write_properties(other, PublishProperties) == bytes.fromhex(
        "07 26 00 01 61 00 01 62"
    )


def test_user_properties_between_others_keep_their_order():
    pairs = [bytes((0x26, 0, 2)) + b"%02d" % n + b"\x00\x01v" for n in range(20)]
    block = b"".join(pairs[:7]) + b"\x01\x00" + b"".join(pairs[7:12])
    block += b"\x03\x00\x01c" + b"".join(pairs[12:])
    body = b"\x00\x01t" + bytes((len(block) & 127 | 128, len(block) >> 7)) + block
    size = bytes((len(body) & 127 | 128, len(body) >> 7))
    [packet] = Decoder(role="server", version=5).feed(b"\x30" + size + body)
    assert isinstance(packet, Message)
    properties = packet.properties
    assert properties is not None
    assert [name for name, _ in properties.user_properties] == [
        f"{n:02}" for n in range(20)
    ]
    again = write_properties(properties, PublishProperties)
    assert again[2:] == b"\x01\x00\x03\x00\x01c" + b"".join(pairs)
