"""The receiver's half of QoS 1 and 2: order, repetitions, the window, reconnects."""

from __future__ import annotations

import pytest

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.flows.inbound import Ack, Incoming
from structiot.mqtt.wire.messages import Message, Packet, Puback, Pubcomp, Pubrec
from structiot.mqtt.wire.reasons import ReasonCode


class Receiver:
    """An `Incoming` with what it would write."""

    def __init__(self, *, window: int = 65_535) -> None:
        self.incoming = Incoming(window=window)
        self.out = bytearray()

    def arrive(
        self, packet_id: int, payload: bytes = b"x", *, qos: int = 1, dup: bool = False
    ) -> Ack | None:
        """Deliver a message; give what it is owed, None for a repetition."""
        message = Message("t", payload, qos=qos, packet_id=packet_id, dup=dup)
        is_new = self.incoming.arrive(message, self.out)
        assert is_new == (message.receipt is not None)
        ack: Ack | None = message.receipt
        return ack

    def new(self, packet_id: int, payload: bytes = b"x", *, qos: int = 1) -> Ack:
        ack = self.arrive(packet_id, payload, qos=qos)
        assert ack is not None
        return ack

    def settle(self, *acks: Ack) -> None:
        for ack in acks:
            self.incoming.settle(ack, self.out)

    def said(self) -> list[Packet]:
        packets = Decoder(role="client", version=5).feed(bytes(self.out))
        self.out.clear()
        return packets


def puback(packet_id: int) -> Puback:
    return Puback(packet_id=packet_id)


def pubrec(packet_id: int) -> Pubrec:
    return Pubrec(packet_id=packet_id)


# -- order (C50) ---------------------------------------------------------------------


def test_nothing_is_acknowledged_before_it_is_settled():
    receiver = Receiver()
    ack = receiver.new(1)
    assert receiver.said() == []
    receiver.settle(ack)
    assert receiver.said() == [puback(1)]
    assert len(receiver.incoming) == 0


def test_acknowledgements_leave_in_the_order_of_arrival():
    receiver = Receiver()
    acks = [receiver.new(number, qos=1 + number % 2) for number in (5, 2, 9, 4)]
    receiver.settle(*reversed(acks[1:]))
    assert receiver.said() == []
    receiver.settle(acks[0])
    assert receiver.said() == [pubrec(5), puback(2), pubrec(9), puback(4)]


def test_settling_says_whether_there_is_something_to_write():
    receiver = Receiver()
    first, second = receiver.new(1), receiver.new(2)
    assert not receiver.incoming.settle(second, receiver.out)
    assert receiver.incoming.settle(first, receiver.out)


def test_a_reason_goes_into_the_acknowledgement_and_a_refused_qos_2_needs_no_pubrel():
    receiver = Receiver()
    for qos, kind in ((1, Puback), (2, Pubrec)):
        ack = receiver.new(qos, qos=qos)
        ack.reason = ReasonCode.QUOTA_EXCEEDED
        receiver.settle(ack)
        expected = kind(packet_id=qos, reason=ReasonCode.QUOTA_EXCEEDED)
        assert receiver.said() == [expected]
    assert receiver.incoming.unreleased == frozenset()


def test_what_is_abandoned_stays_unacknowledged_and_holds_nobody_back():
    receiver = Receiver()
    first, second, third = (receiver.new(number) for number in (1, 2, 3))
    receiver.settle(second)
    receiver.incoming.abandon(first, receiver.out)
    assert receiver.said() == [puback(2)]
    receiver.incoming.abandon(first, receiver.out)
    receiver.settle(first, third)
    assert receiver.said() == [puback(3)]


def test_what_was_abandoned_is_a_new_message_when_it_comes_again():
    receiver = Receiver()
    receiver.incoming.abandon(receiver.new(1), receiver.out)
    assert receiver.arrive(1, dup=True) is not None
    ack = receiver.new(2)
    receiver.incoming.pause()
    receiver.incoming.abandon(ack, receiver.out)
    assert receiver.arrive(2, dup=True) is not None


