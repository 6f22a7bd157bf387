"""The server's half of a connection: states, order, faults, authentication."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.flows.outbound import Flow, Outgoing, PacketIds
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import (
    AuthProperties,
    ConnackProperties,
    ConnectProperties,
)
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.server_protocol import ServerProtocol
from structiot.mqtt.wire.server_state import ServerState

versions = pytest.mark.parametrize("version", [4, 5])
SUBSCRIBE = Subscribe(
    packet_id=1, subscriptions=(SubscriptionRequest(topic_filter="a"),)
)


class Server:
    """A `ServerProtocol` with a session, and the client's decoder."""

    def __init__(self, version: int = 4, **options: Any) -> None:
        self.version = version
        self.protocol = ServerProtocol(max_packet_bytes=10_000, **options)
        self.outgoing = Outgoing(PacketIds())
        self.received: set[int] = set()
        self._decoder = Decoder(role="client", version=version)

    def is_in(self, state: ServerState) -> bool:
        return self.protocol.state is state

    def take(self, *packets: Packet) -> list[Packet]:
        data = b"".join(encode(packet, self.version) for packet in packets)
        return list(self.protocol.receive(data, 1.0))

    def connect(self, **properties: Any) -> list[Packet]:
        return self.take(
            Connect(
                client_id="c",
                version=self.version,
                properties=ConnectProperties(**properties),
            )
        )

    def accept(self, **options: Any) -> list[Packet]:
        self.protocol.accept(Connack(), self.outgoing, self.received, **options)
        return list(self.protocol.receive(b"", 1.0))

    def open(self, **properties: Any) -> None:
        self.connect(**properties)
        self.accept()
        assert isinstance(self.sent()[0], Connack)

    def sent(self) -> list[Packet]:
        packets = self._decoder.feed(b"".join(self.protocol.out.take()))
        assert self._decoder.violation is None
        return packets


def auth(reason: ReasonCode, method: str | None = "M", data: bytes = b"d") -> Auth:
    properties = AuthProperties(authentication_method=method, authentication_data=data)
    return Auth(reason=reason, properties=properties)


CONTINUE = ReasonCode.CONTINUE_AUTHENTICATION


# -- states


@versions
def test_connect_is_given_alone_and_the_rest_after_it_was_accepted(version: int):
    server = Server(version)
    connect = Connect(client_id="c", version=version)
    message = Message("a", b"x", qos=1, packet_id=2)
    assert server.take(connect, SUBSCRIBE, message, Pingreq()) == [connect]
    assert server.is_in(ServerState.DECIDING)
    assert server.take(Pingreq()) == []
    assert server.accept() == [SUBSCRIBE, message]
    assert server.is_in(ServerState.OPEN)
    connack, *rest = server.sent()
    assert isinstance(connack, Connack)
    assert rest == [Pingresp(), Pingresp()]


@versions
def test_a_refused_client_gets_a_connack_and_nothing_of_it_is_dealt_with(version: int):
    server = Server(version)
    server.take(Connect(client_id="c", version=version), SUBSCRIBE)
    server.protocol.refuse(Connack(reason=ReasonCode.NOT_AUTHORIZED))
    (connack,) = server.sent()
    assert isinstance(connack, Connack)
    assert connack.reason.is_failure
    assert server.take(Pingreq()) == []
    assert server.accept() == []
    assert not server.sent()


@versions
def test_nothing_is_taken_or_written_once_it_is_closing(version: int):
    server = Server(version)
    server.open()
    assert len(server.take(Disconnect(), SUBSCRIBE, Pingreq())) == 1
    assert server.is_in(ServerState.CLOSING)
    server.protocol.disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
    server.protocol.acknowledge(Message("a", qos=1, packet_id=1), ReasonCode.SUCCESS)
    assert server.take(Pingreq()) == []
    assert not server.protocol.end_if_violated()
    assert not server.sent()


def test_a_fault_is_told_once_what_came_before_it_was_dealt_with():
    server = Server(5)
    server.open()
    data = encode(SUBSCRIBE, 5) + b"\xff\xff"
    assert list(server.protocol.receive(data, 1.0)) == [SUBSCRIBE]
    assert not server.sent()
    assert server.protocol.end_if_violated()
    (goodbye,) = server.sent()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == ReasonCode.MALFORMED_PACKET
    assert server.protocol.end_if_violated()
    assert not server.sent()


def test_a_fault_behind_a_connect_is_told_after_the_welcome():
    server = Server(5)
    connect = encode(Connect(client_id="c", version=5), 5)
    list(server.protocol.receive(connect + encode(Pingreq(), 5) + b"\xff\xff", 1.0))
    assert server.protocol.violation is None
    server.accept()
    assert server.protocol.end_if_violated()
    assert [type(p) for p in server.sent()] == [Connack, Pingresp, Disconnect]


def test_the_reason_in_words_is_left_out_where_it_does_not_fit():
    server = Server(5)
    server.open(maximum_packet_bytes=10)
    server.protocol.disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT, "far too many words")
    assert server.sent() == [Disconnect(reason=ReasonCode.KEEP_ALIVE_TIMEOUT)]


