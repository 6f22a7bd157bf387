"""When a client pings, and when it gives a silent server up."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.messages import (
    Connack,
    Message,
    Pingreq,
    Pingresp,
)
from tests.wire.mqtt.scripted_client import Client, opened

# -- keep-alive (C18, C27 to C30) ----------------------------------------------------


def run_until(client: Client, end: float, *, answers: bool = True) -> list[float]:
    """Serve all deadlines; give the times of the pings."""
    pings: list[float] = []
    while (deadline := client.protocol.next_deadline()) is not None and deadline <= end:
        client.now = deadline
        if not client.protocol.tick(client.now):
            pings.append(-client.now)
            break
        if Pingreq() in client.write():
            pings.append(client.now)
            if answers:
                client.now += 0.5
                client.take(Pingresp())
    return pings


def test_an_idle_client_pings_before_the_keep_alive_ends():
    client = opened()
    start = client.now
    assert run_until(client, start + 30) == [start + 9, start + 18, start + 27]


def test_nothing_is_done_before_the_deadline():
    client = opened()
    assert client.protocol.tick(client.now + 8.9)
    assert client.sent() == []


def test_a_publisher_who_hears_nothing_pings():
    client = opened()
    start = client.now
    for second in range(1, 9):
        client.now = start + second
        client.protocol.publish("t", b"x", 0)
        client.write()
    assert client.protocol.next_deadline() == start + 9
    client.now = start + 9
    client.protocol.tick(client.now)
    assert client.write() == [Pingreq()]


def test_a_subscriber_who_says_nothing_pings():
    client = opened()
    start = client.now
    client.now = start + 8
    client.take(Message("t"))
    assert client.protocol.next_deadline() == start + 9


def test_traffic_in_both_directions_saves_the_ping():
    client = opened()
    client.now += 5
    client.take(Message("t"))
    client.protocol.publish("t", b"x", 0)
    client.write()
    assert client.protocol.next_deadline() == client.now + 9


def test_a_dead_peer_is_noticed_within_two_keep_alives_by_one_ping():
    client = opened()
    start = client.now
    pings = run_until(client, start + 100, answers=False)
    assert pings == [start + 9, -(start + 19)]


def test_traffic_other_than_pingresp_is_no_answer_to_a_ping():
    client = opened()
    start = client.now
    client.now = start + 9
    client.protocol.tick(client.now)
    client.write()
    client.now = start + 15
    client.take(Message("t"))
    assert client.protocol.next_deadline() == start + 19


def test_one_ping_is_outstanding_at_most():
    client = opened()
    client.protocol.ping(client.now)
    client.protocol.ping(client.now)
    assert client.sent() == [Pingreq()]


def test_keep_alive_0_switches_it_off():
    client = Client(ping_reply_s=7.0)
    client.connect(keep_alive_s=0)
    client.take(Connack())
    assert client.protocol.next_deadline() is None
    client.protocol.ping(client.now)
    assert client.protocol.next_deadline() == client.now + 7


@pytest.mark.parametrize(
    ("keep_alive_s", "delay_s", "after_s"),
    [(10, 1.0, 9.0), (10, 0.0, 10.0), (10, 8.0, 5.0), (1, 1.0, 0.5), (60, 10.0, 50.0)],
)
def test_the_ping_comes_early_but_not_needlessly(
    keep_alive_s: int, delay_s: float, after_s: float
):
    client = Client(ping_delay_s=delay_s)
    client.connect(keep_alive_s=keep_alive_s)
    client.take(Connack())
    assert client.protocol.next_deadline() == client.now + after_s


def test_the_keep_alive_of_the_server_replaces_ours():
    client = opened(5, server_keep_alive_s=60)
    assert client.protocol.next_deadline() == client.now + 59
    switched_off = opened(5, server_keep_alive_s=0)
    assert switched_off.protocol.next_deadline() is None


def test_a_connection_that_is_not_open_has_no_deadline():
    client = Client()
    assert client.protocol.next_deadline() is None
    client.connect()
    assert client.protocol.next_deadline() is None
    client.take(Connack())
    client.lose()
    assert client.protocol.next_deadline() is None
