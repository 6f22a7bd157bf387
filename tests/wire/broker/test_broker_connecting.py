"""CONNECT and CONNACK: rows B4, B5 and B24 to B26 of the broker's conformance table."""

from __future__ import annotations

import pytest

from structiot.mqtt.broker import Permission
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
    Puback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.server_state import ServerState
from tests.wire.broker.clients import House, ScriptedClient, lasting

versions = pytest.mark.parametrize("version", [4, 5])

# -- B4: client identifiers


@versions
@pytest.mark.parametrize(
    "client_id", ["a", "A1" * 11 + "z", "0" * 23, "x" * 500, "ü/#+ $"]
)
def test_b4_ids_of_any_length_and_character_are_accepted(version: int, client_id: str):
    house = House()
    welcome = house.client(client_id, version).welcome
    assert not welcome.reason
    assert welcome.properties.assigned_client_id is None
    assert list(house.core.sessions) == [client_id]


def test_b4_an_empty_id_needs_a_clean_session_in_3_1_1():
    house = House()
    assert not house.client("").welcome.reason
    client = ScriptedClient(house)
    client.send_bytes(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00")
    assert client.got() == [Connack(reason=ConnectReturnCode.IDENTIFIER_REJECTED)]
    assert client.is_ended
    assert len(house.core.sessions) == 1


@pytest.mark.parametrize("clean_start", [True, False])
def test_b4_an_empty_id_is_made_up_and_told_in_5_0(clean_start: bool):
    house = House()
    welcome = house.client("", 5, clean_start=clean_start).welcome
    assert welcome.properties.assigned_client_id in house.core.sessions
    other = house.client("", 5).welcome
    assert other.properties.assigned_client_id != welcome.properties.assigned_client_id


# -- B5: the same id again


@versions
def test_b5_the_same_id_again_ends_the_old_connection(version: int):
    house = House()
    old, new = house.client("same", version), house.client("same", version)
    assert old.is_ended
    assert old.got() == (
        [Disconnect(reason=ReasonCode.SESSION_TAKEN_OVER)] if version == 5 else []
    )
    assert house.core.sessions["same"].client is new


@versions
def test_b5_nothing_of_the_old_connection_is_listened_to_any_more(version: int):
    house = House()
    listener = house.subscriber("#", client_id="listener")
    old = house.client("same", version)
    house.client("same", version)
    old.send(Message("a", b"late"))
    assert not listener.got()
    old.lose()
    assert house.core.sessions["same"].client is not None


@versions
def test_b5_the_session_moves_to_the_new_connection(version: int):
    house = House()
    old = house.client("same", version, **lasting(version))
    old.subscribe("a", qos=1)
    house.publish("a", b"unanswered", qos=1)
    new = house.client("same", version, **lasting(version))
    assert new.welcome.session_present
    (again,) = new.got_messages()
    assert (again.payload, again.dup) == (b"unanswered", True)
    house.publish("a", b"next")
    assert new.got_payloads() == [b"next"]


@versions
def test_b5_the_will_of_a_connection_that_is_taken_over_is_sent(version: int):
    house = House()
    listener = house.subscriber("will")
    house.client("same", version, will=Will(topic="will", payload=b"gone"))
    house.client("same", version)
    assert listener.got_payloads() == [b"gone"]


# -- B24, B25: order of dealing with things


@versions
def test_b25_what_is_sent_behind_connect_is_dealt_with_after_it(version: int):
    house = House()
    listener = house.subscriber("a", client_id="listener")
    client = ScriptedClient(house, version)
    client.send(
        Connect(client_id="hasty", version=version),
        Subscribe(
            packet_id=1,
            subscriptions=(SubscriptionRequest(topic_filter="b", qos=1),),
        ),
        Message("a", b"early", qos=1, packet_id=2),
        Pingreq(),
    )
    connack, *rest = client.got()
    assert isinstance(connack, Connack)
    assert {type(packet) for packet in rest} >= {Puback, Pingresp}
    assert listener.got_payloads() == [b"early"]
    assert "b" in house.core.sessions["hasty"].subscriptions


@versions
def test_b25_nothing_of_a_refused_client_is_processed(version: int):
    house = House(Permission(publish=["a"]))
    listener = house.subscriber("a", client_id="listener", version=5)
    client = ScriptedClient(house, version)
    client.send(
        Connect(client_id="x", version=version, will=Will(topic="not/mine")),
        Message("a", b"x", qos=1, packet_id=1),
    )
    (connack,) = client.got()
    assert isinstance(connack, Connack)
    assert connack.reason.is_failure
    assert not listener.got()
    assert "x" not in house.core.sessions


def test_b24_what_came_before_a_fault_is_answered_before_the_disconnect():
    house = House()
    client = house.client(version=5)
    good = encode(Message("a", b"x", qos=1, packet_id=5), 5)
    client.send_bytes(good + b"\xff\xff")
    ack, goodbye = client.got()
    assert isinstance(ack, Puback)
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == ReasonCode.MALFORMED_PACKET
    assert goodbye.properties.reason_string


@versions
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x36\x03\0\1a", ReasonCode.MALFORMED_PACKET),  # QoS 3
        (b"\x38\x03\0\1a", ReasonCode.MALFORMED_PACKET),  # DUP with QoS 0
        (b"\x20\x02\0\0", ReasonCode.PROTOCOL_ERROR),  # CONNACK from a client
        (b"\xd0\x00", ReasonCode.PROTOCOL_ERROR),  # PINGRESP from a client
        (b"\x80\x04\0\1\0\0", ReasonCode.MALFORMED_PACKET),  # SUBSCRIBE, wrong nibble
        (b"\x00\x00", ReasonCode.MALFORMED_PACKET),  # reserved type
        (b"\x30\xff\xff\xff\xff\x01", ReasonCode.MALFORMED_PACKET),  # five lengths
    ],
)
def test_b24_a_packet_that_breaks_the_protocol_closes_with_its_code(
    version: int, data: bytes, code: ReasonCode
):
    house = House()
    neighbour = house.subscriber("a", client_id="neighbour")
    client = house.client(version=version)
    client.send_bytes(data)
    assert client.protocol.state is ServerState.CLOSING
    assert house.core.sessions.keys() == {"neighbour"}
    reasons = [p.reason for p in client.got() if isinstance(p, Disconnect)]
    assert reasons == ([code] if version == 5 else [])
    house.publish("a")
    assert neighbour.got_payloads() == [b"x"]


