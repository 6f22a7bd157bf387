"""Who hoards pays, by address, and nobody else does: row B28."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.messages import Disconnect, Puback, Pubrec
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient, lasting

FULL = ReasonCode.QUOTA_EXCEEDED
MB = 1_000_000


def honest_sleepers(house: House, count: int = 3) -> None:
    """Sessions elsewhere that are away and for which an acknowledged message waits."""
    house.host = "honest"
    for number in range(count):
        name = f"honest{number}"
        house.subscriber("alarm", qos=1, client_id=name, **lasting(4)).lose()
    sensor = house.client("sensor", 5)
    sensor.publish("alarm", b"burglar", qos=1)
    assert sensor.got() == [Puback(packet_id=1)]
    house.host = "evil"


def burglars_heard_of(house: House, count: int = 3) -> int:
    house.host = "honest"
    back = [house.client(f"honest{number}", **lasting(4)) for number in range(count)]
    return [one.got_payloads() for one in back].count([b"burglar"])


def hoarders(house: House, count: int = 8) -> list[ScriptedClient]:
    """Connected subscribers that never acknowledge, until nobody lets them have more."""
    options = {"receive_maximum": 1}
    made = [
        house.subscriber(
            f"x{n}", qos=1, client_id=f"evil{n}", version=5, properties=options
        )
        for n in range(count)
    ]
    for _ in range(house.core.limits.all_bytes // 10_000 // count):
        for number in range(count):
            house.publish(f"x{number}", bytes(10_000), qos=1)
    return made


# -- sessions


@pytest.mark.parametrize("holds", ["nothing", "a filter"])
def test_b28_who_has_most_sessions_loses_its_own(holds: str):
    house = House(sessions=20)
    honest_sleepers(house)
    for number in range(100):
        client = house.client(f"evil{number}", **lasting(4))
        if holds == "a filter":
            client.subscribe("x")
        client.lose()
    assert len(house.core.sessions) == 20 + len(["sensor"])
    assert burglars_heard_of(house) == 3


def test_b28_empty_sessions_displace_none_that_holds_something():
    house = House(sessions=20)
    honest_sleepers(house, 15)
    for number in range(100):
        # Fewer than the honest ones at any time, and of the same address.
        house.host = "honest" if number % 2 else "evil"
        house.client(f"evil{number}", **lasting(4)).lose()
    assert burglars_heard_of(house, 15) == 15


def test_b28_a_house_with_many_ipv6_addresses_is_one():
    house = House(sessions=20)
    honest_sleepers(house, 3)
    for number in range(100):
        house.host = f"2001:db8::{number:x}"
        house.subscriber("x", client_id=f"evil{number}", **lasting(4)).lose()
    assert burglars_heard_of(house) == 3
    assert len(house.core.ledger.accounts) == 2


# -- bytes


def test_b28_connected_hoarders_pay_and_sleepers_elsewhere_keep_what_they_have():
    house = House(all_bytes=8 * MB, retained_bytes=4 * MB)
    honest_sleepers(house)
    evil = hoarders(house)
    assert house.core.ledger.is_crowded
    publisher = house.client("publisher", 5)
    for number in range(400):
        publisher.publish(f"keep/{number}", bytes(10_000), qos=1, retain=True)
    codes = {one.reason for one in publisher.got() if isinstance(one, Puback)}
    assert FULL in codes
    assert any(one.is_ended for one in evil)
    goodbye = next(one for one in evil if one.is_ended).packets[-1]
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == FULL
    assert not house.core.ledger.is_pressing
    assert burglars_heard_of(house) == 3
    house.client("newcomer", 5)


def test_b28_retained_messages_are_forgotten_where_they_are_what_is_most():
    house = House(all_bytes=4 * MB)
    honest_sleepers(house)
    publisher = house.client("publisher", 5)
    for number in range(250):
        publisher.publish(f"keep/{number}", bytes(10_000), qos=1, retain=True)
    kept = len(house.core.retained)
    assert kept == 250
    # Others hold more and more, each of them little, until somebody has to pay.
    for number in range(40):
        house.host = f"house {number}"
        guest = house.subscriber("y", qos=1, client_id=f"guest{number}")
        assert not guest.is_ended
    for _ in range(5):
        house.publish("y", bytes(8000), qos=1)
    assert len(house.core.retained) < kept
    assert not house.core.ledger.is_pressing
    assert sum(one.client is not None for one in house.core.sessions.values()) == 42
    assert burglars_heard_of(house) == 3


def test_b28_what_is_charged_to_addresses_is_what_is_charged_in_all():
    house = House(all_bytes=8 * MB)
    honest_sleepers(house)
    hoarders(house)
    publisher = house.client("publisher", 5, **lasting(5))
    publisher.publish("keep", bytes(5000), retain=True)
    publisher.publish("q2", qos=2, packet_id=7)
    publisher.lose()
    # It moves to another address.
    house.host = "moved"
    house.client("publisher", 5, **lasting(5)).subscribe("a/b/c")
    ledger = house.core.ledger
    accounts = list(ledger.accounts.values())
    assert {one.name for one in accounts} == {"honest", "evil", "moved"}
    assert sum(one.held_bytes for one in accounts) == ledger.held_bytes
    assert all(one.held_bytes >= 0 for one in accounts)
    assert sum(len(one.sessions) for one in accounts) == len(house.core.sessions)


# -- who is told what


def test_b28_in_a_crowd_who_holds_something_gets_more_at_the_hoarders_cost():
    house = House(all_bytes=8 * MB)
    house.host = "honest"
    options = {"receive_maximum": 4}
    honest = house.subscriber("h", qos=1, client_id="h", version=5, properties=options)
    sensor = house.client("sensor", 5)
    for _ in range(5):
        sensor.publish("h", bytes(20_000), qos=1)
    house.host = "evil"
    hoarders(house)
    assert house.core.ledger.is_crowded
    sensor.got()
    for number in range(10):
        sensor.publish("h", bytes(20_000), qos=1, packet_id=number + 1)
    assert {int(one.reason) for one in sensor.got() if isinstance(one, Puback)} == {0}
    assert house.core.sessions["h"].dropped == 0
    got = 0
    while messages := honest.got_messages():
        got += len(messages)
        honest.send(*(Puback(packet_id=one.packet_id) for one in messages))
    assert got == 15


@pytest.mark.parametrize("qos", [1, 2])
def test_b28_what_nobody_could_be_given_is_not_acknowledged(qos: int):
    house = House(all_bytes=8 * MB)
    house.host = "evil"
    hoarders(house)
    lost = house.core.lost
    sensor = house.client("sensor", 5)
    sensor.publish("x0", bytes(10_000), qos=qos)
    kind = Puback if qos == 1 else Pubrec
    assert sensor.got() == [kind(packet_id=1, reason=FULL)]
    assert house.core.lost == lost + 1
    # Where somebody else is given it, it counts as delivered.
    house.host = "honest"
    house.subscriber("x0", qos=1, client_id="other")
    sensor.publish("x0", bytes(10_000), qos=qos)
    assert sensor.got() == [kind(packet_id=1)]
    old = house.client("old", 4)
    old.publish("x1", bytes(10_000), qos=qos)
    assert old.got() == [kind(packet_id=1)]
