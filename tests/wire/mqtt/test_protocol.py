"""One connection as a machine: its beginning, its sessions, its end."""

from __future__ import annotations

import pytest

from structiot.errors import CommandRefused
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, Flow
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingresp,
    Puback,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.pending_requests import REQUEST_IDS
from structiot.mqtt.wire.properties import (
    AuthProperties,
    ConnectProperties,
    PublishProperties,
)
from structiot.mqtt.wire.protocol import State
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from tests.wire.mqtt.scripted_client import OK, Client, kinds, opened

# -- the beginning (C1, C7, C20, C22) ------------------------------------------------


def test_the_first_packet_is_one_connect_and_nothing_follows_before_the_connack():
    client = Client()
    client.protocol.submit(Flow("t", b"early", 2))
    client.connect()
    client.protocol.submit(Flow("t", b"late", 4))
    assert kinds(client.sent()) == [Connect]
    assert client.state() is State.CONNECTING
    client.take(Connack())
    assert client.state() is State.OPEN
    assert kinds(client.sent()) == [Message, Message]


@pytest.mark.parametrize(
    "packet",
    [
        Message("t"),
        Message("t", qos=1, packet_id=1),
        Puback(packet_id=1),
        Pubrel(packet_id=1),
        Suback(packet_id=1, reasons=(OK,)),
        Pingresp(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("version", [4, 5])
def test_anything_before_the_connack_is_a_violation(packet: Packet, version: int):
    client = Client(version=version)
    client.connect()
    client.sent()
    assert client.take(packet, Connack()) == []
    assert "before the CONNACK" in client.fault
    assert client.state() is State.CLOSING
    # No DISCONNECT before the server has accepted us.
    assert client.sent() == []


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(encode(Connect(client_id="x"), 4), id="CONNECT"),
        pytest.param(b"\x82\x06\x00\x01\x00\x01a\x00", id="SUBSCRIBE"),
        pytest.param(b"\xa2\x05\x00\x01\x00\x01a", id="UNSUBSCRIBE"),
        pytest.param(b"\xc0\x00", id="PINGREQ"),
        pytest.param(b"\x20\x02\x00\x00", id="second CONNACK"),
        pytest.param(b"\xe0\x00", id="DISCONNECT of a 3.1.1 server"),
        pytest.param(b"\xf0\x00", id="AUTH in 3.1.1"),
        pytest.param(b"\x00\x00", id="type 0"),
    ],
)
def test_what_a_server_may_not_send_ends_the_connection(raw: bytes):
    client = opened()
    assert client.protocol.receive(raw, client.now) == []
    assert client.protocol.violation is not None
    assert client.state() is State.CLOSING


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x20\x02\x02\x00", id="reserved flag"),
        pytest.param(b"\x20\x02\x01\x02", id="session present with a refusal"),
        pytest.param(b"\x20\x02\x00\x06", id="unknown code"),
        pytest.param(b"\x20\x01\x00", id="too short"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="an HTTP server"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="an SSH server"),
    ],
)
def test_a_connack_that_is_none_is_a_violation(raw: bytes):
    client = Client()
    client.connect()
    client.protocol.receive(raw, client.now)
    assert client.protocol.violation is not None
    assert client.state() is State.CLOSING


def test_a_refusal_is_handed_on_and_leaves_the_connection_unopened():
    client = Client()
    client.connect()
    refusal = Connack(reason=ConnectReturnCode.NOT_AUTHORIZED)
    assert client.take(refusal) == [refusal]
    assert client.state() is State.CONNECTING
    assert client.protocol.violation is None


def test_a_session_that_was_to_be_clean_is_a_violation():
    client = Client()
    client.connect(clean_start=True)
    client.take(Connack(session_present=True))
    assert "was to be clean" in client.fault
    assert client.state() is State.CLOSING


# -- sessions (C23, C24) -------------------------------------------------------------


def test_a_kept_session_goes_on_with_dup():
    client = opened()
    client.protocol.submit(Flow("t", b"one", 2))
    client.sent()
    client.lose()
    client.open(session_present=True)
    [message] = client.sent()
    assert isinstance(message, Message)
    assert (message.payload, message.dup, message.packet_id) == (b"one", True, 1)


def test_a_lost_session_begins_anew_in_both_directions():
    client = opened()
    client.protocol.submit(Flow("t", b"one", 2))
    client.take(Message("t", qos=2, packet_id=9))
    client.sent()
    client.lose()
    client.open(session_present=False)
    [message] = client.sent()
    assert isinstance(message, Message)
    assert not message.dup
    assert len(client.protocol.incoming) == 0


