"""The sender's half of QoS 1 and 2: the window, and one session over many connections."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import CommandRefused, LinkLost, UsageError
from structiot.mqtt.wire.flows.outbound import Flow
from structiot.mqtt.wire.flows.writing import PublishWriter
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.mqtt.scripted_sender import Sender

REFUSED = ReasonCode.NOT_AUTHORIZED


# -- the window (C60, C61, C62) ------------------------------------------------------


def test_no_more_than_the_window_is_under_way():
    sender = Sender(window=2)
    sender.submit_all("abcd")
    assert sender.told() == [("a", 1), ("b", 2)]
    sender.puback(1)
    assert sender.told() == [("c", 3)]
    sender.puback(3)
    sender.puback(2)
    assert sender.told() == [("d", 4)]


def test_a_pubrec_does_not_open_the_window_but_a_refusing_one_does():
    sender = Sender(version=5, window=1)
    sender.submit_all("abc", 2)
    assert sender.told() == [("a", 1)]
    sender.pubrec(1)
    assert sender.told() == [("Pubrel", 1)]
    sender.pubcomp(1)
    assert sender.told() == [("b", 2)]
    sender.pubrec(2, REFUSED)
    assert sender.told() == [("c", 3)]


def test_resends_obey_the_window_of_the_new_connection():
    sender = Sender(window=10)
    sender.submit_all("abcd")
    sender.cut()
    sender.resume(window=2)
    assert sender.told() == [("a again", 1), ("b again", 2)]
    late = sender.submit("e")
    sender.puback(2)
    assert sender.told() == [("c again", 3)]
    sender.puback(1)
    assert sender.told() == [("d again", 4)]
    sender.puback(3)
    assert sender.told() == [("e", 5)]
    sender.puback(4)
    sender.puback(5)
    assert late.is_done


def test_pubrels_do_not_wait_for_the_window():
    sender = Sender(window=10)
    sender.submit_all("abc", 2)
    for packet_id in (1, 2, 3):
        sender.pubrec(packet_id)
    sender.cut()
    sender.resume(window=1)
    late = sender.submit("d", 2)
    assert sender.told() == [("Pubrel", 1), ("Pubrel", 2), ("Pubrel", 3)]
    for packet_id in (1, 2):
        sender.pubcomp(packet_id)
    assert sender.told() == []
    sender.pubcomp(3)
    assert sender.told() == [("d", 4)]
    assert not late.is_done


def test_an_answer_before_the_repetition_does_not_widen_the_window():
    # Brokers may repeat a PUBREC by themselves when a session is resumed.
    sender = Sender(window=10)
    sender.submit_all("abc", 2)
    sender.cut()
    sender.resume(window=1)
    assert sender.told() == [("a again", 1)]
    sender.pubrec(2)
    assert sender.told() == [("Pubrel", 2)]
    sender.pubcomp(2)
    assert sender.told() == []
    sender.pubrec(1)
    sender.pubcomp(1)
    assert sender.told() == [("Pubrel", 1), ("c again", 3)]


def test_a_puback_before_the_repetition_ends_the_flow():
    sender = Sender(window=10)
    flows = sender.submit_all("abc")
    sender.cut()
    sender.resume(window=1)
    sender.puback(2)
    assert flows[1].is_done
    assert sender.told() == [("a again", 1)]
    sender.puback(1)
    assert sender.told() == [("c again", 3)]


# -- over connections (C23, C43, C44, C46) -------------------------------------------


def test_flows_wait_while_there_is_no_connection():
    sender = Sender()
    sender.cut()
    sender.submit_all("ab")
    assert sender.told() == []
    sender.resume()
    assert sender.told() == [("a", 1), ("b", 2)]


def test_what_was_under_way_goes_out_again_before_anything_new():
    sender = Sender(window=2)
    sender.submit_all("abc")
    sender.sent()
    sender.cut()
    sender.submit("d")
    sender.resume()
    expected = [("a again", 1), ("b again", 2), ("c", 3), ("d", 4)]
    assert sender.told() == expected


@pytest.mark.parametrize("qos", [1, 2])
def test_a_cut_at_every_point_of_a_hundred_messages(qos: int):
    def serve(sender: Sender, packet_id: int) -> None:
        if qos == 1:
            sender.puback(packet_id)
        else:
            sender.pubrec(packet_id)
            sender.pubcomp(packet_id)

    for point in range(101):
        sender = Sender(window=10)
        flows = [sender.submit(str(number), qos) for number in range(100)]
        for packet_id in range(1, point + 1):
            serve(sender, packet_id)
        under_way = range(point, min(point + 10, 100))
        sender.sent()
        sender.cut()
        sender.resume(window=20)
        repeated = [(f"{number} again", number + 1) for number in under_way]
        new = [(str(n), n + 1) for n in range(point + 10, min(point + 20, 100))]
        assert sender.told() == repeated + new
        for packet_id in range(point + 1, 101):
            serve(sender, packet_id)
        names = [name for name, _ in sender.told() if name != "Pubrel"]
        assert names == [str(number) for number in range(point + 20, 100)]
        assert all(flow.is_done and flow.error is None for flow in flows)


def test_the_session_is_lost_and_qos_1_is_sent_as_new_in_order():
    sender = Sender(window=2)
    sender.submit_all("abcd")
    sender.sent()
    sender.cut()
    sender.restart(window=3)
    names = [name for name, _ in sender.told()]
    assert names == ["a", "b", "c"]
    assert len(sender.ids.used) == 3


@pytest.mark.parametrize("is_received", [False, True])
def test_the_session_is_lost_and_qos_2_under_way_fails(is_received: bool):
    sender = Sender()
    flow = sender.submit("a", 2)
    later = sender.submit("b", 1)
    if is_received:
        sender.pubrec(1)
    sender.cut()
    sender.restart()
    assert isinstance(flow.error, LinkLost)
    assert "whether it was delivered is unknown" in str(flow.error)
    assert sender.told() == [("b", 3)]
    assert not later.is_done


def test_qos_2_that_was_never_sent_survives_a_lost_session():
    sender = Sender()
    sender.cut()
    sender.submit("a", 2)
    sender.restart()
    assert sender.told() == [("a", 1)]


def test_every_flow_ends_when_the_link_gives_up():
    sender = Sender(window=2)
    flows = sender.submit_all("ab", 2) + sender.submit_all("cd", 1)
    sender.pubrec(1)
    error = LinkLost("gone")
    sender.outgoing.fail_all(error)
    assert [flow.error for flow in flows] == [error] * 4
    assert len(sender.outgoing) == 0
    assert sender.ids.used == set()
    assert sender.outgoing.held_bytes == 0


# -- what cannot be sent (C25, C65) --------------------------------------------------


def limited(sender: Sender, **limits: Any) -> None:
    sender.outgoing.write = PublishWriter(**limits).write


def test_what_the_peer_does_not_take_fails_alone_and_costs_no_id():
    sender = Sender(version=5)
    limited(sender, maximum_packet_bytes=20)
    big = sender.submit("a" * 100)
    small = sender.submit("b")
    assert isinstance(big.error, CommandRefused)
    assert big.error.code == ReasonCode.PACKET_TOO_LARGE
    assert sender.told() == [("b", 2)]
    assert sender.ids.used == {2}
    assert sender.outgoing.held_bytes == 1
    assert not small.is_done


def test_what_cannot_be_encoded_fails_and_leaves_nothing_behind():
    sender = Sender(version=4)
    flow = Flow("t", b"", 2, PublishProperties(content_type="x"))
    sender.outgoing.submit(flow, sender.out, 4)
    assert isinstance(flow.error, UsageError)
    assert len(sender.outgoing) == 0
    assert sender.ids.used == set()
    assert sender.out == b""


def test_a_thousand_repetitions_that_the_new_limits_forbid_fail_one_by_one():
    sender = Sender(version=5)
    flows = [sender.submit("a" * 100) for _ in range(2000)]
    last = sender.submit("b")
    sender.cut()
    limited(sender, maximum_packet_bytes=20)
    sender.resume(window=1)
    assert {type(flow.error) for flow in flows} == {CommandRefused}
    assert sender.told() == [("b again", 2001)]
    sender.puback(2001)
    assert last.is_done
    assert sender.ids.used == set()
    assert sender.outgoing.held_bytes == 0