def test_what_was_abandoned_holds_no_message_behind_one_that_nobody_takes():
    receiver = Receiver()
    receiver.new(1)
    abandoned = receiver.new(2, bytes(1_000_000))
    receiver.incoming.abandon(abandoned, receiver.out)
    # What is not charged any more is not kept either.
    assert abandoned.message is None
    again = receiver.arrive(2, bytes(1_000_000), dup=True)
    assert again is not None
    assert again.message is not None


# -- ids and repetitions (C34, C51, C52, C53) ----------------------------------------


def test_after_the_puback_the_same_id_is_a_new_message_whatever_dup_says():
    receiver = Receiver()
    receiver.settle(receiver.new(1))
    again = receiver.arrive(1, dup=True)
    assert again is not None


def test_qos_2_is_handed_on_once_until_its_pubrel():
    receiver = Receiver()
    receiver.settle(receiver.new(1, qos=2))
    assert receiver.said() == [pubrec(1)]
    for dup in (True, False):
        assert receiver.arrive(1, qos=2, dup=dup) is None
        assert receiver.said() == [pubrec(1)]
    assert receiver.incoming.repeated == 2
    receiver.incoming.on_pubrel(1, receiver.out, 5)
    assert receiver.said() == [Pubcomp(packet_id=1)]
    assert receiver.arrive(1, qos=2) is not None


def test_a_qos_2_repetition_before_our_pubrec_waits_for_it():
    receiver = Receiver()
    ack = receiver.new(1, qos=2)
    assert receiver.arrive(1, qos=2, dup=True) is None
    assert receiver.said() == []
    receiver.settle(ack)
    assert receiver.said() == [pubrec(1)]


def test_a_broker_that_repeats_qos_1_on_a_timer_is_answered_once():
    # EMQX and VerneMQ do so, every 20 or 30 seconds, while a subscriber takes its time.
    receiver = Receiver()
    ack = receiver.new(1)
    assert receiver.arrive(1, dup=True) is None
    assert receiver.arrive(1, dup=True) is None
    assert receiver.incoming.repeated == 2
    receiver.settle(ack)
    assert receiver.said() == [puback(1)]


@pytest.mark.parametrize("qos", [1, 2])
def test_an_open_id_for_another_message_is_a_protocol_error(qos: int):
    receiver = Receiver()
    receiver.new(1, b"one", qos=qos)
    with pytest.raises(ProtocolViolation, match="packet id 1 is in use") as caught:
        receiver.arrive(1, b"two", qos=qos, dup=True)
    assert caught.value.code == ReasonCode.PROTOCOL_ERROR
    with pytest.raises(ProtocolViolation, match="packet id 1 is in use"):
        receiver.arrive(1, b"one", qos=3 - qos)


@pytest.mark.parametrize(
    ("version", "reason"),
    [(4, ReasonCode.SUCCESS), (5, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)],
)
def test_a_pubrel_is_always_answered(version: int, reason: ReasonCode):
    receiver = Receiver()
    receiver.incoming.on_pubrel(77, receiver.out, version)
    assert receiver.said() == [Pubcomp(packet_id=77, reason=reason)]


# -- the window (C55, C58) -----------------------------------------------------------


def test_more_open_deliveries_than_announced_are_refused():
    receiver = Receiver(window=2)
    first = receiver.new(1)
    receiver.settle(receiver.new(2, qos=2))
    receiver.settle(first)
    # 1 is acknowledged, 2 waits for its PUBREL and counts.
    receiver.new(3)
    with pytest.raises(ProtocolViolation, match="more than 2 deliveries") as caught:
        receiver.arrive(4)
    assert caught.value.code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_a_repetition_does_not_count_twice():
    receiver = Receiver(window=1)
    ack = receiver.new(1, qos=2)
    assert receiver.arrive(1, qos=2, dup=True) is None
    receiver.settle(ack)
    assert receiver.arrive(1, qos=2, dup=True) is None


