"""What a member of a shared subscription leaves to the others: row B17."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.mqtt.broker import Permission
from structiot.mqtt.broker.core.work import AT_ONCE, DELIVERY
from structiot.mqtt.wire.messages import (
    DUP,
    Message,
    Puback,
    Pubrec,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient, lasting
from tests.wire.broker.paper import KeptHouse

versions = pytest.mark.parametrize("version", [4, 5])
SHARE = "$share/g/a/+"
MANY = 10 * AT_ONCE // DELIVERY


def member(
    house: House, name: str, version: int = 5, qos: int = 1, **options: Any
) -> ScriptedClient:
    """A member of the group with a session that lasts."""
    options = lasting(version) | options
    return house.subscriber(SHARE, qos=qos, client_id=name, version=version, **options)


def end_of(house: House, name: str, version: int = 5) -> None:
    """A session ends: its client comes and wants a new one."""
    house.client(name, version, clean_start=True)


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def left_by(house: House, messages: list[bytes], qos: int = 1, **options: Any) -> None:
    for payload in messages:
        house.publish("a/x", payload, qos=qos, **options)


def is_balanced(house: House) -> bool:
    """Whether what sessions and addresses are charged with is what is there."""
    ledger, sessions = house.core.ledger, house.core.sessions.values()
    for session in sessions:
        ledger.settle(session)
    charged = sum(one.charged_bytes + one.charged_queue_bytes for one in sessions)
    accounts = list(ledger.accounts.values())
    assert sum(one.held_bytes for one in accounts) == ledger.held_bytes
    for session in sessions:
        flows = session.outgoing.flows()
        assert sum(flow.size for flow in flows) == session.outgoing.held_bytes
        waiting_bytes = sum(flow.size for flow in session.outgoing.waiting)
        assert waiting_bytes == session.outgoing.waiting_bytes
    return charged + house.core.retained.held_bytes == ledger.held_bytes


@versions
@pytest.mark.parametrize("count", [4, MANY])
def test_b17_what_was_under_way_and_what_waited_goes_to_another_member(
    version: int, count: int
):
    house = House(inflight=2)
    first = member(house, "first", version)
    left_by(house, numbers(count))
    under_way = first.got_messages()
    assert len(under_way) == 2
    first.lose()
    heir = member(house, "heir", version)
    assert heir.got() == []
    end_of(house, "first", version)
    house.settle()
    got: list[Message] = []
    while messages := heir.got_messages():
        got += messages
        heir.send(*(Puback(packet_id=one.packet_id) for one in messages))
    assert [message.payload for message in got] == numbers(count)
    # For this client they are new.
    assert not any(message.flags & DUP for message in got)
    assert house.core.lost == 0
    assert is_balanced(house)


@versions
def test_b17_what_a_client_left_that_says_goodbye_goes_on_too(version: int):
    house = House()
    first = house.subscriber(SHARE, qos=1, client_id="first", version=version)
    left_by(house, numbers(3))
    first.send(Puback(packet_id=first.got_messages()[1].packet_id))
    heir = house.subscriber(SHARE, qos=1, client_id="heir", version=version)
    first.disconnect()
    assert heir.got_payloads() == [b"0", b"2"]
    assert is_balanced(house)


def test_b17_what_waits_for_its_client_stays_until_the_session_expires():
    house = House()
    first = member(house, "first", properties={"session_expiry_s": 30})
    left_by(house, numbers(2))
    first.lose()
    heir = member(house, "heir")
    house.pass_time(29)
    assert heir.got() == []
    house.pass_time(2)
    assert heir.got_payloads() == numbers(2)


def test_b17_the_members_that_are_left_have_it_in_turn():
    house = House()
    first = member(house, "first")
    left_by(house, numbers(6))
    first.lose()
    there = [member(house, name) for name in "bcd"]
    there[0].lose()
    end_of(house, "first")
    assert [len(one.got_messages()) for one in there[1:]] == [3, 3]
    assert len(house.core.sessions["b"].outgoing) == 0


def test_b17_it_waits_where_all_the_others_are_away():
    house = House()
    first = member(house, "first")
    left_by(house, numbers(3))
    first.lose()
    member(house, "heir").lose()
    end_of(house, "first")
    assert is_balanced(house)
    back = house.client("heir", 5, **lasting(5))
    assert back.got_payloads() == numbers(3)


def test_b17_where_nobody_is_left_it_ends_with_the_session():
    house = House()
    first = member(house, "first")
    left_by(house, numbers(3))
    first.lose()
    end_of(house, "first")
    assert member(house, "later").got() == []
    assert is_balanced(house)


@pytest.mark.parametrize("is_under_way", [True, False])
def test_b17_qos_2_goes_nowhere_else(is_under_way: bool):
    house = House()
    first = member(house, "first", qos=2)
    if not is_under_way:
        first.lose()
    left_by(house, numbers(3), qos=2)
    if is_under_way:
        first.send(Pubrec(packet_id=first.got_messages()[0].packet_id))
        first.lose()
    heir = member(house, "heir", qos=2)
    end_of(house, "first")
    assert heir.got() == []
    assert is_balanced(house)


def test_b17_qos_2_of_which_1_was_granted_goes_on_as_qos_1():
    house = House()
    first = member(house, "first", qos=1)
    left_by(house, numbers(1), qos=2)
    first.lose()
    heir = member(house, "heir", qos=2)
    end_of(house, "first")
    (message,) = heir.got_messages()
    assert message.qos == 1


def test_b17_the_heir_gets_it_by_the_terms_of_its_own_subscription():
    house = House()
    first = member(house, "first", 5, properties={"session_expiry_s": 60})
    first.subscribe(SHARE, qos=1, identifier=5)
    told = PublishProperties(content_type="text", message_expiry_s=100)
    left_by(house, numbers(1), properties=told, retain=True)
    left_by(house, numbers(1))
    first.lose()
    low = house.client("low", 5)
    low.subscribe_to(SubscriptionRequest(topic_filter=SHARE, qos=0), identifier=9)
    house.pass_time(40)
    end_of(house, "first")
    one, other = low.got_messages()
    assert one.properties is not None
    assert (one.qos, one.retain, one.properties.message_expiry_s) == (0, False, 60)
    assert one.properties.content_type == "text"
    assert one.properties.subscription_ids == (9,)
    assert other.properties == PublishProperties(subscription_ids=(9,))


def test_b17_what_has_expired_goes_nowhere():
    house = House()
    first = member(house, "first", properties={"session_expiry_s": 30})
    left_by(house, numbers(1), properties=PublishProperties(message_expiry_s=20))
    first.lose()
    heir = member(house, "heir")
    house.pass_time(31)
    assert heir.got() == []
    assert is_balanced(house)


def test_b17_what_came_by_a_plain_subscription_goes_nowhere():
    house = House()
    first = member(house, "first")
    first.subscribe("a/#", qos=1)
    heir = member(house, "heir")
    heir.subscribe("a/#", qos=1)
    left_by(house, numbers(2))
    before = heir.got_payloads()
    # Each has a plain copy of both, and one of the two of the group.
    assert len(before) == 3
    first.lose()
    end_of(house, "first")
    rest = heir.got_payloads()
    assert len(rest) == 1
    assert sorted(before + rest) == [b"0", b"0", b"1", b"1"]


def test_b17_it_goes_to_those_who_may_receive_it():
    house = House(
        Permission(publish=["#"], subscribe=["#"]),
        Permission(user="deaf", deny_receive=["a/x"]),
    )
    first = member(house, "first", username="ann")
    left_by(house, numbers(4))
    first.lose()
    deaf = member(house, "deaf", username="deaf")
    heir = member(house, "heir", username="ann")
    house.client("first", 5, clean_start=True, username="ann")
    assert deaf.got() == []
    assert heir.got_payloads() == numbers(4)


def test_b17_what_a_member_has_refused_is_over():
    house = House()
    first = member(house, "first")
    left_by(house, numbers(2))
    first.send(Puback(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED))
    first.lose()
    heir = member(house, "heir")
    end_of(house, "first")
    assert heir.got_payloads() == [b"1"]


def test_b17_much_is_handed_on_in_portions_and_charged_all_the_time():
    house = House()
    first = member(house, "first")
    first.lose()
    left_by(house, [bytes(1000)] * MANY)
    held = house.core.ledger.held_bytes
    member(house, "heir").lose()
    core = house.core
    core.end_session(core.sessions["first"])
    assert 0 < len(core.sessions["heir"].outgoing) < MANY
    assert core.work
    # Less by what the session itself had, and more by the heir.
    assert core.ledger.held_bytes == pytest.approx(held, rel=0.02)
    house.settle()
    assert len(core.sessions["heir"].outgoing) == MANY
    assert is_balanced(house)


def test_b17_members_that_end_while_it_is_handed_on_leave_it_to_the_next():
    house = House()
    for name in ("first", "second", "third"):
        member(house, name).lose()
    left_by(house, numbers(3 * MANY))
    core = house.core
    core.end_session(core.sessions["first"])
    core.end_session(core.sessions["second"])
    house.settle()
    flows = core.sessions["third"].outgoing.flows()
    assert sorted(int(flow.payload) for flow in flows) == list(range(3 * MANY))
    core.end_session(core.sessions["third"])
    house.settle()
    assert is_balanced(house)


@pytest.mark.parametrize("settles", [True, False])
@pytest.mark.parametrize("comes_back", [True, False])
def test_b30_a_kill_while_it_is_handed_on_loses_nothing(
    settles: bool, comes_back: bool
):
    house = KeptHouse()
    for name in ("first", "heir"):
        member(house, name).lose()
    left_by(house, numbers(2 * MANY))
    house.commit()
    core = house.core
    mine = len(core.sessions["first"].outgoing)
    assert mine == MANY
    core.end_session(core.sessions["first"])
    if comes_back:
        core.new_session("first", None).expiry_s = 60
        house.journal.session(core.sessions["first"])
    if settles:
        house.settle()
    house.commit()
    house.restart()
    house.settle()
    assert sorted(house.core.sessions) == ["first", "heir"][not comes_back :]
    flows = house.core.sessions["heir"].outgoing.flows()
    payloads = sorted(int(flow.payload) for flow in flows)
    if settles:
        assert payloads == list(range(2 * MANY))
    # What was handed on already may come twice.
    assert set(payloads) == set(range(2 * MANY))
    assert is_balanced(house)
    house.commit()
    house.check()


def test_b30_a_message_is_known_as_one_of_its_group_after_a_kill():
    house = KeptHouse()
    for name in ("first", "heir"):
        member(house, name).lose()
    left_by(house, numbers(4))
    house.commit()
    house.restart()
    house.core.end_session(house.core.sessions["first"])
    house.settle()
    assert len(house.core.sessions["heir"].outgoing) == 4


def test_b30_the_publisher_of_a_retained_message_is_known_after_a_kill():
    house = KeptHouse()
    client = house.client("c", 5, username="ann")
    client.publish("a", retain=True)
    house.publish("own", retain=True)
    held = house.core.retained.held_bytes
    house.commit()
    house.restart()
    publishers = {item.topic: item.publisher for item in house.core.retained}
    assert publishers == {"a": ("c", "ann"), "own": None}
    assert house.core.retained.held_bytes == held
