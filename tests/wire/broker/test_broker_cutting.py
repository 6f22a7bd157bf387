"""A batch that is taken down in portions holds together, whatever happens meanwhile."""

from __future__ import annotations

from random import Random

import pytest

from structiot.mqtt.broker.core import cutting
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Message, Puback, Pubrec
from tests.wire.broker.clients import lasting
from tests.wire.broker.histories import NAMES, STEPS, WEIGHTS, History
from tests.wire.broker.paper import KeptHouse


@pytest.mark.parametrize("seed", range(60))
def test_b30_whatever_happens_while_a_batch_is_cut(seed: int, monkeypatch):
    """Each session in a portion of its own: what is committed holds together."""
    monkeypatch.setattr(cutting, "PORTION", 1)
    chance = Random(seed)
    run = History()
    for what in chance.choices(tuple(STEPS), WEIGHTS, k=120):
        run.step(what, chance.choice(NAMES), chance.choice(STEPS[what]))
        run.house.step()
        if chance.random() < 0.3:
            run.house.begin_commit()
        elif chance.random() < 0.2:
            run.house.commit()
    run.house.commit()
    run.house.commit()
    run.house.check()


@pytest.mark.parametrize("cuts", range(8))
def test_b30_a_message_of_qos_2_for_very_many_is_not_lost_half_way(cuts: int):
    """It counts as received when all whom it is for have it."""
    house = KeptHouse()
    for number in range(600):
        house.subscriber("a", qos=2, client_id=f"s{number}", **lasting(4)).lose()
    client = house.client("p", **lasting(4))
    house.commit()
    message = Message("a", b"once", qos=2, packet_id=7)
    house.core.receive(client, encode(message, 4), house.now, most=1)
    for _ in range(cuts):
        house.core.receive(client, b"", house.now, most=1)
    assert client.is_behind
    house.commit()
    house.restart()
    back = house.client("p", **lasting(4))
    back.send(Message("a", b"once", qos=2, packet_id=7, dup=True))
    assert back.got() == [Pubrec(packet_id=7)]
    for number in range(600):
        subscriber = house.client(f"s{number}", **lasting(4))
        assert set(subscriber.got_payloads()) == {b"once"}
    # From now on it is known.
    house.commit()
    house.restart()
    back = house.client("p", **lasting(4))
    back.send(Message("a", b"once", qos=2, packet_id=7, dup=True))
    assert back.got() == [Pubrec(packet_id=7)]
    assert house.client("s0", **lasting(4)).got_messages()[0].dup


def test_b30_a_message_that_comes_while_a_batch_is_cut_is_not_half_in_it(monkeypatch):
    """It counts as received in the batch that has its deliveries."""
    monkeypatch.setattr(cutting, "PORTION", 1)
    house = KeptHouse()
    subscriber = house.subscriber("a", qos=2, **lasting(4))
    client = house.client("p", **lasting(4))
    house.commit()
    subscriber.subscribe("b")
    client.subscribe("b")
    house.begin_commit()
    house.step()
    client.publish("a", b"once", qos=2, packet_id=7)
    house.commit()
    house.restart()
    back = house.client("p", **lasting(4))
    back.send(Message("a", b"once", qos=2, packet_id=7, dup=True))
    assert house.client("subscriber", **lasting(4)).got_payloads() == [b"once"]


def test_b30_a_body_is_not_forgotten_in_the_batch_that_needs_it(monkeypatch):
    monkeypatch.setattr(cutting, "PORTION", 1)
    house = KeptHouse()
    slow = house.subscriber("a", qos=2, client_id="slow", **lasting(4))
    quick = house.subscriber("a", qos=1, client_id="quick", **lasting(4))
    house.commit()
    house.publish("a", b"x", qos=2)
    quick.send(Puback(packet_id=1))
    house.begin_commit()
    house.step()
    slow.send(Pubrec(packet_id=1))
    house.commit()
    assert len(house.paper.messages) == 1
    house.commit()
    assert not house.paper.messages
    assert len(house.paper.deliveries) == 1
