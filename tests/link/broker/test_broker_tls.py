"""The broker over TLS: it serves, and a handshake that goes wrong costs its peer alone."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.streams.tls
import pytest
import trustme

from structiot import Environment
from structiot.errors import AuthRefused
from structiot.mqtt import MqttCertificateRefused, open_mqttclient
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect
from tests.link.broker.raw import HOST, PORT, Place, broker_place

pytestmark = pytest.mark.virtual_time


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def encrypted(
    authority: trustme.CA,
    scheme: str = "mqtts",
    *,
    wants_certificate: bool = False,
    **limits: Any,
) -> AsyncIterator[Place]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    listen = f"{scheme}://{HOST}:{PORT}"
    async with broker_place(listen=listen, ssl_context=context, **limits) as place:
        yield place


async def serves(place: Place, authority: trustme.CA) -> bool:
    config = {"cadata": authority.cert_pem.bytes().decode(), "reconnect_retries": 0}
    async with (
        open_mqttclient(
            place.uri, config=config, environment=Environment(network=place.network)
        ) as client,
        client.subscription("a", qos=1) as messages,
    ):
        await client.publish("a", b"x" * 100_000, qos=1)
        return len((await anext(messages)).payload) == 100_000


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_b29_messages_travel_encrypted(authority: trustme.CA, scheme: str):
    async with encrypted(authority, scheme) as place:
        assert place.uri.startswith(f"{scheme}://")
        assert await serves(place, authority)


@pytest.mark.parametrize(
    ("shows", "version"),
    [
        ("none", ssl.TLSVersion.TLSv1_3),
        ("one of another authority", ssl.TLSVersion.TLSv1_3),
        # Where it shows none, TLS 1.2 says nothing but that it has failed.
        ("one of another authority", ssl.TLSVersion.TLSv1_2),
    ],
)
async def test_who_shows_no_certificate_that_is_trusted_is_told_so(
    authority: trustme.CA, version: ssl.TLSVersion, shows: str
):
    context = ssl.create_default_context()
    context.maximum_version = version
    authority.configure_trust(context)
    if shows != "none":
        trustme.CA().issue_cert("stranger").configure_cert(context)
    async with encrypted(authority, wants_certificate=True) as place:
        with pytest.raises(AuthRefused, match="refuses our TLS certificate"):
            async with open_mqttclient(
                place.uri,
                config={"ssl_context": context},
                environment=Environment(network=place.network),
            ):
                pass


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="half a record"),
    ],
)
async def test_b28_a_tls_handshake_that_does_not_end_is_ended(
    authority: trustme.CA, head: bytes
):
    async with encrypted(authority, connect_s=5, connections=21) as place:
        stalled = [await place.stream() for _ in range(20)]
        for stream in stalled:
            if head:
                await stream.send(head)
        assert await serves(place, authority)
        for stream in stalled:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        assert anyio.current_time() == 5
        # Nothing of them counts any more.
        _ = [await place.stream() for _ in range(20)]
        assert await serves(place, authority)


async def test_b28_the_handshake_and_the_connect_have_one_deadline(
    authority: trustme.CA,
):
    async with encrypted(authority, connect_s=5) as place:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        plain = await place.stream()
        await anyio.sleep(3)
        stream = await anyio.streams.tls.TLSStream.wrap(
            plain, hostname=HOST, ssl_context=context
        )
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        assert anyio.current_time() == 5


@pytest.mark.parametrize(
    "greeting",
    [encode(Connect(client_id="c"), 4), b"GET / HTTP/1.1\r\n\r\n", bytes(1000)],
    ids=["MQTT", "HTTP", "zeros"],
)
async def test_b28_who_speaks_no_tls_is_cut_off(authority: trustme.CA, greeting: bytes):
    async with encrypted(authority) as place:
        stream = await place.stream()
        await stream.send(greeting)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            while True:
                await stream.receive()
        assert anyio.current_time() == 0
        assert await serves(place, authority)


async def test_a_client_that_hangs_up_in_the_handshake_leaves_a_reason_in_the_log(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "structiot.mqtt.broker")
    async with encrypted(authority) as place:
        with pytest.raises(MqttCertificateRefused):
            await serves(place, trustme.CA())
        await anyio.wait_all_tasks_blocked()
        stream = await place.stream()
        await stream.send(b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00")
        await anyio.wait_all_tasks_blocked()
    hung_up, no_tls = [record.getMessage() for record in caplog.records]
    assert hung_up.startswith(f"client {HOST}: it hung up during the TLS handshake")
    assert no_tls == f"client {HOST}: it speaks no TLS, which this port wants"
