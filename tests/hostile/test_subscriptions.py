"""Subscriptions that are much work: for one who wants it, and for many who may.

Retained messages stand where every filter meets them all; what is written by attackers
is bytes, since our own encoder would refuse some of it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import anyio.to_thread
import pytest

from structiot.mqtt.broker import BrokerLimits, BrokerServer, open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
)
from tests.hostile.attackers import log_in, read, read_to_the_end, send_until_refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

MANY = 10_000
SIXTEEN_MB = 4_194_254
LONG = {
    "subscribe": (0x82, b"\x00\x01a\x00"),
    "unsubscribe": (0xA2, b"\x00\x01a"),
    "shared": (0x82, b"\x00\x0a$share/g/a\x00"),
}


def retain(broker: BrokerServer, rows: int, columns: int) -> None:
    for row in range(rows):
        for column in range(columns):
            broker.publish(f"r/{row}/{column}", b"x", retain=True)


def subscribing(filters: list[str], version: int) -> bytes:
    requests = tuple(SubscriptionRequest(topic_filter=name) for name in filters)
    return encode(Subscribe(packet_id=1, subscriptions=requests), version)


def long_packet(first: int, version: int, body: bytes) -> bytes:
    """A packet with an id, without properties, whatever its body."""
    body = b"\x00\x01" + (b"\x00" if version == 5 else b"") + body
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((first, *length, size)) + body


@contextlib.contextmanager
def all_send(
    source: str, uri: str, packets: list[bytes]
) -> Iterator[list[socket.socket]]:
    """Log a client in for each packet, and have them sent at the same moment."""
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(
                log_in(source, uri, Connect(client_id=f"legal{number}", version=4))
            )
            for number in range(len(packets))
        ]
        for sock, packet in zip(socks, packets, strict=True):
            sock.sendall(packet)
        yield socks


@pytest.mark.parametrize("at_once", [1000, MANY])
@pytest.mark.parametrize("version", [4, 5])
async def test_ten_thousand_filters_over_forty_thousand_retained_messages(
    mqtt_broker, watched, attacker, version, at_once
):
    """All at once it is refused; in ten packets it is done, while others go on."""
    retain(mqtt_broker, 200, 200)
    names = [f"+/+/{number}" for number in range(MANY)]
    packets = [
        subscribing(names[start : start + at_once], version)
        for start in range(0, MANY, at_once)
    ]

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="many", version=version)) as sock:
            send_until_refused(sock, b"".join(packets))
            if at_once == MANY:
                end = read_to_the_end(sock)
                assert end[:3] == (
                    b"\xe0" + end[1:2] + b"\x97" if version == 5 else b""
                )
            else:
                read(sock, 500_000)  # of what is retained, after the first SUBACKs

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("size", [SIXTEEN_MB * 4, 260_000], ids=["16 MB", "260 kB"])
async def test_one_long_packet(  # noqa: PLR0917 - fixtures
    mqtt_broker, watched, attacker, what, size, version
):
    first, one = LONG[what]
    packet = long_packet(first, version, one * (size // len(one)))

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="long", version=version)) as sock:
            send_until_refused(sock, packet)
            read_to_the_end(sock)

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_filters_of_sixty_thousand_levels(mqtt_broker, watched, attacker):
    one = b"\xff\xf7" + b"+/" * 32_763 + b"+" + b"\x00"
    packet = long_packet(0x82, 4, one * 3)

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="deep", version=4)) as sock:
            for _ in range(10):
                sock.sendall(packet)
                assert read(sock, 7) == b"\x90\x05\x00\x01\x80\x80\x80"

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


@pytest.mark.parametrize(
    "topic_filter", ["+/" * 100 + "{}", "x/" * 100 + "{}", "$share/{}/a"]
)
async def test_filters_are_filed_again_and_again(
    mqtt_broker, watched, attacker, topic_filter
):
    names = [topic_filter.format(number) for number in range(1000)]
    packets = [
        subscribing(names[start : start + 500], 4) for start in range(0, 1000, 500)
    ]
    ending = [
        encode(
            Unsubscribe(packet_id=2, topic_filters=tuple(names[start : start + 500])), 4
        )
        for start in range(0, 1000, 500)
    ]

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="again", version=4)) as sock:
            for _ in range(3):
                for packet in (*packets, *packets, *ending):
                    sock.sendall(packet)
                    read(
                        sock,
                        4 + (500 if packet[0] == 0x82 else 0) + (packet[0] == 0x82),
                    )

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_two_hundred_legal_clients_with_a_thousand_filters_each(
    watched, attacker
):
    packets = [
        subscribing([f"home/{number}/{n}/+" for n in range(1000)], 4)
        for number in range(200)
    ]

    def attack(source: str, uri: str) -> None:
        with all_send(source, uri, packets) as socks:
            for sock in socks:
                assert read(sock, 1005)[-1000:] == bytes(1000)

    # What they may have together is the ledger's; here it is 200,000 filters.
    limits = BrokerLimits(all_bytes=1024 * 1024 * 1024)
    async with open_broker("mqtt://127.0.0.1:0", limits=limits) as broker:
        async with watched(good=broker.uri, grows_mb=400, keeps_mb=200):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


async def test_five_hundred_subscribe_to_two_thousand_retained_messages(
    mqtt_broker, watched, attacker
):
    """Each gets each, once and in order."""
    retain(mqtt_broker, 2, 1000)
    expected = read_of_retained(2, 1000)

    packet = subscribing(["r/#"], 4)

    def attack(source: str, uri: str) -> None:
        # Half of them at a time: more files than 1,024 may not be open.
        for _ in range(2):
            with all_send(source, uri, [packet] * 250) as socks:
                for sock in socks:
                    assert read(sock, 5) == b"\x90\x03\x00\x01\x00"
                    assert read(sock, len(expected)) == expected

    async with watched(good=mqtt_broker.uri, grows_mb=200):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


def read_of_retained(rows: int, columns: int) -> bytes:
    return b"".join(
        bytes((0x31, 3 + len(topic), 0, len(topic))) + topic + b"x"
        for topic in (b"r/%d/%d" % (r, c) for r in range(rows) for c in range(columns))
    )


async def test_messages_that_many_filters_match(mqtt_broker, watched, attacker):
    """Every level a wildcard or not: to find who gets a message takes long."""
    names = [
        "/".join("+" if number >> bit & 1 else "x" for bit in range(12))
        for number in range(4096)
    ]
    topic = b"x/" * 11 + b"x"
    message = bytes((0x30, 2 + len(topic) + 1, 0, len(topic))) + topic + b"y"

    def attack(source: str, uri: str) -> None:
        connect = Connect(client_id="wild", version=4)
        with log_in(source, uri, connect) as sock:
            for start in range(0, 4096, 512):
                sock.sendall(subscribing(names[start : start + 512], 4))
                read(sock, 5 + 512)
            with log_in(source, uri, Connect(client_id="busy", version=4)) as busy:
                busy.sendall(message * 1000 + b"\xc0\x00")
                assert read(sock, 1000 * len(message)) == message * 1000
                assert read(busy, 2) == b"\xd0\x00"

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_one_message_for_very_many_shared_groups(mqtt_broker, watched, attacker):
    """One client stands in a thousand groups of the same topic, and so do others."""

    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            for number in range(20):
                connect = Connect(client_id=f"groups{number}", version=4)
                sock = stack.enter_context(log_in(source, uri, connect))
                names = [f"$share/g{number}x{n}/a" for n in range(1000)]
                sock.sendall(subscribing(names, 4))
                read(sock, 5 + 1000)
            publisher = stack.enter_context(
                log_in(source, uri, Connect(client_id="publisher", version=4))
            )
            publisher.sendall(b"\x32\x06\x00\x01a\x00\x01x" * 20)
            assert read(publisher, 4 * 20) == b"\x40\x02\x00\x01" * 20

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_sessions_with_many_filters_all_end_at_once(watched, attacker):
    limits = BrokerLimits(session_expiry_max_s=1)
    async with open_broker("mqtt://127.0.0.1:0", limits=limits) as broker:

        def attack(source: str, uri: str) -> None:
            with contextlib.ExitStack() as stack:
                for number in range(40):
                    connect = Connect(
                        client_id=f"mortal{number}", version=4, clean_start=False
                    )
                    sock = stack.enter_context(log_in(source, uri, connect))
                    names = [f"{number}/{n}" for n in range(1000)]
                    sock.sendall(subscribing(names, 4))
                    read(sock, 5 + 1000)

        async with watched(good=broker.uri):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)
            with anyio.fail_after(10):
                # Nobody tells when they are over.
                while len(broker.core.sessions) > 1 or len(broker.core.tree):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
