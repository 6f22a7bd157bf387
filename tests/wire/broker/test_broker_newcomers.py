"""What clients hold that have no session yet: row B28."""

from __future__ import annotations

from structiot.mqtt.broker.core.ledger import weight
from structiot.mqtt.wire.server_state import ServerState
from tests.wire.broker.clients import House, ScriptedClient

BEGUN = b"\x10\xff\xff\x0e"


def beginner(house: House, size: int) -> ScriptedClient:
    client = ScriptedClient(house, 5)
    client.send_bytes(BEGUN + bytes(size))
    return client


def test_b28_an_unfinished_connect_is_charged_and_credited():
    house = House()
    ledger = house.core.ledger
    lost, late = beginner(house, 5000), beginner(house, 6000)
    assert ledger.held_bytes == 11_000 + 2 * len(BEGUN)
    assert ledger.accounts["client"].unfinished_bytes == ledger.held_bytes
    lost.lose()
    assert ledger.held_bytes == 6000 + len(BEGUN)
    late.lose()
    assert ledger.held_bytes == 0
    assert not ledger.newcomers


def test_b28_a_client_that_is_in_is_charged_once():
    house = House()
    client = ScriptedClient(house, 5)
    ledger = house.core.ledger
    client.send_bytes(b"\x10\x0e\x00\x04MQTT\x05")
    assert ledger.held_bytes == ledger.unfinished_bytes == 9
    client.send_bytes(b"\x02\x00\x00\x00\x00\x01c")
    client.got()
    client.publish("t")
    assert not ledger.newcomers
    assert not ledger.unfinished_bytes
    assert ledger.held_bytes == weight(house.core.sessions["c"])
    assert ledger.held_bytes == ledger.accounts["client"].held_bytes


def test_b28_of_many_unfinished_connects_the_oldest_of_who_has_most_yields():
    house = House(all_bytes=1_600_000)
    house.host = "honest"
    honest = beginner(house, 3000)
    house.host = "evil"
    evil = [beginner(house, 10_000) for _ in range(50)]
    ended = [one.is_ended for one in evil]
    assert house.core.ledger.unfinished_bytes <= 100_000
    assert ended == [True] * ended.count(True) + [False] * ended.count(False)
    assert 5 < ended.count(False) < 15
    assert not honest.is_ended
    assert honest.protocol.state is ServerState.WAITING
    # And nothing of them stays behind, however long their connections take to end.
    assert sum(len(one.protocol.decoder.unfinished) for one in evil) < 100_000
