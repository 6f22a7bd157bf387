from __future__ import annotations

import copy
import pickle

import pytest

from structiot.errors import UsageError
from structiot.mqtt.wire.messages import Connect, Message, Will
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import (
    ALLOWED_REASONS,
    ConnectReturnCode,
    ReasonCode,
    reason_of_return_code,
    return_code_of_reason,
)
from tests.wire.mqtt.vectors import VECTORS


def test_flags_of_a_message_are_seen_one_by_one():
    message = Message("a", b"x", qos=2, retain=True, dup=True, packet_id=7)

    assert message.flags == 0b1101
    assert (message.qos, message.retain, message.dup) == (2, True, True)
    plain = Message("a")
    assert (plain.flags, plain.qos, plain.retain, plain.dup) == (0, 0, False, False)
    assert plain.payload == plain.data == b""


@pytest.mark.parametrize("qos", [-1, 3, None])
def test_a_message_of_an_impossible_qos_is_refused(qos: int):
    with pytest.raises(UsageError, match="QoS"):
        Message("a", qos=qos)


def test_a_message_prints_what_matters_and_only_the_head_of_its_payload():
    assert repr(Message("a", b"hi")) == "Message('a', b'hi', qos=0)"
    message = Message(
        "a",
        b"x" * 33,
        qos=1,
        retain=True,
        dup=True,
        packet_id=9,
        properties=PublishProperties(topic_alias=1),
    )
    text = repr(message)
    assert text.startswith(f"Message('a', {b'x' * 32!r}... (33 bytes), qos=1, ")
    assert "retain, dup, packet_id=9, properties=PublishProperties(" in text


def test_messages_are_compared_by_what_travels():
    one, other = Message("a", b"1"), Message("a", b"1")
    other.data = 1
    other.receipt = object()

    assert one == other
    assert one != Message("a", b"1", retain=True)
    assert one != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_a_copy_of_a_message_is_an_own_view_of_the_same_payload():
    message = Message("a", b"1", qos=1, packet_id=3)
    message.receipt = object()
    twin = copy.copy(message)
    twin.data = {"decoded": 1}

    assert twin == message
    assert twin.payload is message.payload
    assert twin.receipt is message.receipt
    assert message.data == b"1"


def test_a_pickled_message_comes_back_without_its_receipt():
    message = Message("a", b"1", qos=1, packet_id=3)
    message.data = [1]
    message.receipt = object()

    for twin in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message)):
        assert twin == message
        assert twin.data == [1]
        assert twin.receipt is None


def test_every_packet_survives_pickle_and_copy():
    for vector in VECTORS:
        packet = vector.packet
        assert pickle.loads(pickle.dumps(packet)) == packet, vector.what
        assert copy.deepcopy(packet) == packet, vector.what


def test_a_password_is_never_printed():
    packet = Connect(
        username="anna", password=b"geheim", will=Will(topic="w", payload=b"bye")
    )

    assert "geheim" not in repr(packet)
    assert "anna" in repr(packet)


def test_a_number_that_is_no_reason_code_is_kept():
    unknown = ReasonCode(0x7F)

    assert unknown == 0x7F
    assert unknown.name == "UNKNOWN_7F"
    assert unknown.text == "unknown 7f"
    assert pickle.loads(pickle.dumps(unknown)) == unknown


@pytest.mark.parametrize("value", [-1, 256, "x"])
def test_what_is_not_one_byte_is_no_reason_code(value: int):
    with pytest.raises(ValueError, match="ReasonCode"):
        ReasonCode(value)


def test_reason_codes_say_what_they_mean_and_whether_they_refuse():
    assert ReasonCode.SUCCESS.text == "success"
    assert ReasonCode.GRANTED_QOS_2.text == "granted QoS 2"
    assert ReasonCode.NOT_AUTHORIZED.text == "not authorized"
    assert not ReasonCode.NO_MATCHING_SUBSCRIBERS.is_failure
    assert ReasonCode.UNSPECIFIED_ERROR.is_failure
    assert len({code.text for code in ReasonCode}) == len(ReasonCode)


def test_return_codes_say_what_they_mean_and_whether_they_refuse():
    assert ConnectReturnCode.ACCEPTED.text == "accepted"
    assert not ConnectReturnCode.ACCEPTED.is_failure
    assert ConnectReturnCode.NOT_AUTHORIZED.text == "not authorized"
    assert ConnectReturnCode.NOT_AUTHORIZED.is_failure


def test_return_codes_translate_to_reason_codes_and_back():
    for code in ConnectReturnCode:
        reason = reason_of_return_code(code)
        assert reason.is_failure == code.is_failure
        assert return_code_of_reason(reason) is code


def test_every_reason_of_a_connack_has_a_return_code_that_refuses_as_well():
    for reason in ALLOWED_REASONS[2].values():
        assert return_code_of_reason(reason).is_failure == reason.is_failure
    assert return_code_of_reason(ReasonCode.BANNED) is ConnectReturnCode.NOT_AUTHORIZED
    busy = return_code_of_reason(ReasonCode.SERVER_BUSY)
    assert busy is ConnectReturnCode.SERVER_UNAVAILABLE
