"""What happens where clients hold all they may: rows B10 and B28."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.messages import (
    Connack,
    Disconnect,
    Puback,
    Pubrec,
    Pubrel,
)
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient, lasting

versions = pytest.mark.parametrize("version", [4, 5])
FULL = ReasonCode.QUOTA_EXCEEDED


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelname == "WARNING"]


# -- all together


def test_b28_the_heaviest_sessions_that_are_away_end_when_all_is_full(
    caplog: pytest.LogCaptureFixture,
):
    house = House(all_bytes=1_000_000, session_expiry_max_s=1_000_000)
    for name in ("light", "heavy", "heavier"):
        house.subscriber(name, qos=1, client_id=name, **lasting(4)).lose()
    house.publish("light", bytes(1000), qos=1)
    for number in range(30):
        house.publish("heavy", bytes(10_000), qos=1)
        house.publish("heavier", bytes(10_000 + number), qos=1)
    # Each holds little, so that all of them get it.
    crowd = [
        house.subscriber("x", qos=1, client_id=f"c{number}") for number in range(12)
    ]
    for _ in range(10):
        house.publish("x", bytes(4000), qos=1)
    assert all(len(one.got_messages()) == 10 for one in crowd)
    assert house.core.sessions.keys() & {"light", "heavy", "heavier"} in (
        {"light"},
        {"light", "heavy"},
    )
    assert house.core.ledger.held_bytes < 1_000_000
    assert any(
        "the session of 'heavier' at client, which" in one
        for one in warnings_of(caplog)
    )


@versions
def test_b28_nobody_new_is_let_in_when_all_is_full(
    version: int, caplog: pytest.LogCaptureFixture
):
    house = House(all_bytes=100_000)
    guests = [ScriptedClient(house, version) for _ in range(20)]
    answers = [guest.connect(f"c{n}") for n, guest in enumerate(guests)]
    refused = [one for one in answers if one.reason.is_failure]
    assert 10 < len(refused) < 18
    assert {int(one.reason) for one in refused} == {int(FULL) if version == 5 else 3}
    guests[0].lose()
    assert not house.client("next", version).welcome.reason
    assert len(warnings_of(caplog)) == 1


def test_b28_who_hoards_filters_gets_no_more_when_all_is_crowded():
    house = House(all_bytes=1_000_000)
    hoarders = [house.client(f"h{number}", 5) for number in range(3)]
    answers: list[list[int]] = []
    for number in range(1000):
        answers = [one.subscribe(f"{number}/{one}") for one in hoarders]
    assert answers == [[FULL]] * 3
    modest = house.client("modest", 5)
    assert modest.subscribe("a", "b", "c") == [0, 0, 0]
    assert house.core.ledger.held_bytes < 1_000_000


@versions
def test_b28_unreleased_messages_are_bounded_and_none_is_lost(version: int):
    house = House(all_bytes=1_000_000, receive_maximum=65_535)
    listener = house.subscriber("a", client_id="listener")
    client = house.client("c", version, **lasting(version))
    answer: object = None
    for packet_id in range(1, 65_536):
        client.publish("a", b"%d" % packet_id, qos=2, packet_id=packet_id)
        if client.is_ended:
            break
        answer = client.got()[-1]
        if answer != Pubrec(packet_id=packet_id):
            break
    assert packet_id < 6000
    if version == 5:
        assert answer == Pubrec(packet_id=packet_id, reason=FULL)
    else:
        # 3.1.1 has no word for it.
        assert client.is_ended
        house.core.sessions["c"].received.clear()
        client = house.client("c", 4, **lasting(4))
    taken = listener.got_payloads()
    assert len(taken) == packet_id - 1
    client.send(*(Pubrel(packet_id=one) for one in range(1, packet_id)))
    client.got()
    client.publish("a", b"again", qos=2, packet_id=packet_id, dup=True)
    assert client.got() == [Pubrec(packet_id=packet_id)]
    assert listener.got_payloads() == [b"again"]


def test_b28_who_hoards_in_a_packet_that_never_ends_is_cut_off_when_all_is_crowded():
    house = House(all_bytes=2_000_000)
    slow = [house.client(f"s{number}", 5) for number in range(20)]
    for _ in range(200):
        for client in slow:
            if not client.is_ended:
                client.send_bytes(
                    bytes(10_000) if client.packets else b"\x30\xff\xff\x7f"
                )
                client.packets = client.packets or [Connack()]
    assert all(client.is_ended for client in slow)
    goodbye = slow[0].packets[-1]
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == FULL
    assert house.core.ledger.held_bytes == 0


def test_b28_who_publishes_to_many_topics_is_no_hoarder():
    house = House(all_bytes=1_200_000)
    publisher = house.client("p", 5)
    hoarder = house.subscriber("q", qos=1, client_id="h", **lasting(4))
    for number in range(1000):
        house.publish("q", bytes(1000), qos=1)
        publisher.publish(f"{number}" + "t" * 200)
    assert house.core.ledger.is_crowded
    # What many may publish to, is known to all and held by none.
    assert publisher.protocol.weigh() < 1000
    assert house.topics.held_bytes > 500_000
    assert not publisher.is_ended
    assert not hoarder.is_ended


def test_b28_a_flood_of_sessions_does_not_flood_the_log(
    caplog: pytest.LogCaptureFixture,
):
    house = House(sessions=5)
    for number in range(50):
        house.client(f"{'x' * 1000}{number}", **lasting(4)).lose()
    (line,) = warnings_of(caplog)
    assert len(line) < 200
    house.pass_time(61)
    house.client("last", **lasting(4)).lose()
    assert "and 44 more" in warnings_of(caplog)[-1]


# -- retained messages


def published(client: ScriptedClient, topic: str, payload: bytes = b"x") -> int:
    client.publish(topic, payload, qos=1, retain=True)
    (answer,) = client.got()
    assert isinstance(answer, Puback)
    # 0x10 says that nobody listens.
    return int(answer.reason) if answer.reason.is_failure else 0


def kept(house: House) -> dict[str, bytes]:
    return {item.topic: item.payload for item in house.core.retained}


def test_b10_a_full_table_refuses_a_new_topic_and_keeps_the_old_ones(
    caplog: pytest.LogCaptureFixture,
):
    house = House(retained=2)
    listener = house.subscriber("#")
    client = house.client("p", 5)
    house.publish("$SYS/x", b"ours", retain=True)
    assert [published(client, topic) for topic in ("a", "b", "c", "d")] == [
        0,
        0,
        FULL,
        FULL,
    ]
    assert published(client, "a", b"newer") == 0
    assert kept(house) == {"a": b"newer", "b": b"x", "$SYS/x": b"ours"}
    assert listener.got_payloads() == [b"x", b"x", b"newer"]
    (line,) = warnings_of(caplog)
    assert "'c'" in line
    assert published(client, "b", b"") == 0
    assert published(client, "c") == 0


def test_b10_a_refused_update_leaves_what_all_have_seen():
    house = House(retained_bytes=5000)
    client = house.client("p", 5)
    assert published(client, "a", b"old") == 0
    assert published(client, "a", bytes(6000)) == FULL
    assert kept(house) == {"a": b"old"}
    assert house.subscriber("a").got_payloads() == [b"old"]


@pytest.mark.parametrize(("version", "qos"), [(4, 0), (4, 1), (5, 0)])
def test_b10_who_cannot_be_told_is_heard_and_no_old_value_stays(version: int, qos: int):
    house = House(retained_bytes=5000)
    listener = house.subscriber("a")
    client = house.client("p", version)
    client.publish("a", b"old", retain=True)
    client.publish("a", bytes(6000), qos=qos, retain=True)
    assert listener.got_payloads() == [b"old", bytes(6000)]
    assert kept(house) == {}
    assert house.core.retained.refused == 1


def test_b10_expired_ones_free_their_places_at_once():
    house = House(retained=3)
    client = house.client("p", 5)
    for topic in "abc":
        properties = {"message_expiry_s": 10}
        client.publish(topic, retain=True, properties=properties)
    assert published(client, "d") == FULL
    assert house.wait_until_due() == 10
    assert kept(house) == {}
    assert house.core.ledger.held_bytes < 20_000
    assert [published(client, topic) for topic in "def"] == [0, 0, 0]
    assert house.core.deadlines.next_at is None


def test_b10_another_message_has_a_time_of_its_own():
    house = House()
    client = house.client("p", 5)
    client.publish("a", b"1", retain=True, properties={"message_expiry_s": 10})
    house.pass_time(5)
    client.publish("a", b"2", retain=True, properties={"message_expiry_s": 10})
    house.pass_time(6)
    assert kept(house) == {"a": b"2"}
    client.publish("a", b"3", retain=True)
    house.pass_time(60)
    assert kept(house) == {"a": b"3"}


def test_b10_retained_messages_are_refused_when_all_is_full():
    house = House(all_bytes=200_000)
    client = house.client("p", 5)
    answers = [published(client, f"t/{n}", bytes(10_000)) for n in range(30)]
    assert answers[0] == 0
    assert answers[-1] == FULL
    assert published(client, "t/0", bytes(10_000)) == 0
    assert 10 < len(house.core.retained) < 20
