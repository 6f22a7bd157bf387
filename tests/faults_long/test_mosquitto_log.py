"""Whose fault a repetition is, told from Mosquitto's log."""

from __future__ import annotations

from tests.faults_long.mosquitto_log import flows_to, unexplained

PUBLISH = "1: Sending PUBLISH to me (d0, q2, r0, m1, 'loss/x', ... (1 bytes))"
AGAIN = "1: Sending PUBLISH to me (d1, q2, r0, m1, 'loss/x', ... (1 bytes))"
PUBREL = "1: Sending PUBREL to me (m1)"
PUBCOMP = "1: Received PUBCOMP from me (Mid: 1, RC:0)"
TO_ANOTHER = "1: Sending PUBREL to another (m1)"


def at_fault(log: list[str], *deliveries: tuple[int, int]) -> list[int]:
    return unexplained(deliveries, flows_to("me", log))


def test_a_publish_after_its_pubrel_explains_one_repetition():
    log = [PUBLISH, PUBREL, AGAIN, PUBREL, PUBCOMP]
    assert at_fault(log, (7, 1), (7, 1)) == []
    assert at_fault(log, (7, 1), (7, 1), (7, 1)) == [7]


def test_a_publish_before_its_pubrel_explains_none():
    log = [PUBLISH, TO_ANOTHER, AGAIN, PUBREL, PUBCOMP]
    assert at_fault(log, (7, 1), (7, 1)) == [7]


def test_a_repetition_under_another_identifier_is_explained_by_nothing():
    other = [line.replace("m1", "m2") for line in (PUBLISH, PUBREL)]
    assert at_fault([PUBLISH, PUBREL, AGAIN, *other], (7, 1), (7, 2)) == [7]


def test_each_message_of_an_identifier_answers_for_itself():
    log = [PUBLISH, PUBREL, PUBCOMP, PUBLISH, PUBREL, AGAIN]
    assert at_fault(log, (7, 1), (8, 1), (8, 1)) == []
    assert at_fault(log, (7, 1), (8, 1), (7, 1)) == [7]
