"""The sender's half of QoS 1 and 2: ids, flows, endings."""

from __future__ import annotations

import pytest

from structiot.errors import CommandRefused, LinkLost
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, PacketIds
from structiot.mqtt.wire.messages import Message, Pubrel
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.mqtt.scripted_sender import Bell, Sender, done

REFUSED = ReasonCode.NOT_AUTHORIZED


# -- packet ids (C32, C33, C36) ------------------------------------------------------


def test_ids_begin_at_1_and_are_never_0():
    ids = PacketIds()
    taken = [ids.take() for _ in range(MAX_PACKET_ID)]
    assert taken == list(range(1, MAX_PACKET_ID + 1))


def test_the_last_free_id_of_65535_is_found():
    ids = PacketIds()
    for _ in range(MAX_PACKET_ID):
        ids.take()
    ids.free(4711)
    assert ids.take() == 4711
    assert ids.take() == 0


def test_ids_wrap_after_65535_and_skip_what_is_in_use():
    ids = PacketIds()
    for _ in range(MAX_PACKET_ID):
        ids.take()
    for packet_id in (1, 3, MAX_PACKET_ID):
        ids.free(packet_id)
    assert [ids.take() for _ in range(4)] == [1, 3, MAX_PACKET_ID, 0]


def test_an_id_is_not_reused_at_once():
    # A late acknowledgement of the old flow must not end the new one.
    ids = PacketIds()
    first = ids.take()
    ids.free(first)
    assert ids.take() != first


def test_without_a_free_id_flows_wait_and_go_on_when_one_is_freed():
    sender = Sender()
    taken = [sender.ids.take() for _ in range(MAX_PACKET_ID)]
    flow = sender.submit("a")
    assert sender.told() == []
    sender.ids.free(taken[41])
    # Whoever comes now does not overtake.
    sender.submit("b")
    sender.outgoing.pump(sender.out, 4)
    assert sender.told() == [("a", 42)]
    sender.puback(42)
    assert sender.told() == [("b", 42)]
    assert done(flow)


# -- QoS 1 (C39, C42, C49) -----------------------------------------------------------


def test_qos_1_is_sent_once_and_ends_with_its_puback():
    sender = Sender()
    flow = sender.submit("a")
    [message] = sender.sent()
    assert isinstance(message, Message)
    assert (message.qos, message.dup, message.packet_id) == (1, False, 1)
    assert not done(flow)
    assert sender.puback(1)
    assert flow.is_done
    assert flow.error is None
    assert sender.ids.used == set()


def test_who_waits_is_woken_once():
    sender = Sender()
    flow = sender.submit("a")
    flow.waiter = bell = Bell()
    sender.puback(1)
    flow.finish(LinkLost("too late"))
    assert bell.rings == 1
    assert flow.error is None


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refusal_ends_the_flow_with_its_code_and_is_never_resent(qos: int):
    sender = Sender(version=5)
    flow = sender.submit("a", qos)
    sender.sent()
    answer = sender.puback if qos == 1 else sender.pubrec
    assert answer(1, REFUSED)
    assert isinstance(flow.error, CommandRefused)
    assert flow.error.code == 0x87
    assert "'t'" in str(flow.error)
    assert sender.ids.used == set()
    sender.cut()
    sender.resume()
    assert sender.told() == []


@pytest.mark.parametrize("qos", [1, 2])
def test_no_matching_subscribers_is_a_success(qos: int):
    sender = Sender(version=5)
    flow = sender.submit("a", qos)
    code = ReasonCode.NO_MATCHING_SUBSCRIBERS
    if qos == 1:
        sender.puback(1, code)
    else:
        sender.pubrec(1, code)
        sender.pubcomp(1)
    assert flow.is_done
    assert flow.error is None
    assert flow.reason == code


# -- QoS 2 (C40, C41, C45) -----------------------------------------------------------


