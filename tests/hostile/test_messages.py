"""Packets that are small matters for the sender, and much work for the broker."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time

import anyio.to_thread
import pytest

from structiot.mqtt.broker import BrokerLimits, Permission, open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect, Subscribe, SubscriptionRequest, Will
from tests.hostile.attackers import log_in, read, read_to_the_end, send_until_refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def subscribing(*filters: str, qos: int = 0, version: int = 4) -> bytes:
    requests = tuple(
        SubscriptionRequest(topic_filter=name, qos=qos) for name in filters
    )
    return encode(Subscribe(packet_id=1, subscriptions=requests), version)


def varint(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def publish_with(block: bytes) -> bytes:
    """A PUBLISH of 5.0 with these properties."""
    body = b"\x00\x01a" + varint(len(block)) + block
    return b"\x30" + varint(len(body)) + body


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (b"\x26\x00\x00\x00\x00" * 3_000_000, 0x97),
        (b"\x0b\x01" * 400_000, 0x97),
        (b"\x0b\x01", 0x82),
    ],
    ids=["user properties", "identifiers", "one identifier"],
)
async def test_properties_without_end(mqtt_broker, watched, attacker, block, code):
    packet = publish_with(block)

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="props", version=5)) as sock:
            send_until_refused(sock, packet)
            assert read_to_the_end(sock)[2] == code

    # The packet itself is held until it is whole.
    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_topics_that_are_never_the_same(watched, attacker):
    """Each is looked up in permissions and subscriptions that are many."""
    rules = [f"allowed/{number}/+/x" for number in range(500)]
    permission = Permission(publish=[*rules, "#"], subscribe=["#"])
    topics = [b"%05d/x/x/x/x/x/x/x" % number for number in range(4000)]
    flood = b"".join(bytes((0x30, 2 + len(t), 0, len(t))) + t for t in topics)
    names = [
        "+/" + "/".join("+" if n >> bit & 1 else "x" for bit in range(7))
        for n in range(128)
    ]

    def attack(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="topics", version=4)) as sock:
            sock.sendall(subscribing(*names))
            read(sock, 5 + 128)
            with log_in(source, uri, Connect(client_id="busy", version=4)) as busy:
                busy.sendall(flood + b"\xc0\x00")
                assert read(sock, len(flood)) == flood
                assert read(busy, 2) == b"\xd0\x00"

    async with open_broker("mqtt://127.0.0.1:0", permissions=[permission]) as broker:
        async with watched(good=broker.uri):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


async def test_a_storm_of_wills_for_many(mqtt_broker, watched, attacker):
    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            heirs = []
            for number in range(200):
                connect = Connect(client_id=f"heir{number}", version=4)
                heirs.append(stack.enter_context(log_in(source, uri, connect)))
                heirs[-1].sendall(subscribing("w"))
                read(heirs[-1], 5)
            with contextlib.ExitStack() as mortals:
                for number in range(200):
                    will = Will(topic="w", payload=b"gone")
                    connect = Connect(client_id=f"mortal{number}", version=4, will=will)
                    mortals.enter_context(log_in(source, uri, connect))
            for heir in heirs:
                assert read(heir, 9 * 200) == b"\x30\x07\x00\x01wgone" * 200

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


@pytest.mark.parametrize("qos", [0, 1])
async def test_many_properties_for_many(mqtt_broker, watched, attacker, qos: int):
    """They are not encoded for each of the subscribers."""
    packet = publish_with(b"\x26\x00\x00\x00\x00" * 990)

    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            readers = []
            for number in range(200):
                connect = Connect(client_id=f"reader{number}", version=5)
                readers.append(stack.enter_context(log_in(source, uri, connect)))
                readers[-1].sendall(subscribing("a", qos=qos, version=5))
                read(readers[-1], 6)
            connect = Connect(client_id="talker", version=5)
            talker = stack.enter_context(log_in(source, uri, connect))
            talker.sendall(packet * 5)
            for reader in readers:
                assert read(reader, 5 * len(packet)) == packet * 5

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


async def test_a_large_message_for_many_who_read_nothing(watched, attacker):
    """It is work by its size, and what is written for all is in the ledger."""
    body = b"\x00\x01a\x00" + bytes(1_000_000)
    packet = b"\x30" + varint(len(body)) + body

    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            for number in range(200):
                connect = Connect(client_id=f"deaf{number}", version=5)
                deaf = stack.enter_context(log_in(source, uri, connect))
                deaf.sendall(subscribing("a", version=5))
                read(deaf, 6)
            connect = Connect(client_id="talker", version=5)
            talker = stack.enter_context(log_in(source, uri, connect))
            talker.sendall(packet + b"\xc0\x00")
            assert read(talker, 2) == b"\xd0\x00"

    limits = BrokerLimits(all_bytes=64 * 1024 * 1024)
    async with open_broker("mqtt://127.0.0.1:0", limits=limits) as broker:
        async with watched(good=broker.uri, grows_mb=110):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


async def test_a_shared_group_of_which_all_are_away(watched, attacker):
    """Whose turn it is does not take a walk through all of them."""

    def attack(source: str, uri: str) -> None:
        for number in range(1000):
            connect = Connect(client_id=f"away{number}", version=4, clean_start=False)
            with log_in(source, uri, connect) as sock:
                sock.sendall(subscribing("$share/g/a"))
                read(sock, 5)
        connect = Connect(client_id="talker", version=4)
        with log_in(source, uri, connect) as talker:
            talker.sendall(b"\x30\x03\x00\x01a" * 4000 + b"\xc0\x00")
            assert read(talker, 2) == b"\xd0\x00"

    async with open_broker("mqtt://127.0.0.1:0") as broker:
        async with watched(good=broker.uri):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


async def test_a_session_with_a_full_queue_is_taken_over_again_and_again(
    mqtt_broker, watched, attacker
):
    message = b"\x32\x06\x00\x01q\x00\x01x"

    def attack(source: str, uri: str) -> None:
        connect = Connect(client_id="owner", version=4, clean_start=False)
        with log_in(source, uri, connect) as sock:
            sock.sendall(subscribing("q", qos=1))
            read(sock, 5)
        with log_in(source, uri, Connect(client_id="filler", version=4)) as filler:
            filler.sendall(message * 10_000)
            read(filler, 4 * 10_000)
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                # Never read: each takes it from the one before.
                stack.enter_context(log_in(source, uri, connect))

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sigterm_is_obeyed_in_the_middle_of_it(attacker, backend):
    command = [
        sys.executable,
        "-m",
        "structiot",
        "mqtt",
        "broker",
        "--backend",
        backend,
    ]
    with subprocess.Popen(
        [*command, "--listen", "mqtt://127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        uri = next(word for word in line.split() if word.startswith("mqtt://"))
        with log_in(attacker, uri, Connect(client_id="many", version=4)) as sock:
            for row in range(200):
                sock.sendall(
                    b"".join(
                        bytes((0x31, 9, 0, 7)) + b"%03d/%03d" % (row, column)
                        for column in range(200)
                    )
                )
            for start in range(0, 10_000, 1000):
                names = [f"+/{number}" for number in range(start, start + 1000)]
                sock.sendall(subscribing(*names))
            read(sock, 5000)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            assert time.monotonic() - begun < 5
        assert process.returncode == 0
