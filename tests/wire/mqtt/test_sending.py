"""The sender's half of QoS 1 and 2: ids, order, window, resending, endings."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import CommandRefused, LinkLost, UsageError
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.messages import Message, Packet, Pubrel
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.sending import MAX_PACKET_ID, Flow, Outgoing, PacketIds
from structiot.mqtt.wire.writing import PublishWriter

OK = ReasonCode.SUCCESS
REFUSED = ReasonCode.NOT_AUTHORIZED


class Sender:
    """An `Outgoing` with a connection that remembers what was sent."""

    def __init__(self, *, version: int = 4, window: int = MAX_PACKET_ID) -> None:
        self.version = version
        self.ids = PacketIds()
        self.outgoing = Outgoing(self.ids)
        self.out = bytearray()
        self._decoder = Decoder(role="server", version=version)
        self.outgoing.restart(self.out, version, window=window)

    def submit(self, name: str, qos: int = 1) -> Flow:
        flow = Flow("t", name.encode(), qos << 1)
        self.outgoing.submit(flow, self.out, self.version)
        return flow

    def submit_all(self, names: str, qos: int = 1) -> list[Flow]:
        return [self.submit(name, qos) for name in names]

    def sent(self) -> list[Packet]:
        """What has been written since the last look."""
        packets = self._decoder.feed(bytes(self.out))
        assert self._decoder.violation is None
        self.out.clear()
        return packets

    def told(self) -> list[tuple[str, int]]:
        """The same in short: payload or packet type, and packet id."""
        return [told(packet) for packet in self.sent()]

    def cut(self) -> None:
        self.outgoing.pause()
        self.out.clear()
        self._decoder = Decoder(role="server", version=self.version)

    def resume(self, window: int = MAX_PACKET_ID) -> None:
        self.outgoing.resume(self.out, self.version, window=window)

    def restart(self, window: int = MAX_PACKET_ID) -> None:
        self.outgoing.restart(self.out, self.version, window=window)

    def puback(self, packet_id: int, reason: ReasonCode = OK) -> bool:
        return self.outgoing.on_puback(packet_id, reason, self.out, self.version)

    def pubrec(self, packet_id: int, reason: ReasonCode = OK) -> bool:
        return self.outgoing.on_pubrec(packet_id, reason, self.out, self.version)

    def pubcomp(self, packet_id: int) -> bool:
        return self.outgoing.on_pubcomp(packet_id, self.out, self.version)


def told(packet: Packet) -> tuple[str, int]:
    if isinstance(packet, Message):
        name = packet.payload.decode() + (" again" if packet.dup else "")
        return name, packet.packet_id
    return type(packet).__name__, getattr(packet, "packet_id", 0)


def done(flow: Flow) -> bool:
    return flow.is_done


class Bell:
    def __init__(self) -> None:
        self.rings = 0

    def set(self) -> None:
        self.rings += 1


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
    sender.outgoing.pump(sender.out, 4)
    assert sender.told() == [("a", 42)]
    assert not done(flow)


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
    assert not sender.puback(2)
    assert not sender.pubcomp(2)


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