def test_limits_hold_for_one_connection():
    client = opened(
        5,
        receive_maximum=1,
        maximum_qos=1,
        retain_available=False,
        maximum_packet_bytes=50,
        topic_alias_maximum=5,
        server_keep_alive_s=4,
    )
    refused = [Flow("t", b"x", 4), Flow("t", b"x", 3), Flow("t", bytes(100), 2)]
    for flow in (*refused, Flow("a/topic", b"1", 2), Flow("a/topic", b"2", 2)):
        client.protocol.submit(flow)
    assert {type(flow.error) for flow in refused} == {CommandRefused}
    [first] = client.sent()
    assert isinstance(first, Message)
    assert first.properties == PublishProperties(topic_alias=1)
    assert client.protocol.next_deadline() == client.now + 3
    client.lose()
    client.open(session_present=False)
    client.protocol.submit(Flow("t", bytes(100), 5))
    again = client.sent()
    assert [message.properties for message in again if type(message) is Message] == [
        None,
        None,
        None,
    ]
    assert client.protocol.next_deadline() == client.now + 9


# -- the end (C84) -------------------------------------------------------------------


def test_nothing_is_written_after_the_goodbye():
    client = opened(5)
    client.take(Message("t", qos=1, packet_id=3))
    [message] = client.take(Message("t", qos=1, packet_id=4))
    client.protocol.disconnect()
    flow = Flow("t", b"", 2)
    client.protocol.submit(flow)
    assert isinstance(message, Message)
    client.protocol.settle(message.receipt)
    assert client.take(Message("t", qos=1, packet_id=5), Pingresp()) == []
    assert client.sent() == [Disconnect()]
    assert client.protocol.violation is None
    assert not flow.is_done


def test_what_was_submitted_during_the_goodbye_goes_out_on_the_next_connection():
    client = opened()
    client.protocol.disconnect()
    client.protocol.submit(Flow("t", b"next", 2))
    client.lose()
    client.open()
    assert kinds(client.sent()) == [Message]


# -- subscribing ---------------------------------------------------------------------


def test_requests_take_ids_of_the_common_pool_and_give_them_back():
    client = opened(5)
    request = SubscriptionRequest(topic_filter="a/#", qos=1)
    client.protocol.submit(Flow("t", b"", 2))
    assert client.protocol.subscribe((request,)) == 2
    assert client.protocol.unsubscribe(("a/#",)) == 3
    assert kinds(client.sent()) == [Message, Subscribe, Unsubscribe]
    events = client.take(
        Suback(packet_id=2, reasons=(OK,)), Unsuback(packet_id=3, reasons=(OK,))
    )
    assert [type(event).__name__ for event in events] == ["Suback", "Unsuback"]
    assert client.protocol.ids.used == {1}
    assert client.take(Suback(packet_id=2, reasons=(OK,))) == []


def test_requests_without_an_answer_give_their_ids_back_with_the_connection():
    client = opened()
    client.protocol.subscribe((SubscriptionRequest(topic_filter="a"),))
    client.protocol.unsubscribe(("b",))
    client.lose()
    assert client.protocol.ids.used == set()


def test_without_a_free_id_a_request_says_so():
    client = opened()
    for _ in range(MAX_PACKET_ID):
        client.protocol.ids.take()
    request = SubscriptionRequest(topic_filter="a")
    assert client.protocol.subscribe((request,)) == 0
    assert client.protocol.unsubscribe(("a",)) == 0
    assert client.sent() == []


def test_messages_leave_packet_ids_to_requests():
    client = opened()
    for _ in range(MAX_PACKET_ID):
        client.protocol.submit(Flow("t", b"", 2))
    assert len(client.protocol.outgoing.waiting) == REQUEST_IDS
    assert client.protocol.subscribe((SubscriptionRequest(topic_filter="a"),))
    for _ in range(REQUEST_IDS - 1):
        assert client.protocol.unsubscribe(("a",))
    assert client.protocol.unsubscribe(("a",)) == 0
    # What an answer frees goes to the next request, and not to a message.
    client.take(Suback(packet_id=MAX_PACKET_ID - REQUEST_IDS + 1, reasons=(OK,)))
    assert client.protocol.unsubscribe(("a",))


def test_a_suback_lets_a_message_go_that_waited_for_an_id():
    client = opened()
    client.protocol.subscribe((SubscriptionRequest(topic_filter="a"),))
    for _ in range(MAX_PACKET_ID - 1):
        client.protocol.ids.take()
    client.protocol.submit(Flow("t", b"", 2))
    assert kinds(client.sent()) == [Subscribe]
    client.take(Suback(packet_id=1, reasons=(OK,)))
    [message] = client.sent()
    assert isinstance(message, Message)
    assert message.packet_id == 1


def test_a_request_that_cannot_be_encoded_costs_no_id():
    client = opened()
    with pytest.raises(Exception, match="65"):
        client.protocol.unsubscribe(("a" * 70_000,))
    assert client.protocol.ids.used == set()
    assert client.sent() == []


# -- steps of an authentication ------------------------------------------------------


def test_an_auth_packet_is_handed_on():
    client = Client(version=5)
    client.connect(properties=ConnectProperties(authentication_method="m"))
    properties = AuthProperties(authentication_method="m")
    auth = Auth(reason=ReasonCode.CONTINUE_AUTHENTICATION, properties=properties)
    assert client.take(auth) == [auth]
    assert client.state() is State.CONNECTING
