"""What a broker may be told not to take: rows B31 to B37 of the conformance table."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.mqtt.broker import Permission, Permissions
from structiot.mqtt.wire.messages import (
    Disconnect,
    Puback,
    Pubrec,
    Will,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.server_state import ServerState
from tests.wire.broker.clients import House, ScriptedClient, lasting

versions = pytest.mark.parametrize("version", [4, 5])
KB = 1024


def cut_off(client: ScriptedClient) -> list[int]:
    """What a client was told at the end of its connection, which has come."""
    assert client.is_ended
    assert client.protocol.state is ServerState.CLOSING
    return [
        int(packet.reason) for packet in client.got() if isinstance(packet, Disconnect)
    ]


def refusal(house: House, version: int, **options: Any) -> int:
    """The code with which a CONNECT is refused."""
    client = ScriptedClient(house, version)
    code = client.connect(**options).reason
    assert client.is_ended == bool(code)
    return int(code)


# -- B31: the highest QoS


@versions
@pytest.mark.parametrize(("most", "qos"), [(0, 1), (0, 2), (1, 2)])
def test_b31_a_message_above_the_highest_qos_ends_the_connection(
    version: int, most: int, qos: int
):
    house = House(maximum_qos=most)
    subscriber = house.subscriber("#", client_id="all")
    client = house.client("c", version, **lasting(version))
    client.publish("a", qos=qos)
    assert cut_off(client) == ([ReasonCode.QOS_NOT_SUPPORTED] if version == 5 else [])
    assert subscriber.got() == []
    # Its session does not take what it sends again for something it has had.
    assert not house.core.sessions["c"].received
    back = house.client("c", version, **lasting(version))
    back.publish("a", b"again", qos=most)
    assert subscriber.got_payloads() == [b"again"]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_b31_the_highest_qos_is_announced_where_it_is_not_2(most: int):
    welcome = House(maximum_qos=most).client("c", 5).welcome
    assert welcome.properties.maximum_qos == (None if most == 2 else most)


@versions
@pytest.mark.parametrize("most", [0, 1])
def test_b31_subscriptions_are_granted_no_more(version: int, most: int):
    house = House(maximum_qos=most)
    client = house.client("c", version)
    assert client.subscribe("a", "b", "c", qos=2) == [most] * 3
    house.publish("a", qos=2)
    (message,) = client.got_messages()
    assert message.qos == most


@versions
def test_b31_a_will_above_the_highest_qos_refuses_the_connection(version: int):
    house = House(maximum_qos=1)
    code = refusal(house, version, will=Will(topic="w", qos=2))
    assert code == (
        ReasonCode.QOS_NOT_SUPPORTED
        if version == 5
        else ConnectReturnCode.NOT_AUTHORIZED
    )
    assert not house.core.sessions
    assert not refusal(house, version, will=Will(topic="w", qos=1))


# -- B32: retaining


@versions
def test_b32_what_is_to_be_retained_ends_the_connection(version: int):
    house = House(retain_available=False)
    subscriber = house.subscriber("#", client_id="all")
    client = house.client("c", version)
    client.publish("a", retain=True)
    assert cut_off(client) == (
        [ReasonCode.RETAIN_NOT_SUPPORTED] if version == 5 else []
    )
    assert subscriber.got() == []
    assert len(house.core.retained) == 0


@pytest.mark.parametrize("is_available", [True, False])
def test_b32_that_nothing_is_retained_is_announced(is_available: bool):
    welcome = House(retain_available=is_available).client("c", 5).welcome
    assert welcome.properties.retain_available is (None if is_available else False)


@versions
def test_b32_a_will_that_is_to_be_retained_refuses_the_connection(version: int):
    house = House(retain_available=False)
    code = refusal(house, version, will=Will(topic="w", retain=True))
    assert code == (
        ReasonCode.RETAIN_NOT_SUPPORTED
        if version == 5
        else ConnectReturnCode.NOT_AUTHORIZED
    )
    assert not refusal(house, version, will=Will(topic="w"))


# -- B33: payloads


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_b33_a_message_with_a_longer_payload_is_refused(version: int, qos: int):
    house = House(payload_bytes=100)
    subscriber = house.subscriber("#", client_id="all", qos=2)
    client = house.client("c", version)
    client.publish("a", bytes(101), qos=qos, retain=True)
    kind = {1: Puback, 2: Pubrec}.get(qos)
    reason = ReasonCode.QUOTA_EXCEEDED if version == 5 else ReasonCode.SUCCESS
    assert client.got() == ([kind(packet_id=1, reason=reason)] if kind else [])
    assert subscriber.got() == []
    assert len(house.core.retained) == 0
    client.publish("a", bytes(100), qos=qos, packet_id=9)
    assert subscriber.got_payloads() == [bytes(100)]
    assert not client.is_ended


@versions
def test_b33_a_will_with_a_longer_payload_refuses_the_connection(version: int):
    house = House(payload_bytes=100)
    code = refusal(house, version, will=Will(topic="w", payload=bytes(101)))
    assert code == (
        ReasonCode.PACKET_TOO_LARGE
        if version == 5
        else ConnectReturnCode.NOT_AUTHORIZED
    )
    assert not refusal(house, version, will=Will(topic="w", payload=bytes(100)))


@versions
def test_b33_a_longer_packet_ends_the_connection_and_the_limit_is_announced(
    version: int,
):
    house = House(packet_bytes=20_000)
    client = house.client("c", version)
    announced = client.welcome.properties.maximum_packet_bytes
    assert announced == (20_000 if version == 5 else None)
    client.publish("a", bytes(20_000))
    assert cut_off(client) == ([ReasonCode.PACKET_TOO_LARGE] if version == 5 else [])


# -- B34: clients without an id


@versions
def test_b34_a_client_without_an_id_may_be_refused(version: int):
    house = House(allows_empty_client_id=False)
    assert refusal(house, version, client_id="") == (
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        if version == 5
        else ConnectReturnCode.IDENTIFIER_REJECTED
    )
    assert not refusal(house, version, client_id="x")


# -- B35: control characters

DOUBTFUL = [
    "\x01",
    "\n",
    "\x1f",
    "\x7f",
    "\x85",
    "\x9f",
    "\ufdd0",
    "\uffff",
    "\U0001fffe",
]
HARMLESS = [
    " ",
    "\xa0",
    "\xad",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\ue000",
    "\U000f0000",
    "ä",
]


@versions
@pytest.mark.parametrize("character", DOUBTFUL)
def test_b35_a_name_with_a_control_character_is_refused(
    version: int, character: str, caplog: pytest.LogCaptureFixture
):
    house = House()
    subscriber = house.subscriber("#", client_id="all")
    client = house.client("c", version)
    client.publish(f"a{character}b", qos=1, retain=True)
    reason = ReasonCode.TOPIC_NAME_INVALID if version == 5 else ReasonCode.SUCCESS
    assert client.got() == [Puback(packet_id=1, reason=reason)]
    assert subscriber.got() == []
    assert len(house.core.retained) == 0
    kind = "control character" if character < "\xa0" else "noncharacter"
    assert caplog.messages[-1].endswith(
        f"topic name invalid, it holds U+{ord(character):04X}, a {kind}"
    )


@versions
@pytest.mark.parametrize("character", DOUBTFUL)
def test_b35_a_filter_or_a_will_with_one_is_refused(version: int, character: str):
    house = House()
    client = house.client("c", version)
    refused = ReasonCode.TOPIC_FILTER_INVALID if version == 5 else 0x80
    assert client.subscribe("a", f"a/{character}/#", qos=1) == [1, refused]
    code = refusal(house, version, client_id="d", will=Will(topic=character))
    assert code == (
        ReasonCode.TOPIC_NAME_INVALID
        if version == 5
        else ConnectReturnCode.NOT_AUTHORIZED
    )


@versions
@pytest.mark.parametrize("character", HARMLESS)
def test_b35_all_other_characters_are_taken(version: int, character: str):
    house = House()
    client = house.client("c", version)
    assert client.subscribe(f"a{character}/#", qos=1) == [1]
    client.publish(f"a{character}/b")
    assert [message.topic for message in client.got_messages()] == [f"a{character}/b"]


@versions
@pytest.mark.parametrize("character", DOUBTFUL)
def test_b35_an_option_lets_them_in(version: int, character: str):
    house = House(allows_control_characters=True)
    will = Will(topic=f"will{character}")
    client = house.client("c", version, will=will)
    assert client.subscribe("#", f"a{character}", qos=1) == [1, 1]
    client.publish(f"a{character}")
    assert [message.topic for message in client.got_messages()] == [f"a{character}"]


def test_b35_a_nul_ends_the_connection_whatever_the_option():
    client = House(allows_control_characters=True).client("c", 5)
    client.send_bytes(b"\x30\x06\x00\x03a\0b\x00")
    assert cut_off(client) == [ReasonCode.MALFORMED_PACKET]


# -- B36: whether a publisher might still do it

ANN = [
    Permission(user="ann", publish=["#"], subscribe=["#"]),
    Permission(user="bob", publish=["bob/%c"]),
]


def retained_by(house: House, *names: str) -> None:
    """Have each user retain something; a user is called as its client."""
    for name in names:
        client = house.client(name, 5, username=name)
        client.publish(f"{name}/{name}", b"x", retain=True)
        client.disconnect()


@versions
def test_b36_what_was_retained_is_told_while_its_publisher_may_write_it(version: int):
    house = House(*ANN)
    retained_by(house, "ann", "bob")
    house.publish("own", retain=True)
    reader = house.client("r", version, username="ann")
    reader.subscribe("#")
    topics = {message.topic for message in reader.got_messages()}
    assert topics == {"ann/ann", "bob/bob", "own"}
    # From now on bob may publish nothing.
    house.core.permissions = Permissions(ANN[:1])
    reader.subscribe("#")
    topics = {message.topic for message in reader.got_messages()}
    assert topics == {"ann/ann", "own"}
    house.core.permissions = Permissions(ANN)
    reader.subscribe("#")
    assert len(reader.got_messages()) == 3


@versions
def test_b36_an_option_has_it_told_all_the_same(version: int):
    house = House(*ANN, check_retain_source=False)
    retained_by(house, "bob")
    house.core.permissions = Permissions(ANN[:1])
    reader = house.client("r", version, username="ann")
    reader.subscribe("#")
    assert len(reader.got_messages()) == 1


def test_b36_a_will_that_was_retained_has_its_client_as_its_publisher():
    house = House(*ANN)
    options = {
        "username": "bob",
        "will": Will(topic="bob/bob", payload=b"w", retain=True),
    }
    house.client("bob", 5, **options).lose()
    reader = house.client("r", 5, username="ann")
    reader.subscribe("#")
    assert reader.got_payloads() == [b"w"]
    house.core.permissions = Permissions(ANN[:1])
    reader.subscribe("#")
    assert reader.got_payloads() == []


def test_b36_names_of_publishers_weigh_as_long_as_their_messages_do():
    house = House()
    before = house.core.ledger.held_bytes
    client = house.client("c" * 50_000, 5, username="u" * 10_000)
    client.publish("a", retain=True)
    client.disconnect()
    held = house.core.ledger.held_bytes - before
    assert 60_000 < held < 65_000
    assert held == house.core.retained.held_bytes
    house.client("d").publish("a", b"", retain=True)
    assert house.core.retained.held_bytes == 0


# -- B37: bytes under way


@versions
def test_b37_deliveries_under_way_are_bounded_in_bytes(version: int):
    house = House(inflight_bytes=10 * KB)
    client = house.subscriber("a", qos=2, version=version)
    for _ in range(10):
        house.publish("a", bytes(4 * KB), qos=1)
    first = client.got_messages()
    # The one that goes beyond the limit is the last.
    assert len(first) == 3
    got = len(first)
    while first:
        client.send(Puback(packet_id=first.pop(0).packet_id))
        more = client.got_messages()
        assert len(more) == min(1, 10 - got)
        first += more
        got += len(more)
    assert got == 10
    assert not house.core.sessions["subscriber"].outgoing.held_bytes


@versions
def test_b37_a_message_longer_than_that_goes_alone(version: int):
    house = House(inflight_bytes=KB)
    client = house.subscriber("a", qos=1, version=version)
    for _ in range(3):
        house.publish("a", bytes(4 * KB), qos=1)
    for _ in range(3):
        (message,) = client.got_messages()
        client.send(Puback(packet_id=message.packet_id))
    assert client.got() == []


@versions
def test_b37_what_was_under_way_is_all_sent_again(version: int):
    house = House(inflight_bytes=10 * KB)
    client = house.subscriber("a", qos=1, version=version, **lasting(version))
    for number in range(6):
        house.publish("a", b"%d" % number + bytes(4 * KB), qos=1)
    assert len(client.got()) == 3
    client.lose()
    back = house.client("subscriber", version, **lasting(version))
    again = back.got_messages()
    assert [(m.payload[:1], m.flags & 8) for m in again] == [
        (b"0", 8),
        (b"1", 8),
        (b"2", 8),
    ]
    for message in again:
        back.send(Puback(packet_id=message.packet_id))
    assert [m.payload[:1] for m in back.got_messages()] == [b"3", b"4", b"5"]
