"""Peers that ask for a lot, within the protocol: row B28.

The memory stays below what the limits say, nobody else waits, and what is refused is
refused by its code.
"""

from __future__ import annotations

import time

import pytest

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
    Message,
    Pingreq,
    Puback,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.properties import ConnectProperties, PublishProperties
from tests._support.broker_process import BrokerProcess
from tests.e2e.broker_hostile.peers import MB, Peer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

QUOTA_EXCEEDED = 0x97


def settled(peer: Peer) -> None:
    """Wait until the broker has dealt with all that was sent."""
    peer.socket.sendall(encode(Pingreq(), 5))
    while peer.socket.recv(65_536)[-2:] != b"\xd0\x00":
        pass


@pytest.mark.usefixtures("witness", "same_memory")
def test_b28_a_byte_now_and_then_is_not_enough(broker: BrokerProcess):
    begun = time.monotonic()
    lorises = [Peer(broker) for _ in range(50)]
    connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"
    for byte in connect[:4]:
        for peer in lorises:
            peer.socket.sendall(bytes((byte,)))
        time.sleep(0.2)
    for peer in lorises:
        assert peer.until_closed() == b""
        peer.socket.close()
    assert 0.9 < time.monotonic() - begun < 5


@pytest.mark.usefixtures("witness", "same_memory")
def test_b28_who_is_nobody_yet_cannot_have_much_kept(broker: BrokerProcess):
    """Sixteen connections that all but finish a CONNECT of 16 MB."""
    size = 16 * MB - 10
    length = bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80))
    length += bytes((size >> 14 & 0x7F | 0x80, size >> 21))
    for _ in range(16):
        peer = Peer(broker, b"\x10" + length + b"\x00\x04MQTT\x05\x02\x00\x00")
        assert peer.send_while_possible(bytes(65_536), 15 * MB) < 8 * MB
        peer.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
@pytest.mark.parametrize(
    "topic", ["filter/{}", "f/{}" + "/x" * 100, "{}" + "x" * 60_000]
)
def test_b28_thousands_of_subscriptions(broker: BrokerProcess, topic: str):
    peer = Peer(broker).connect("greedy", 5)
    decoder = Decoder(role="client", version=5)
    at_once = 4 if len(topic) > 1000 else 200  # what is no PUBLISH ends at 256 kB
    refused = 0
    for start in range(0, 60 * at_once, at_once):
        requests = tuple(
            SubscriptionRequest(topic_filter=topic.format(number))
            for number in range(start, start + at_once)
        )
        peer.socket.sendall(encode(Subscribe(packet_id=1, subscriptions=requests), 5))
        subacks = decoder.feed(peer.socket.recv(65_536))
        assert [type(packet) for packet in subacks] == [Suback]
        for packet in subacks:
            assert isinstance(packet, Suback)
            refused += sum(reason == QUOTA_EXCEEDED for reason in packet.reasons)
    assert 0 < refused < 60 * at_once
    peer.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
def test_b28_topics_that_are_long_and_never_the_same(broker: BrokerProcess):
    """Nobody remembers them: neither to find subscribers nor as aliases."""
    properties = ConnectProperties(topic_alias_maximum=65_535)
    listener = Peer(broker).connect("aliases", 5, properties=properties)
    listener.subscribe("long/+", version=5)
    publisher = Peer(broker).connect("long", 5)
    received = 0
    for number in range(300):
        topic = f"{'long/' if number % 3 == 0 else ''}{number}{'x' * 60_000}"
        publisher.socket.sendall(encode(Message(topic, b"x"), 5))
        while received < number * 20_000:
            received += len(listener.socket.recv(65_536))
    settled(publisher)
    listener.socket.close()
    publisher.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
@pytest.mark.parametrize("what", ["payload", "properties", "levels"])
def test_b28_enormous_sets_of_retained_messages(broker: BrokerProcess, what: str):
    publisher = Peer(broker).connect("hoarder", 5)
    name = "deep/" * 100 if what == "levels" else ""
    payload = bytes(12_000) if what == "payload" else b"x"
    pairs = (("", "v" * 60),) * 60 if what == "properties" else ()
    properties = PublishProperties(user_properties=pairs)
    for number in range(1000):
        message = Message(f"{name}r/{number}", payload, retain=True)
        message.properties = properties
        publisher.socket.sendall(encode(message, 5))
    settled(publisher)
    readers = [Peer(broker).connect(f"reader{number}") for number in range(20)]
    request = (SubscriptionRequest(topic_filter="#"),)
    for reader in readers:
        reader.socket.sendall(encode(Subscribe(packet_id=1, subscriptions=request), 4))
    time.sleep(0.5)  # they take nothing; the witness is watching
    for reader in readers:
        reader.reset()
    for number in range(1000):
        erasing = Message(f"{name}r/{number}", b"", retain=True)
        publisher.socket.sendall(encode(erasing, 5))
    settled(publisher)
    publisher.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
@pytest.mark.parametrize("pairs", [(), (("name", "value" * 4000),)])
def test_b28_a_subscriber_that_never_acknowledges(
    broker: BrokerProcess, pairs: tuple[tuple[str, str], ...]
):
    lazy = Peer(broker).connect("lazy", 5).subscribe("lazy/#", qos=1, version=5)
    publisher = Peer(broker).connect("busy", 5)
    decoder = Decoder(role="client", version=5)
    message = Message("lazy/a", b"" if pairs else bytes(20_000), qos=1, packet_id=1)
    message.properties = PublishProperties(user_properties=pairs)
    data = encode(message, 5)
    for _ in range(600):
        publisher.socket.sendall(data)
        acks = decoder.feed(publisher.socket.recv(4096))
        assert [type(packet) for packet in acks] == [Puback]
    lazy.reset()
    publisher.socket.close()


@pytest.mark.usefixtures("witness", "same_memory")
def test_b28_a_storm_of_wills(broker: BrokerProcess):
    heirs = [Peer(broker).connect(f"heir{n}").subscribe("estate/+") for n in range(20)]
    will = Will(topic="estate/will", payload=b"w" * 100)
    mortals = [Peer(broker).connect(f"mortal{n}", will=will) for n in range(200)]
    for mortal in mortals:
        mortal.reset()
    for heir in heirs:
        size = len(encode(Message("estate/will", b"w" * 100), 4))
        assert heir.read(200 * size).count(b"w" * 100) == 200
        heir.socket.close()
