"""What is known not to work with the package distmqtt 0.35.2, and why.

Each row of the table in docs/how_to/from_distmqtt.md names a test here, which shows the
behaviour as it is. When one of these fails, the package or our use of it got better.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from structiot.errors import (
    CertificateRefused,
    CommandRefused,
    ConfigError,
    LinkLost,
)
from structiot.mqtt import (
    Connected,
    MqttClient,
    ReasonCode,
    ScramSha256,
    open_mqttclient,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Puback,
    Pubcomp,
    Pubrel,
    Suback,
    Subscribe,
)
from tests._support.mosquitto import DEFAULT_CONFIG
from tests.engines.raw_peer import RawPeer, raw_peer

pytestmark = pytest.mark.e2e

WAIT_S = 5.0
A_WHILE_S = 0.3


def opened(uri: str, client_id: str | None = None, **config: Any):
    return open_mqttclient(uri, client_id, config, engine="distmqtt")


# -- refused at once -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "config", "problem"),
    [
        ("mqtt://127.0.0.1/", {"protocol": "5.0"}, r"MQTT 3\.1\.1"),
        ("mqtt://127.0.0.1/", {"store": "x.db", "cleansession": False}, "session"),
        ("mqtts://127.0.0.1/", {}, "name in a certificate"),
        ("mqtts://127.0.0.1/", {"alpn": ["mqtt"], "check_hostname": False}, "alpn"),
        ("unix:///tmp/socket", {}, "unix sockets"),
        ("mqtt://127.0.0.1/", {"proxy": "http://127.0.0.1"}, "proxy"),
        ("mqtt://127.0.0.1/", {"auth": ScramSha256("a", "b")}, "auth"),
        ("mqtt://127.0.0.1/", {"username": "a:b", "password": "x"}, "user name"),
        ("mqtt://127.0.0.1/", {"username": "a", "password": "x/y"}, "password"),
        ("mqtt://127.0.0.1/", {"username": "a", "password": b"\xff"}, "text"),
    ],
)
async def test_settings_that_the_package_has_not_are_refused(
    uri: str, config: dict[str, Any], problem: str
):
    with pytest.raises(ConfigError, match=problem):
        async with opened(uri, "me", **config):
            pytest.fail("the package cannot do that")


async def test_a_topic_with_a_star_is_not_sent(mosquitto):
    async with opened(mosquitto.uri) as client:
        async with client.subscription("engines/limits/#", qos=1) as messages:
            for qos in (1, 2):
                with pytest.raises(CommandRefused, match="topic name invalid"):
                    await client.publish("engines/limits/*", b"", qos=qos)
            await client.publish("engines/limits/*", b"", qos=0)
            await client.publish("engines/limits/last", b"", qos=1)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).topic == "engines/limits/last"


# -- sessions ------------------------------------------------------------------------


async def test_a_session_that_the_broker_kept_looks_like_a_new_one(mosquitto):
    for _ in range(2):
        async with opened(mosquitto.uri, "kept", cleansession=False) as client:
            async with client.events() as events:
                event = await anext(events)
        assert isinstance(event, Connected)
        assert not event.session_present
    async with opened(mosquitto.uri, "kept"):
        pass


async def test_qos_2_under_way_fails_when_the_connection_is_lost():
    async with raw_peer() as peer:
        peer.answer = lambda packet: None if isinstance(packet, Message) else b""
        with anyio.fail_after(WAIT_S):
            async with opened(peer.uri, reconnect_retries=-1) as client:
                receipt = await client.publish_soon("t", b"x", qos=2)
                with pytest.raises(LinkLost, match="whether it was delivered"):
                    await receipt.wait()


async def test_qos_1_under_way_goes_out_again_without_being_marked():
    def answer(packet: Any) -> bytes | None:
        if not isinstance(packet, Message):
            return b""
        if len(peer.of(Message)) == 1:
            return None
        return encode(Puback(packet_id=packet.packet_id), 4)

    async with raw_peer() as peer:
        peer.answer = answer
        with anyio.fail_after(WAIT_S):
            async with opened(peer.uri, reconnect_retries=-1) as client:
                await client.publish("t", b"x", qos=1)
    first, second = peer.of(Message)
    assert isinstance(second, Message)
    assert second == first
    assert not second.dup


async def test_a_reset_connection_is_one_of_many():
    async with raw_peer() as peer:
        with anyio.fail_after(WAIT_S):
            async with opened(peer.uri, reconnect_retries=-1):
                for count in (2, 3, 4):
                    peer.reset()
                    await peer.seen(Connect, count)
    assert peer.connections == 4


# -- deliveries ----------------------------------------------------------------------


async def subscribed(peer: RawPeer, client: MqttClient) -> None:
    """Have the peer grant everything."""

    def answer(packet: Any) -> bytes:
        if isinstance(packet, Subscribe):
            reasons = tuple(ReasonCode(item.qos) for item in packet.subscriptions)
            return encode(Suback(packet_id=packet.packet_id, reasons=reasons), 4)
        return b""

    peer.answer = answer
    await client.subscribe([("#", 2)])


async def test_deliveries_are_acknowledged_before_anybody_takes_them():
    async with raw_peer() as peer:
        with anyio.fail_after(WAIT_S):
            async with opened(peer.uri) as client:
                await subscribed(peer, client)
                await peer.send(encode(Message("t", b"x", qos=1, packet_id=9), 4))
                await peer.seen(Puback)
                assert client.counters.unsettled <= 1


async def test_a_release_that_was_not_expected_is_not_answered():
    async with raw_peer() as peer:
        async with opened(peer.uri):
            await peer.send(encode(Pubrel(packet_id=77), 4))
            await anyio.sleep(A_WHILE_S)
    assert peer.of(Pubcomp) == []


# -- peers that break the protocol ---------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(Connack(), 4), id="a second CONNACK"),
        pytest.param(b"\x30\x05\x00\x03a/#", id="a wildcard in a topic"),
        pytest.param(b"\x30\xff\xff\xff\x7f\x00\x01t", id="a claim of 256 MB"),
    ],
)
async def test_what_breaks_the_protocol_is_not_noticed(data: bytes):
    async with raw_peer() as peer:
        async with opened(peer.uri) as client:
            await peer.send(data)
            await anyio.sleep(A_WHILE_S)
            assert client.is_connected
    assert peer.connections == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x36\x05\x00\x01t\x00\x01", id="QoS 3"),
        pytest.param(b"\x30\x04\x00\x02\xff\xfe", id="a topic that is no text"),
    ],
)
async def test_some_of_it_ends_the_connection_without_a_reason(data: bytes):
    async with raw_peer() as peer:
        with pytest.raises(LinkLost, match="closed by the broker"):
            async with opened(peer.uri, auto_reconnect=False):
                await peer.send(data)
                await anyio.sleep(WAIT_S)


# -- TLS -----------------------------------------------------------------------------


async def test_a_certificate_for_another_name_passes(
    start_mosquitto, unused_port: int, tmp_path: Path
):
    authority = trustme.CA()
    files = {name: str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")}
    made = authority.issue_cert("another.example")
    authority.cert_pem.write_to_path(files["ca.pem"])
    made.cert_chain_pems[0].write_to_path(files["cert.pem"])
    made.private_key_pem.write_to_path(files["key.pem"])
    start_mosquitto(
        f"{DEFAULT_CONFIG}listener {unused_port} 127.0.0.1\n"
        f"cafile {files['ca.pem']}\ncertfile {files['cert.pem']}\n"
        f"keyfile {files['key.pem']}\n"
    )
    uri = f"mqtts://127.0.0.1:{unused_port}/"
    async with opened(uri, cafile=files["ca.pem"], check_hostname=False) as client:
        await client.publish("engines/tls", b"x", qos=1)
    with pytest.raises(CertificateRefused, match="certificate"):
        async with opened(uri, check_hostname=False):
            pytest.fail("nobody knows that authority")
