"""Every truncation and every flipped bit of every golden packet, through both roles.

Not only the decoder: the machines behind it get the damaged packets in the middle of a
session with flows under way. Whatever comes, nothing is raised; there are events, or a
wait for more, or a violation that is said to the peer in a packet it can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.flows.outbound import Flow, Outgoing, PacketIds
from structiot.mqtt.wire.messages import Connack, Connect, Packet
from structiot.mqtt.wire.properties import ConnectProperties
from structiot.mqtt.wire.protocol import ClientProtocol, State
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.server_protocol import ServerProtocol
from structiot.mqtt.wire.server_state import ServerState
from tests.wire.mqtt.vectors import VECTORS

QOS_1, QOS_2 = 2, 4
VERSIONS = [4, 5]
MAX_PACKET_BYTES = 100_000


def connect_packet(version: int) -> Connect:
    properties = ConnectProperties(topic_alias_maximum=8 if version == 5 else None)
    return Connect(client_id="c", version=version, properties=properties)


def connecting_client(version: int) -> ClientProtocol:
    client = ClientProtocol(max_packet_bytes=MAX_PACKET_BYTES)
    client.connect(connect_packet(version), 0.0)
    client.out.clear()
    return client


def open_client(version: int) -> ClientProtocol:
    """A client with a flow of each QoS and a SUBSCRIBE under way."""
    client = connecting_client(version)
    client.receive(encode(Connack(), version), 0.0)
    assert client.state is State.OPEN
    client.submit(Flow("t", b"one", QOS_1))
    client.submit(Flow("t", b"two", QOS_2))
    client.out.clear()
    return client


def waiting_server(version: int) -> ServerProtocol:
    return ServerProtocol(max_packet_bytes=MAX_PACKET_BYTES)


def open_server(version: int) -> ServerProtocol:
    """A server with a flow of each QoS under way."""
    server = ServerProtocol(max_packet_bytes=MAX_PACKET_BYTES, topic_alias_maximum=8)
    list(server.receive(encode(connect_packet(version), version), 0.0))
    outgoing = Outgoing(PacketIds())
    server.accept(Connack(), outgoing, set())
    assert server.state is ServerState.OPEN
    outgoing.submit(Flow("t", b"one", QOS_1), server.out, version)
    outgoing.submit(Flow("t", b"two", QOS_2), server.out, version)
    server.out.clear()
    return server


def raws(receiver: str, version: int) -> list[bytes]:
    return [
        vector.raw
        for vector in VECTORS
        if (vector.receiver, vector.version) == (receiver, version)
    ]


def damaged(raw: bytes) -> Iterator[bytes]:
    """Every flipped bit; every body cut short whose header says so; every cut."""
    for at in range(len(raw)):
        for bit in range(8):
            yield raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
    head = 2 if raw[1] < 128 else 3
    body = raw[head:]
    for size in range(min(len(body), 128)):
        yield bytes([raw[0], size]) + body[:size]
    for size in range(len(raw)):
        yield raw[:size]


def decoded(role: str, version: int, data: bytes) -> list[Packet]:
    """What the peer reads of our answer; it must be free of faults."""
    decoder = Decoder(role=role, version=version)  # type: ignore[arg-type]
    packets = decoder.feed(data)
    assert decoder.violation is None
    assert not decoder.held_bytes
    return packets


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("make", [connecting_client, open_client])
def test_no_damaged_packet_gets_past_the_client(
    make: Callable[[int], ClientProtocol], version: int
):
    violations = 0
    for raw in raws("client", version):
        for data in damaged(raw):
            client = make(version)
            client.receive(data, 1.0)
            answers = decoded("server", version, bytes(client.out))
            if client.violation is None:
                continue
            violations += 1
            assert client.state is State.CLOSING
            if version == 5 and make is open_client:
                said = answers[-1]
                assert getattr(said, "reason", None) == client.violation.code
            assert client.receive(raw, 2.0) == [], "nothing counts after a violation"
    assert violations > 300


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("make", [waiting_server, open_server])
def test_no_damaged_packet_gets_past_the_server(
    make: Callable[[int], ServerProtocol], version: int
):
    violations = 0
    for raw in raws("server", version):
        for data in damaged(raw):
            server = make(version)
            list(server.receive(data, 1.0))
            was_waiting = server.state is ServerState.WAITING
            server.end_if_violated()
            level = server.version
            if server.out and was_waiting:
                level = 5 if server.out[1] > 2 else 4
            answers = decoded("client", level, bytes(server.out))
            if server.violation is None:
                continue
            violations += 1
            assert ReasonCode(server.violation.code or 0).is_failure
            assert server.state is ServerState.CLOSING
            if version == 5 and make is open_server:
                # A second CONNECT of a version unknown: CONNACK's code, not ours.
                code = {0x84: 0x82}.get(server.violation.code or 0)
                expected = code or server.violation.code
                assert getattr(answers[-1], "reason", None) == expected
            assert list(server.receive(raw, 2.0)) == [], (
                "nothing counts after a violation"
            )
    assert violations > 300