@pytest.mark.parametrize("cuts", [1, 2, 3, 7])
@versions
def test_any_split_of_the_stream_is_dealt_with_alike(version: int, cuts: int):
    packets: list[Packet] = [
        SUBSCRIBE,
        Message("a", bytes(300), qos=2, packet_id=5),
        Pingreq(),
        Message("b", b"x", qos=1, packet_id=6),
        Pubrel(packet_id=5),
        Disconnect(),
    ]
    data = b"".join(encode(packet, version) for packet in packets)
    whole, split = Server(version), Server(version)
    results = []
    for server, step in ((whole, len(data)), (split, cuts)):
        server.open()
        events: list[Packet] = []
        for at in range(0, len(data), step):
            events += server.protocol.receive(data[at : at + step], 1.0)
        results.append((events, server.sent(), server.received))
    assert results[0] == results[1]
    assert len(results[0][0]) == 4


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from([4, 5]))
def test_garbage_breaks_nothing_but_the_connection(chunks: list[bytes], version: int):
    server = Server(version)
    server.open()
    for chunk in chunks:
        list(server.protocol.receive(chunk, 1.0))
        server.protocol.end_if_violated()
    server.protocol.disconnect(ReasonCode.NORMAL_DISCONNECTION)
    assert server.is_in(ServerState.CLOSING)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_before_connect_is_never_answered_with_more_than_a_connack(
    chunks: list[bytes],
):
    server = Server()
    for chunk in chunks:
        list(server.protocol.receive(chunk, 1.0))
        server.protocol.end_if_violated()
    assert len(server.protocol.out) <= 5


# -- flows


@versions
def test_a_qos_2_message_is_given_once(version: int):
    server = Server(version)
    server.open()
    message = Message("a", b"x", qos=2, packet_id=5)
    assert server.take(message, message) == [message]
    assert server.sent() == [Pubrec(packet_id=5)]  # for the repetition
    server.protocol.acknowledge(message, ReasonCode.SUCCESS)
    assert server.received == {5}
    assert server.take(message) == []
    assert server.sent() == [Pubrec(packet_id=5)] * 2
    server.take(Pubrel(packet_id=5))
    assert server.received == set()
    assert server.take(message) == [message]


def test_a_refused_qos_2_message_is_forgotten_in_5_0():
    server = Server(5)
    server.open()
    message = Message("a", b"x", qos=2, packet_id=5)
    server.take(message)
    server.protocol.acknowledge(message, ReasonCode.NOT_AUTHORIZED)
    assert server.sent() == [Pubrec(packet_id=5, reason=ReasonCode.NOT_AUTHORIZED)]
    assert server.take(message) == [message]


@versions
def test_acknowledgements_move_the_sessions_deliveries(version: int):
    server = Server(version)
    server.outgoing.submit(Flow("a", b"one", 2), bytearray(), version)
    server.outgoing.submit(Flow("a", b"two", 4), bytearray(), version)
    server.connect()
    server.accept(window=1)
    connack, first = server.sent()
    assert isinstance(connack, Connack)
    assert isinstance(first, Message)
    server.take(Puback(packet_id=1))
    (second,) = server.sent()
    assert isinstance(second, Message)
    server.take(Pubrec(packet_id=2), Pubcomp(packet_id=2))
    assert server.sent() == [Pubrel(packet_id=2)]
    assert not server.outgoing.flows()


def test_the_smaller_window_counts():
    for asked, window, under_way in ((2, 5, 2), (5, 2, 2), (None, 3, 3)):
        server = Server(5)
        for _ in range(9):
            server.outgoing.submit(Flow("a", b"x", 2), bytearray(), 5)
        server.connect(receive_maximum=asked)
        server.accept(window=window)
        assert len(server.sent()) == 1 + under_way


# -- authentication


def test_with_a_method_nothing_but_auth_may_come_before_the_connack():
    server = Server(5)
    server.connect(authentication_method="M", authentication_data=b"first")
    server.take(Pingreq())
    assert server.protocol.violation is not None
    assert server.protocol.end_if_violated()
    assert not server.sent()  # there was no CONNACK


def test_auth_is_given_while_deciding_and_challenges_go_out():
    server = Server(5)
    server.connect(authentication_method="M")
    server.protocol.challenge(CONTINUE, b"question")
    assert server.sent() == [auth(CONTINUE, data=b"question")]
    answer = auth(CONTINUE, data=b"answer")
    assert server.take(answer) == [answer]
    assert server.is_in(ServerState.DECIDING)


def test_a_client_may_give_up_while_it_is_decided_on():
    server = Server(5)
    server.connect(authentication_method="M")
    assert server.take(Disconnect()) == []
    assert server.is_in(ServerState.CLOSING)


@pytest.mark.parametrize("is_open", [False, True])
def test_auth_of_another_method_is_a_fault(is_open: bool):
    server = Server(5)
    server.connect(authentication_method="M")
    if is_open:
        server.accept()
        server.sent()
    assert server.take(auth(ReasonCode.REAUTHENTICATE, "OTHER")) == []
    assert server.protocol.violation is not None


def test_auth_without_a_method_in_connect_is_a_fault():
    server = Server(5)
    server.open()
    assert server.take(auth(ReasonCode.REAUTHENTICATE)) == []
    assert server.protocol.end_if_violated()
    (goodbye,) = server.sent()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == ReasonCode.PROTOCOL_ERROR


def test_an_open_client_may_authenticate_again():
    server = Server(5)
    server.open(authentication_method="M")
    again = auth(ReasonCode.REAUTHENTICATE)
    assert server.take(again) == [again]


def test_an_answer_that_does_not_fit_is_a_fault_and_is_not_written():
    server = Server(5)
    server.open(maximum_packet_bytes=20)
    properties = ConnackProperties(reason_string="far too long for this client")
    server.protocol.reply(Connack(properties=properties))
    assert server.protocol.violation is not None
    assert not server.sent()