def test_b24_nothing_follows_a_disconnect():
    house = House()
    client = house.subscriber("a", version=5)
    client.send_bytes(b"\xff\xff")
    house.publish("a")
    assert [type(packet) for packet in client.got()] == [Disconnect]


@versions
def test_b24_nothing_behind_a_clients_disconnect_is_processed(version: int):
    house = House()
    listener = house.subscriber("a", client_id="listener")
    client = house.client(version=version)
    client.send(Disconnect(), Message("a"), Pingreq())
    assert not listener.got()
    assert not client.got()


# -- B26: who may connect


def test_b26_a_will_that_may_not_be_published_refuses_the_connection():
    house = House(Permission(user="alice", publish=["alice/#"]))
    client = ScriptedClient(house, 5)
    connack = client.connect("x", username="alice", will=Will(topic="bob/state"))
    assert connack.reason == ReasonCode.NOT_AUTHORIZED
    connack = ScriptedClient(house, 4).connect(
        "x", username="alice", will=Will(topic="$SYS/broker/uptime")
    )
    assert connack.reason == ConnectReturnCode.NOT_AUTHORIZED
    assert house.core.sessions == {}


@versions
def test_b26_a_session_is_not_to_be_had_by_another_user(version: int):
    house = House()
    alice = house.client("shared", version, username="alice", **lasting(version))
    alice.subscribe("secret", qos=1)
    for is_connected in (True, False):
        mallory = ScriptedClient(house, version)
        connack = mallory.connect("shared", username="mallory", **lasting(version))
        assert connack.reason.is_failure
        assert not alice.is_ended
        if is_connected:
            alice.lose()
    house.publish("secret", b"for alice", qos=1)
    back = house.client("shared", version, username="alice", **lasting(version))
    assert back.got_payloads() == [b"for alice"]


def test_b26_what_an_anonymous_client_left_behind_is_cleared_for_a_user():
    house = House()
    house.client("shared", clean_start=False).lose()
    welcome = house.client("shared", clean_start=False, username="alice").welcome
    assert not welcome.session_present