def test_what_an_earlier_connection_left_unreleased_does_not_count():
    receiver = Receiver(window=2)
    for packet_id in (1, 2):
        receiver.settle(receiver.new(packet_id, qos=2))
    receiver.incoming.pause()
    # The peer counts anew, whatever it has still to release (5.0 section 4.9).
    for packet_id in (3, 4):
        receiver.settle(receiver.new(packet_id, qos=2))
    with pytest.raises(ProtocolViolation, match="more than 2 deliveries"):
        receiver.arrive(5)
    receiver.incoming.on_pubrel(1, receiver.out, 5)
    with pytest.raises(ProtocolViolation, match="more than 2 deliveries"):
        receiver.arrive(5)
    receiver.incoming.on_pubrel(3, receiver.out, 5)
    receiver.new(5)


def test_a_window_that_is_overrun_again_after_a_reconnect_ends_no_second_connection():
    receiver = Receiver(window=2)
    receiver.new(1)
    receiver.new(2)
    with pytest.raises(ProtocolViolation, match="more than 2 deliveries"):
        receiver.arrive(3)
    receiver.incoming.pause()
    assert receiver.arrive(1, dup=True) is None
    assert receiver.arrive(2, dup=True) is None
    receiver.settle(receiver.new(3))
    receiver.new(4)


# -- over connections (C54, C56) -----------------------------------------------------


def test_what_a_subscriber_still_holds_is_not_delivered_again_after_a_reconnect():
    receiver = Receiver()
    ack = receiver.new(1)
    receiver.incoming.pause()
    assert receiver.arrive(1, dup=True) is None
    assert receiver.said() == []
    receiver.settle(ack)
    assert receiver.said() == [puback(1)]
    assert len(receiver.incoming) == 0


def test_what_was_taken_while_away_is_acknowledged_at_its_repetition():
    receiver = Receiver()
    ack = receiver.new(1)
    receiver.incoming.pause()
    ack.is_settled = True
    assert receiver.arrive(1, dup=True) is None
    assert receiver.said() == [puback(1)]


def test_repetitions_are_acknowledged_in_the_order_of_the_new_connection():
    receiver = Receiver()
    first, second = receiver.new(1, b"1"), receiver.new(2, b"2")
    receiver.incoming.pause()
    receiver.arrive(2, b"2", dup=True)
    receiver.arrive(1, b"1", dup=True)
    receiver.settle(first)
    assert receiver.said() == []
    receiver.settle(second)
    assert receiver.said() == [puback(2), puback(1)]


@pytest.mark.parametrize("dup", [True, False])
def test_another_message_under_an_id_of_the_last_connection_is_new(dup: bool):
    receiver = Receiver()
    old = receiver.new(1, b"old")
    receiver.incoming.pause()
    fresh = receiver.arrive(1, b"new", dup=dup)
    assert fresh is not None
    receiver.settle(old)
    assert receiver.said() == []
    receiver.settle(fresh)
    assert receiver.said() == [puback(1)]


def test_known_qos_2_ids_live_with_the_session():
    receiver = Receiver()
    receiver.settle(receiver.new(1, qos=2))
    receiver.said()
    receiver.incoming.pause()
    assert receiver.incoming.unreleased == {1}
    assert receiver.arrive(1, qos=2, dup=True) is None
    assert receiver.said() == [pubrec(1)]
    receiver.incoming.forget()
    assert receiver.arrive(1, qos=2) is not None


def test_settling_what_belongs_to_a_lost_session_does_nothing():
    receiver = Receiver()
    old = receiver.new(1)
    receiver.incoming.forget()
    fresh = receiver.new(1, b"other")
    receiver.settle(old)
    assert receiver.said() == []
    receiver.settle(fresh)
    assert receiver.said() == [puback(1)]
