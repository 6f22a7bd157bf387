"""Other permissions in the middle of something: row L3 of the conformance table."""

from __future__ import annotations

import pytest

from structiot.mqtt.broker import Permission, Permissions
from structiot.mqtt.broker.core.work import PORTION
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect, Message, Puback
from structiot.mqtt.wire.properties import ConnectProperties
from tests.wire.broker.clients import House, ScriptedClient, lasting

# A step may go beyond its portion by what cannot be divided.
SLACK = 1500
MANY = 300
EVERYTHING = Permission(publish=["#"], subscribe=["#"])


def permissions(*denied: str) -> Permissions:
    """Give many rules, so that nothing is a small matter."""
    filler = [f"filler/{number}" for number in range(MANY)]
    return Permissions([EVERYTHING, Permission(deny_receive=[*filler, *denied])])


def house_with_one_away(*topics: str, version: int = 5) -> House:
    house = House()
    away = house.subscriber("#", client_id="away", qos=1, **lasting(version), version=5)
    away.lose()
    for topic in topics:
        house.publish(topic, topic.encode(), qos=1)
    return house


def steps_left(house: House) -> list[int]:
    """Do what is left to do; give how much work each step was."""
    steps, core = [], house.core
    core.flush()
    while core.work:
        before = core.work.done
        core.work_off(house.now)
        steps.append(core.work.done - before)
        core.flush()
    return steps


def come_back(house: House, client_id: str = "away") -> ScriptedClient:
    """Connect without doing what is left to do then."""
    client = ScriptedClient(house, 5)
    properties = ConnectProperties(session_expiry_s=60)
    connect = Connect(
        client_id=client_id, clean_start=False, version=5, properties=properties
    )
    core = house.core
    assert core.receive(client, encode(connect, 5), house.now) is not None
    before = core.work.done
    assert core.accept(client, connect, house.now, made_up_id="", username=None)
    assert core.work.done - before < SLACK
    core.flush()
    return client


def test_l3_what_waits_for_a_client_that_returns_is_looked_at_in_steps():
    topics = [f"{'no' if number % 2 else 'yes'}/{number}" for number in range(400)]
    house = house_with_one_away(*topics)
    house.core.go_by(permissions("no/#"))
    client = come_back(house)
    # Nothing is handed out before it is known what may be.
    assert [type(packet).__name__ for packet in client.got()] == ["Connack"]
    house.core.publish(Message("yes/last", b"", qos=1), house.now)
    steps = steps_left(house)
    assert len(steps) > 3
    assert max(steps) < PORTION + SLACK
    received = [message.topic for message in client.got_messages()]
    assert received == [*topics[::2], "yes/last"]
    assert client.session is not None
    assert house.core.lost == 200


def test_l3_a_step_of_a_reload_is_short_whatever_waits():
    house = house_with_one_away(*(f"no/{number}" for number in range(400)))
    core = house.core
    core.go_by(permissions("no/#"))
    session = core.sessions["away"]
    before = core.work.done
    core.drop_forbidden(session)
    assert core.work.done - before < SLACK
    core.drop_forbidden(session)
    assert len(core.work) == 1
    assert max(steps_left(house)) < PORTION + SLACK
    assert not session.outgoing
    assert session.charged_queue_bytes == 0


def test_l3_permissions_that_change_while_it_is_looked_at_count_from_the_start():
    house = house_with_one_away(*(f"t/{number}" for number in range(400)))
    core = house.core
    core.go_by(permissions())
    session = core.sessions["away"]
    core.drop_forbidden(session)
    core.work_off(house.now)
    core.go_by(permissions("t/0", "t/399"))
    core.drop_forbidden(session)
    house.settle()
    left = {flow.topic for flow in session.outgoing.waiting}
    assert len(left) == 398
    assert not left & {"t/0", "t/399"}


def test_l3_a_session_that_ends_meanwhile_is_looked_at_no_more():
    house = house_with_one_away(*(f"t/{number}" for number in range(400)))
    core = house.core
    core.go_by(permissions("t/#"))
    core.drop_forbidden(core.sessions["away"])
    core.end_session(core.sessions["away"])
    assert sum(steps_left(house)) < PORTION
    assert core.ledger.held_bytes == 0


@pytest.mark.parametrize("version", [4, 5])
def test_l3_what_permissions_of_before_had_found_is_not_remembered(version: int):
    house = House(EVERYTHING)
    house.core.go_by(permissions())
    clients = [
        house.subscriber("#", client_id=f"c{number}", version=version)
        for number in range(150)
    ]
    publisher = house.client("publisher", version=version)
    core = house.core
    core.receive(publisher, encode(Message("t", b"first"), version), house.now, most=1)
    assert publisher.is_behind
    core.go_by(permissions("t"))
    publisher.send_bytes(b"")
    for client in clients:
        client.got()
    house.publish("t", b"second")
    assert all(client.got() == [] for client in clients)


def test_l3_the_window_stays_shut_for_what_is_looked_at():
    house = House()
    options = lasting(5)
    options["properties"]["receive_maximum"] = 1
    client = house.subscriber("#", client_id="c", qos=1, version=5, **options)
    for number in range(400):
        house.publish(f"no/{number}", b"", qos=1)
    (first,) = client.got_messages()
    core = house.core
    core.go_by(permissions("no/#"))
    core.drop_forbidden(core.sessions["c"])
    # The acknowledgement makes room for the next, which may not come any more.
    core.receive(client, encode(Puback(packet_id=first.packet_id), 5), house.now)
    house.settle()
    assert client.got() == []
    house.publish("yes", b"y", qos=1)
    assert client.got_payloads() == [b"y"]
