"""Servers whose TLS does what it may, at odd moments and often."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
import trustme

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import REAL_NETWORK, Network
from structiot.mqtt import MqttClient, open_mqttclient
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import Connack, Message, Packet, Puback
from structiot.testing import MemoryNetwork
from tests._support.processor_time import watched_loop
from tests._support.tls_peer import TlsPeer

LONGEST_STEP_S = 0.05
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def client_and_server(
    authority: trustme.CA, version: ssl.TLSVersion, network: Network
) -> AsyncGenerator[tuple[MqttClient, TlsPeer]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    authority.issue_cert(HOST).configure_cert(context)
    server = TlsPeer(context)

    async def serve(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await server.shake_hands(stream)
            await server.receive()
            await server.send(server.records_of(encode(Connack(), 4)))
            await anyio.sleep_forever()

    config = {
        "cadata": authority.cert_pem.bytes().decode(),
        "reconnect_retries": 0,
        "protocol": "3.1.1",
    }
    async with network.listen_tcp(HOST, 0) as listener, service_group() as tg:
        tg.start_soon(listener.serve, serve)
        async with open_mqttclient(
            f"mqtts://{HOST}:{listener.address[1]}",
            config=config,
            environment=Environment(network=network),
        ) as client:
            yield client, server
        tg.cancel_scope.cancel()


async def acknowledge_one(server: TlsPeer) -> bytes:
    decoder = Decoder(role="server")
    packets: list[Packet] = []
    while not packets:
        data = await server.receive()
        assert data
        packets = decoder.feed(data)
    (message,) = packets
    assert isinstance(message, Message)
    await server.send(server.records_of(encode(Puback(packet_id=message.packet_id), 4)))
    return message.payload


@pytest.mark.virtual_time
@pytest.mark.parametrize("payload", [b"little", bytes(300_000)])
async def test_publishing_waits_for_another_handshake(
    authority: trustme.CA, payload: bytes
):
    async with client_and_server(
        authority, ssl.TLSVersion.TLSv1_2, MemoryNetwork()
    ) as (client, server):
        await server.send(server.other_handshake())
        await anyio.sleep(1)
        async with anyio.create_task_group() as tg:
            # Nothing may be written before the handshake is over.
            tg.start_soon(lambda: client.publish("a", payload, qos=1))
            await anyio.sleep(1)
            assert await acknowledge_one(server) == payload


async def test_thousands_of_new_keys_do_not_hold_the_loop(authority: trustme.CA):
    async with client_and_server(authority, ssl.TLSVersion.TLSv1_3, REAL_NETWORK) as (
        client,
        server,
    ):
        flood = await anyio.to_thread.run_sync(server.new_keys, 9_000)
        async with watched_loop() as watch:
            await server.send(flood)
            # Its own step must not count that reads the answers.
            await anyio.sleep(0.3)
        async with anyio.create_task_group() as tg:
            tg.start_soon(lambda: client.publish("a", b"x", qos=1))
            assert await acknowledge_one(server) == b"x"
    assert watch.longest_s < LONGEST_STEP_S, watch.longest_of