def test_qos_2_goes_through_its_four_packets():
    sender = Sender()
    flow = sender.submit("a", 2)
    assert sender.told() == [("a", 1)]
    sender.pubrec(1)
    assert sender.told() == [("Pubrel", 1)]
    assert not done(flow)
    sender.pubcomp(1)
    assert flow.is_done
    assert sender.ids.used == set()


def test_the_payload_is_let_go_at_the_pubrec():
    sender = Sender()
    flow = sender.submit("a" * 1000, 2)
    assert sender.outgoing.held_bytes == 1000
    sender.pubrec(1)
    assert flow.payload == b""
    assert sender.outgoing.held_bytes == 0


def test_a_repeated_pubrec_gets_a_pubrel_again():
    sender = Sender()
    sender.submit("a", 2)
    sender.sent()
    sender.pubrec(1)
    sender.pubrec(1)
    assert sender.told() == [("Pubrel", 1), ("Pubrel", 1)]


def test_after_a_pubrec_the_publish_is_never_sent_again():
    sender = Sender()
    sender.submit("a", 2)
    sender.pubrec(1)
    for _ in range(3):
        sender.cut()
        sender.resume()
        assert sender.told() == [("Pubrel", 1)]


def test_pubrels_keep_the_order_of_the_pubrecs_also_on_the_next_connection():
    sender = Sender()
    sender.submit_all("abc", 2)
    sender.sent()
    for packet_id in (3, 1, 2):
        sender.pubrec(packet_id)
    expected = [("Pubrel", 3), ("Pubrel", 1), ("Pubrel", 2)]
    assert sender.told() == expected
    sender.cut()
    sender.resume()
    assert sender.told() == expected


# -- acknowledgements that do not fit (C37, C47) -------------------------------------


def test_acknowledgements_of_the_wrong_kind_are_reported():
    sender = Sender()
    sender.submit("a", 1)
    sender.submit("b", 2)
    assert not sender.pubrec(1)
    assert not sender.pubcomp(1)
    assert not sender.pubcomp(2)
    assert not sender.puback(2)


def test_a_peer_without_qos_2_is_not_asked_again():
    sender = Sender()
    flow = sender.submit("t", 2)
    assert not sender.puback(1)
    assert isinstance(flow.error, CommandRefused)
    assert "'t' as QoS 1; publish with QoS 1" in str(flow.error)
    sender.cut()
    sender.sent()
    sender.resume()
    assert sender.told() == []


def test_unknown_acknowledgements_are_counted_and_a_pubrec_is_answered():
    sender = Sender()
    assert sender.puback(7)
    assert sender.pubcomp(7)
    assert sender.told() == []
    assert sender.pubrec(7)
    assert sender.told() == [("Pubrel", 7)]
    assert sender.outgoing.unknown == 3


def test_in_5_0_the_answer_to_an_unknown_pubrec_says_so():
    sender = Sender(version=5)
    sender.pubrec(7)
    [pubrel] = sender.sent()
    assert pubrel == Pubrel(packet_id=7, reason=ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    sender.pubrec(8, REFUSED)
    assert sender.sent() == []


# -- cancelled callers (C36) ---------------------------------------------------------


def test_ids_are_freed_by_acknowledgements_alone_seventy_thousand_times():
    # Whoever waited has gone; what counts is that the broker still owes the answer.
    sender = Sender(window=3)
    unanswered: list[int] = []
    for number in range(70_000):
        flow = sender.submit("a", 1 + number % 2)
        flow.waiter = None
        unanswered += [packet.packet_id for packet in sender.sent()]  # type: ignore[union-attr]
        assert unanswered
        packet_id = unanswered.pop(0)
        assert packet_id in sender.ids.used
        if sender.outgoing.inflight[packet_id].flags & 4:
            sender.pubrec(packet_id)
            sender.sent()
            sender.pubcomp(packet_id)
        else:
            sender.puback(packet_id)
        unanswered += [packet.packet_id for packet in sender.sent()]  # type: ignore[union-attr]
    assert len(sender.outgoing) == 0
    assert sender.ids.used == set()
    assert sender.outgoing.held_bytes == 0
