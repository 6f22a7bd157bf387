"""Sessions over connections: rows B6, B7, B8 and B19 of the conformance table."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.messages import (
    Disconnect,
    Message,
    Pingreq,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
)
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import (
    House,
    ScriptedClient,
    delivery_bytes,
    lasting,
)

versions = pytest.mark.parametrize("version", [4, 5])
FOR_EVER_S = 0xFFFF_FFFF


# -- B6: Session Present, clean start, expiry


@versions
def test_b6_a_lasting_session_is_present_again(version: int):
    house = House()
    first = house.client(version=version, **lasting(version))
    assert not first.welcome.session_present
    first.subscribe("a")
    first.lose()
    again = house.client(version=version, **lasting(version))
    assert again.welcome.session_present
    house.publish("a")
    assert again.got_payloads() == [b"x"]


@versions
def test_b6_a_clean_start_erases_the_session(version: int):
    house = House()
    first = house.client(version=version, **lasting(version))
    first.subscribe("a", qos=1)
    first.lose()
    house.publish("a", qos=1)
    again = house.client(version=version, clean_start=True)
    assert not again.welcome.session_present
    house.publish("a")
    assert not again.got()
    again.lose()
    assert not house.client(version=version, **lasting(version)).welcome.session_present


@versions
def test_b6_a_session_that_was_clean_is_not_present(version: int):
    house = House()
    house.client(version=version).lose()
    assert not house.client(version=version, clean_start=False).welcome.session_present


@pytest.mark.parametrize("expiry_s", [0, 1, 60, FOR_EVER_S - 1])
def test_b6_a_session_ends_its_expiry_after_the_connection(expiry_s: int):
    house = House()
    for_session = {"session_expiry_s": expiry_s} if expiry_s else {}
    house.client(version=5, properties=for_session).lose()
    if expiry_s:
        assert house.wait_until_due() == expiry_s
    assert house.core.sessions == {}


def test_b6_a_session_is_there_until_its_expiry():
    house = House()
    house.client(version=5, properties={"session_expiry_s": 60}).lose()
    house.pass_time(59.9)
    assert house.client(version=5, clean_start=False).welcome.session_present


def test_b6_a_session_with_the_greatest_expiry_is_kept_for_ever():
    house = House()
    house.client(version=5, properties={"session_expiry_s": FOR_EVER_S}).lose()
    assert house.core.deadlines.next_at is None
    house.pass_time(1e9)
    assert "c" in house.core.sessions


def test_b6_a_session_does_not_end_while_its_client_is_connected():
    house = House()
    house.client(version=5, properties={"session_expiry_s": 1}).lose()
    house.client(version=5, clean_start=False, properties={"session_expiry_s": 1})
    house.pass_time(10)
    assert "c" in house.core.sessions


@pytest.mark.parametrize(("asked_s", "left_s"), [(5, 5), (0, 0), (FOR_EVER_S, None)])
def test_b6_a_disconnect_changes_the_expiry(asked_s: int, left_s: int | None):
    house = House()
    client = house.client(version=5, properties={"session_expiry_s": 60})
    client.disconnect(session_expiry_s=asked_s)
    if left_s:
        assert house.wait_until_due() == left_s
    assert bool(house.core.sessions) == (left_s is None)


@pytest.mark.parametrize("properties", [{}, {"session_expiry_s": 0}])
def test_b6_a_disconnect_cannot_make_a_session_last(properties: dict[str, int]):
    house = House()
    client = house.client(version=5, properties=properties)
    client.disconnect(session_expiry_s=60)
    (goodbye,) = client.got()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == ReasonCode.PROTOCOL_ERROR
    assert house.core.sessions == {}


def test_b6_an_expiry_beyond_the_limit_is_lowered_and_told():
    house = House(session_expiry_max_s=100)
    welcome = house.client(version=5, properties={"session_expiry_s": 101}).welcome
    assert welcome.properties.session_expiry_s == 100
    welcome = house.client("d", 5, properties={"session_expiry_s": 100}).welcome
    assert welcome.properties.session_expiry_s is None


# -- B7: what waits for a client that is away


@versions
def test_b7_qos_1_and_2_wait_for_a_client_that_is_away_and_qos_0_does_not(
    version: int,
):
    house = House()
    house.subscriber("#", qos=2, version=version, **lasting(version)).lose()
    for qos in (0, 1, 2):
        house.publish("a", b"%d" % qos, qos=qos)
    back = house.client("subscriber", version, **lasting(version))
    messages = back.got_messages()
    assert [(m.payload, m.qos, m.dup, m.retain) for m in messages] == [
        (b"1", 1, False, False),
        (b"2", 2, False, False),
    ]
    assert house.core.lost == 1


@versions
def test_b7_qos_0_waits_too_where_the_broker_is_told_so(version: int):
    house = House(queues_qos_0=True)
    house.subscriber("#", qos=2, version=version, **lasting(version)).lose()
    for qos in (0, 1):
        house.publish("a", b"%d" % qos, qos=qos)
    back = house.client("subscriber", version, **lasting(version))
    messages = back.got_messages()
    assert [(m.payload, m.qos) for m in messages] == [(b"0", 0), (b"1", 1)]
    session = house.core.sessions["subscriber"]
    expected = (1, delivery_bytes("a", b"1"))
    assert (len(session.outgoing), session.outgoing.held_bytes) == expected


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("drop_newest", [b"0", b"1", b"2"]),
        ("drop_oldest", [b"2", b"3", b"4"]),
    ],
)
def test_b7_a_full_queue_drops_by_its_policy_and_counts(policy: str, kept: list[bytes]):
    house = House(queued=3, queue_policy=policy)
    house.subscriber("a", qos=1, **lasting(4)).lose()
    for number in range(5):
        house.publish("a", b"%d" % number, qos=1)
    assert house.core.lost == 2
    assert house.client("subscriber", **lasting(4)).got_payloads() == kept


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_b7_the_bytes_that_wait_are_bounded_too(policy: str):
    size = delivery_bytes("a", bytes(150))
    house = House(queued_bytes=7 * size - 1, queue_policy=policy)
    house.subscriber("a", qos=1, **lasting(4)).lose()
    for _ in range(20):
        house.publish("a", bytes(150), qos=1)
    session = house.core.sessions["subscriber"]
    assert session.outgoing.held_bytes == 6 * size
    assert house.core.lost == 14


def test_b7_what_was_queued_for_another_version_loses_its_properties_only():
    house = House()
    house.subscriber("a", qos=1, **lasting(4)).lose()
    publisher = house.client("publisher", 5)
    publisher.publish("a", qos=1, properties={"content_type": "text"})
    (message,) = house.client("subscriber", 4, **lasting(4)).got_messages()
    assert (message.payload, message.properties) == (b"x", None)


# -- B8: keep-alive


@versions
def test_b8_a_silent_client_is_cut_off_after_one_and_a_half_keep_alives(version: int):
    house = House()
    client = house.client(version=version, keep_alive_s=10)
    house.pass_time(14.9)
    assert "c" in house.core.sessions
    house.pass_time(0.1)
    assert client.is_ended
    goodbye = [Disconnect(reason=ReasonCode.KEEP_ALIVE_TIMEOUT)]
    assert client.got() == (goodbye if version == 5 else [])
    assert house.core.sessions == {}


@versions
def test_b8_any_packet_keeps_a_client_alive(version: int):
    house = House()
    client = house.client(version=version, keep_alive_s=10)
    for packet in (Pingreq(), Message("a"), Pubrel(packet_id=1)):
        house.pass_time(14)
        client.send(packet)
    assert house.wait_until_due() == pytest.approx(1)
    assert not client.is_ended
    assert house.wait_until_due() == pytest.approx(14)
    assert client.is_ended


@versions
def test_b8_a_byte_now_and_then_does_not_keep_a_client_alive(version: int):
    house = House()
    client = house.client(version=version, keep_alive_s=10)
    client.send_bytes(b"\x30\xff\x7f\0\1")
    for _ in range(15):
        assert not client.is_ended
        client.send_bytes(b"a")
        house.pass_time(1)
    assert client.is_ended


@versions
def test_b8_a_long_packet_on_its_way_does(version: int):
    house = House()
    client = house.client(version=version, keep_alive_s=10)
    client.send_bytes(b"\x30\xff\x7f\0\1")
    for _ in range(30):
        client.send_bytes(bytes(300))
        house.pass_time(10)
    assert not client.is_ended


@versions
def test_b8_a_keep_alive_of_0_is_none(version: int):
    house = House()
    client = house.client(version=version, keep_alive_s=0)
    house.pass_time(1e9)
    assert not client.is_ended


@pytest.mark.parametrize("asked_s", [0, 61, 65_535])
def test_b8_the_server_lowers_a_keep_alive_and_says_so(asked_s: int):
    house = House(keep_alive_max_s=60)
    client = house.client(version=5, keep_alive_s=asked_s)
    assert client.welcome.properties.server_keep_alive_s == 60
    house.pass_time(90)
    assert client.is_ended


@pytest.mark.parametrize(("version", "asked_s"), [(5, 60), (5, 1), (4, 100), (4, 0)])
def test_b8_a_keep_alive_that_is_short_enough_or_cannot_be_lowered_holds(
    version: int, asked_s: int
):
    house = House(keep_alive_max_s=60)
    client = house.client(version=version, keep_alive_s=asked_s)
    assert client.welcome.properties.server_keep_alive_s is None
    if asked_s:
        assert house.wait_until_due() == 1.5 * asked_s


# -- B19: flows, mirrored


def two_under_way(version: int) -> tuple[House, ScriptedClient]:
    """A subscriber that has not answered a QoS 1 and a QoS 2 message."""
    house = House()
    client = house.subscriber("a", qos=2, version=version, **lasting(version))
    house.publish("a", b"one", qos=1)
    house.publish("a", b"two", qos=2)
    assert [m.packet_id for m in client.got_messages()] == [1, 2]
    return house, client


@versions
def test_b19_what_was_not_acknowledged_is_sent_again_at_reconnect_only(version: int):
    house, client = two_under_way(version)
    house.pass_time(3600)
    assert not client.got()
    client.lose()
    again = house.client("subscriber", version, **lasting(version))
    messages = again.got_messages()
    assert [(m.packet_id, m.payload, m.qos, m.dup) for m in messages] == [
        (1, b"one", 1, True),
        (2, b"two", 2, True),
    ]


@versions
def test_b19_what_was_released_is_released_again_and_not_sent_again(version: int):
    house, client = two_under_way(version)
    client.send(Puback(packet_id=1), Pubrec(packet_id=2))
    assert client.got() == [Pubrel(packet_id=2)]
    client.lose()
    again = house.client("subscriber", version, **lasting(version))
    assert again.got() == [Pubrel(packet_id=2)]
    again.send(Pubcomp(packet_id=2))
    assert not house.core.sessions["subscriber"].outgoing.flows()


@versions
def test_b19_each_client_has_ids_of_its_own_and_a_free_one_is_used_again(version: int):
    house = House()
    clients = [
        house.subscriber("a", qos=1, client_id=name, version=version) for name in "bcd"
    ]
    for _ in range(3):
        house.publish("a", qos=1)
    ids = [[m.packet_id for m in client.got_messages()] for client in clients]
    assert ids == [[1, 2, 3]] * 3
    session = house.core.sessions["b"]
    clients[0].send(*(Puback(packet_id=number) for number in (1, 2, 3)))
    assert session.outgoing.ids.used == set()


@versions
def test_b19_a_qos_2_message_is_taken_once_however_often_it_is_sent(version: int):
    house = House()
    listener = house.subscriber("a", client_id="listener")
    client = house.client("c", version, **lasting(version))
    twice = [
        Message("a", b"once", qos=2, packet_id=9, dup=dup) for dup in (False, True)
    ]
    client.send(*twice)
    assert client.got() == [Pubrec(packet_id=9)] * 2
    client.lose()
    again = house.client("c", version, **lasting(version))
    again.send(twice[1], Pubrel(packet_id=9))
    assert again.got() == [Pubrec(packet_id=9), Pubcomp(packet_id=9)]
    assert listener.got_payloads() == [b"once"]
    again.send(Message("a", b"new", qos=2, packet_id=9))
    assert listener.got_payloads() == [b"new"]


@pytest.mark.parametrize(
    ("version", "reason"), [(4, 0), (5, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)]
)
def test_b19_a_release_of_an_unknown_id_is_answered(version: int, reason: ReasonCode):
    client = House().client(version=version)
    client.send(Pubrel(packet_id=3))
    assert client.got() == [Pubcomp(packet_id=3, reason=ReasonCode(reason))]


@versions
@pytest.mark.parametrize("wrong", [Puback(packet_id=2), Pubcomp(packet_id=2)])
def test_b19_an_acknowledgement_that_does_not_fit_closes(version: int, wrong: Puback):
    _, client = two_under_way(version)
    client.send(wrong)
    assert client.protocol.violation is not None


def test_b19_a_delivery_that_the_client_refuses_is_over():
    house, client = two_under_way(5)
    refused = ReasonCode.QUOTA_EXCEEDED
    client.send(
        Puback(packet_id=1, reason=refused), Pubrec(packet_id=2, reason=refused)
    )
    assert not client.got()
    assert not house.core.sessions["subscriber"].outgoing.flows()
