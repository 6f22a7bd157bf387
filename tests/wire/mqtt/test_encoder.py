"""What our own side is not allowed to send, and the quick encoders."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.mqtt.wire.codec import (
    Decoder,
    encode,
    encode_publish_into,
    puback_bytes,
    pubcomp_bytes,
    pubrec_bytes,
    pubrel_bytes,
)
from structiot.mqtt.wire.codec.fast_path import MAX_CACHED_TOPICS, _topic_fields
from structiot.mqtt.wire.codec.fields import write_counted, write_varint
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Puback,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from structiot.mqtt.wire.properties import (
    AckProperties,
    ConnackProperties,
    ConnectProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode

PAIR = (("a", "b"),)
TOO_MUCH = bytes(268_435_456)  # never touched, so it takes no memory


def subscribe(**options: Any) -> Subscribe:
    options.setdefault("topic_filter", "a")
    return Subscribe(packet_id=1, subscriptions=(SubscriptionRequest(**options),))


# --- PUBLISH ----------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a/#",
        "a/+/b",
        "a\0b",
        "\ud800",
        "x" * 65_536,
        "\u00e9" * 32_768,
        b"of bytes",
        None,
    ],
)
def test_a_topic_that_is_no_topic_name_is_refused_and_nothing_is_written(
    topic: Any, version: int
):
    out = bytearray(b"before")
    with pytest.raises(UsageError):
        encode_publish_into(out, topic, b"x", 0, 0, version)
    assert out == b"before"


@pytest.mark.parametrize(
    ("flags", "packet_id"),
    [
        (6, 1),
        (7, 1),
        (14, 1),
        (15, 1),
        (8, 0),
        (9, 1),
        (16, 0),
        (-1, 0),
        (0, 1),
        (1, 1),
        (2, 0),
        (12, 65_536),
        (4, -1),
    ],
)
def test_impossible_flags_and_identifiers_are_refused(flags: int, packet_id: int):
    out = bytearray()
    with pytest.raises(UsageError):
        encode_publish_into(out, "a", b"x", flags, packet_id, 4)
    assert out == b""


@pytest.mark.parametrize("payload", ["text", None, 5, [1], 1.0])
def test_a_payload_that_is_not_bytes_is_refused(payload: Any):
    out = bytearray()
    with pytest.raises(UsageError, match="payload must be bytes"):
        encode_publish_into(out, "a", payload, 0, 0, 4)
    assert out == b""


@pytest.mark.parametrize(
    "payload", [bytearray(b"hi"), memoryview(b"hi"), memoryview(b"h-i-")[::2]]
)
def test_a_payload_may_be_any_sort_of_bytes(payload: Any):
    out = bytearray()
    encode_publish_into(out, "a", payload, 0, 0, 4)
    assert out == bytes.fromhex("3005000161") + b"hi"


def test_packets_are_appended_one_behind_the_other():
    out = bytearray()
    encode_publish_into(out, "a", b"1", 0, 0, 4)
    encode_publish_into(out, "a", b"2", 3, 258, 5)
    encode_publish_into(out, "a", b"", 1, 0, 5, PublishProperties())
    assert out == bytes.fromhex("3004000161 31 3307000161 0102 00 32 3104000161 00")


def test_a_topic_alias_may_stand_for_the_topic():
    out = bytearray()
    encode_publish_into(out, "", b"x", 0, 0, 5, PublishProperties(topic_alias=9))
    assert out == bytes.fromhex("3007 0000 03 230009 78")

    with pytest.raises(UsageError):
        encode_publish_into(out, "", b"x", 0, 0, 5, PublishProperties())
    with pytest.raises(UsageError):
        encode_publish_into(out, "", b"x", 0, 0, 5)
    assert len(out) == 9


def test_properties_of_a_message_are_refused_in_3_1_1():
    out = bytearray()
    with pytest.raises(UsageError, match=r"5\.0 only"):
        encode_publish_into(out, "a", b"", 0, 0, 4, PublishProperties(payload_format=1))
    assert out == b""

    encode_publish_into(out, "a", b"", 0, 0, 4, PublishProperties())
    assert out == bytes.fromhex("3003000161")


@pytest.mark.parametrize("version", [0, 3, 6, None])
def test_an_unknown_version_is_refused(version: Any):
    with pytest.raises(UsageError, match="levels 4 and 5"):
        encode_publish_into(bytearray(), "a", b"", 0, 0, version)
    with pytest.raises(UsageError, match="levels 4 and 5"):
        encode(Disconnect(), version)


def test_a_message_of_256_mb_is_refused():
    out = bytearray()
    with pytest.raises(UsageError, match="PUBLISH of 268435459 bytes"):
        encode_publish_into(out, "a", TOO_MUCH, 0, 0, 4)
    assert out == b""


def test_remembered_topics_are_bounded():
    _topic_fields.clear()
    out = bytearray()
    for number in range(MAX_CACHED_TOPICS + 1):
        encode_publish_into(out, f"t/{number}", b"", 0, 0, 4)
    assert len(_topic_fields) == 1
    encode_publish_into(out, "t" * 257, b"", 0, 0, 4)
    assert len(_topic_fields) == 1


@pytest.mark.parametrize(
    "make", [puback_bytes, pubrec_bytes, pubrel_bytes, pubcomp_bytes]
)
def test_an_acknowledgement_needs_a_packet_identifier(make: Any):
    for packet_id in (0, -1, 65_536):
        with pytest.raises(UsageError, match="1 to 65535"):
            make(packet_id)
    for packet_id in (1, 65_535):
        assert len(make(packet_id)) == 4


# --- the other packets ------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        Connect(version=4, username=None, password=b"x"),
        Connect(version=4, clean_start=False),
        Connect(version=5),
        Connect(version=4, keep_alive_s=65_536),
        Connect(version=4, keep_alive_s=-1),
        Connect(version=4, client_id="a\0"),
        Connect(version=4, client_id="x" * 65_536),
        Connect(version=4, username="\ud800"),
        Connect(version=4, username="u", password="text"),  # type: ignore[arg-type]
        Connect(version=4, username="u", password=bytes(65_536)),
        Connect(version=4, properties=ConnectProperties(session_expiry_s=1)),
        Connect(version=4, will=Will(topic="a/+")),
        Connect(version=4, will=Will(topic="")),
        Connect(version=4, will=Will(topic="w", qos=3)),
        Connect(version=4, will=Will(topic="w", payload=bytes(65_536))),
        Connect(
            version=4, will=Will(topic="w", properties=WillProperties(will_delay_s=1))
        ),
        Connack(session_present=True, reason=ConnectReturnCode.NOT_AUTHORIZED),
        Connack(properties=ConnackProperties(receive_maximum=1)),
        Puback(packet_id=0),
        Puback(packet_id=1, reason=ReasonCode.NO_MATCHING_SUBSCRIBERS),
        Puback(packet_id=1, properties=AckProperties(reason_string="r")),
        Subscribe(packet_id=1, subscriptions=()),
        Subscribe(packet_id=0, subscriptions=(SubscriptionRequest(topic_filter="a"),)),
        Subscribe(
            packet_id=1,
            subscriptions=(SubscriptionRequest(topic_filter="a"),),
            properties=SubscribeProperties(subscription_id=1),
        ),
        subscribe(topic_filter="a#"),
        subscribe(topic_filter=""),
        subscribe(topic_filter="$share/g"),
        subscribe(qos=3),
        subscribe(no_local=True),
        subscribe(retain_as_published=True),
        subscribe(retain_handling=1),
        Suback(packet_id=1, reasons=()),
        Suback(packet_id=1, reasons=(ReasonCode.NO_SUBSCRIPTION_EXISTED,)),
        Unsubscribe(packet_id=1, topic_filters=()),
        Unsubscribe(packet_id=1, topic_filters=("a/#/b",)),
        Unsubscribe(
            packet_id=1,
            topic_filters=("a",),
            properties=UnsubscribeProperties(user_properties=PAIR),
        ),
        Unsuback(packet_id=1, reasons=(ReasonCode.GRANTED_QOS_1,)),
        Disconnect(reason=ReasonCode.DISCONNECT_WITH_WILL),
        Disconnect(properties=DisconnectProperties(session_expiry_s=1)),
        Auth(),
    ],
    ids=repr,
)
def test_3_1_1_refuses(packet: Any):
    with pytest.raises(UsageError):
        encode(packet, 4)


@pytest.mark.parametrize(
    "packet",
    [
        Connect(version=4),
        Connack(session_present=True, reason=ReasonCode.BANNED),
        Connack(reason=ReasonCode.PACKET_IDENTIFIER_NOT_FOUND),
        Connack(reason=ReasonCode(0x7F)),
        Puback(packet_id=1, reason=ReasonCode.PACKET_IDENTIFIER_NOT_FOUND),
        Pubrec(packet_id=1, reason=ReasonCode(0x7F)),
        Pubrel(packet_id=1, reason=ReasonCode.NO_MATCHING_SUBSCRIBERS),
        subscribe(topic_filter="$share/g/a", no_local=True),
        subscribe(retain_handling=3),
        Suback(packet_id=1, reasons=()),
        Unsuback(packet_id=1),
        Disconnect(reason=ReasonCode.BANNED),
        Auth(reason=ReasonCode.NOT_AUTHORIZED),
        "not a packet",
        None,
    ],
    ids=repr,
)
def test_5_0_refuses(packet: Any):
    with pytest.raises(UsageError):
        encode(packet, 5)


def test_a_connack_is_translated_to_the_version_of_the_client():
    for reason in (ReasonCode.NOT_AUTHORIZED, ConnectReturnCode.NOT_AUTHORIZED):
        assert encode(Connack(reason=reason), 4) == bytes.fromhex("20020005")
        assert encode(Connack(reason=reason), 5) == bytes.fromhex("2003008700")
    for ok in (ReasonCode.SUCCESS, ConnectReturnCode.ACCEPTED):
        present = Connack(session_present=True, reason=ok)
        assert encode(present, 4) == bytes.fromhex("20020100")
        assert encode(present, 5) == bytes.fromhex("2003010000")


def test_refusals_of_a_suback_become_0x80_and_an_unsuback_loses_its_codes():
    reasons = (ReasonCode.GRANTED_QOS_2, ReasonCode.NOT_AUTHORIZED)
    packet = Suback(packet_id=1, reasons=reasons)
    assert encode(packet, 4) == bytes.fromhex("90040001 02 80")

    gone = Unsuback(packet_id=1, reasons=(ReasonCode.NO_SUBSCRIPTION_EXISTED,))
    assert encode(gone, 4) == bytes.fromhex("b0020001")
    assert encode(gone, 5) == bytes.fromhex("b0040001 00 11")


def test_a_password_alone_is_for_5_0():
    packet = Connect(version=5, password=b"")
    [again] = Decoder(role="server").feed(encode(packet, 5))
    assert again == packet


def test_what_no_length_can_express_is_refused():
    with pytest.raises(UsageError, match="SUBSCRIBE of 268435456 bytes"):
        write_counted(b"\x82", [TOO_MUCH], "SUBSCRIBE")


def test_a_variable_byte_integer_is_always_written_in_its_shortest_form():
    expected = {
        0: "00",
        127: "7f",
        128: "8001",
        16_383: "ff7f",
        16_384: "808001",
        2_097_151: "ffff7f",
        2_097_152: "80808001",
        268_435_455: "ffffff7f",
    }
    for value, digits in expected.items():
        assert write_varint(value).hex() == digits
