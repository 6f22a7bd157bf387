"""Clients whose TLS does what it may, at odd moments and often."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
import trustme

from structiot._kit.net.sockets import SocketStream
from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from tests._support.processor_time import watched_loop
from tests._support.tls_peer import TlsPeer

LONGEST_STEP_S = 0.05
LARGE = bytes(range(256)) * 24_000


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Client:
    """Speaks packets through a peer."""

    def __init__(self, peer: TlsPeer) -> None:
        self.peer = peer
        self._decoder = Decoder(role="client", version=4)
        self._packets: list[Packet] = []

    async def send(self, *packets: Packet) -> None:
        data = b"".join(encode(packet, 4) for packet in packets)
        await self.peer.send(self.peer.records_of(data))

    async def next(self) -> Packet:
        while not self._packets:
            data = await self.peer.receive()
            assert data
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)


@asynccontextmanager
async def broker_and_client(
    authority: trustme.CA,
) -> AsyncGenerator[tuple[str, dict[str, object], Client]]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    config = {"cadata": authority.cert_pem.bytes().decode(), "reconnect_retries": 0}
    async with open_broker("mqtts://127.0.0.1:0", ssl_context=server) as broker:
        port = int(broker.uri.rpartition(":")[2])
        sock = socket.socket()
        # The system holds little of what is not read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.connect(("127.0.0.1", port))
        async with SocketStream(sock, ("127.0.0.1", port)) as stream:
            client = Client(TlsPeer(context, "127.0.0.1"))
            await client.peer.shake_hands(stream)
            await client.send(Connect(client_id="peer"))
            assert isinstance(await client.next(), Connack)
            yield broker.uri, config, client


async def test_thousands_of_new_keys_do_not_hold_the_loop(authority: trustme.CA):
    async with broker_and_client(authority) as (_, _, client):
        # Each of them asks for another one in answer.
        flood = await anyio.to_thread.run_sync(client.peer.new_keys, 9_000)
        async with watched_loop() as watch, anyio.create_task_group() as tg:
            tg.start_soon(client.peer.send, flood)
            # Its own step must not count that reads the answers.
            await anyio.sleep(0.3)
        await client.send(Pingreq())
        assert isinstance(await client.next(), Pingresp)
    assert watch.longest_s < LONGEST_STEP_S, watch.longest_of


async def test_a_new_key_while_much_is_written_spoils_nothing(authority: trustme.CA):
    wanted = SubscriptionRequest(topic_filter="a")
    async with (
        broker_and_client(authority) as (uri, config, client),
        open_mqttclient(uri, config=config) as publisher,
    ):
        await client.send(Subscribe(packet_id=1, subscriptions=(wanted,)))
        assert isinstance(await client.next(), Suback)
        await publisher.publish("a", LARGE, qos=1)
        await anyio.wait_all_tasks_blocked()
        # The broker reads it while the system takes no more of what it writes.
        # OpenSSL answers the first of them when it sees the second.
        await client.peer.send(client.peer.new_keys(2))
        await anyio.sleep(0.1)
        message = await client.next()
        assert isinstance(message, Message)
        assert message.payload == LARGE
        await client.send(Pingreq())
        assert isinstance(await client.next(), Pingresp)
