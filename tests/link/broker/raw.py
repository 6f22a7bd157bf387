"""Clients that speak packets or bytes to a broker in the same process."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.environment import Clock, system_clock
from structiot._kit.net.network import LOST
from structiot.mqtt.broker import BrokerLimits, BrokerServer, open_broker
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import ConnectProperties
from structiot.testing import MemoryNetwork

P = TypeVar("P", bound=Packet)

HOST, PORT = "127.0.0.1", 1883


class RawClient:
    """One connection; what comes is decoded, what goes is encoded, nothing else."""

    def __init__(self, stream: ByteStream, version: int) -> None:
        self.stream = stream
        self.version = version
        self._decoder = Decoder(role="client", version=version)
        self._packets: deque[Packet] = deque()

    async def send(self, *packets: Packet) -> None:
        data = b"".join(encode(packet, self.version) for packet in packets)
        await self.stream.send(data)

    async def next(self) -> Packet | None:
        """Give the next packet; None at the end of the stream."""
        while not self._packets:
            try:
                data = await self.stream.receive()
            except LOST:
                return None
            self._packets += self._decoder.feed(data)
            assert self._decoder.violation is None
        return self._packets.popleft()

    async def expect(self, kind: type[P]) -> P:
        packet = await self.next()
        assert isinstance(packet, kind), packet
        return packet

    async def closed(self) -> list[Packet]:
        """Wait for the end; give what came before it."""
        packets = []
        while (packet := await self.next()) is not None:
            packets.append(packet)
        return packets

    async def connect(
        self, client_id: str = "c", properties: Any = None, **options: Any
    ) -> Connack:
        options.setdefault("clean_start", True)
        connect = Connect(
            client_id=client_id,
            version=self.version,
            properties=ConnectProperties(**properties or {}),
            **options,
        )
        await self.send(connect)
        return await self.expect(Connack)

    async def subscribe(self, *filters: str, qos: int = 0) -> None:
        requests = tuple(
            SubscriptionRequest(topic_filter=name, qos=qos) for name in filters
        )
        await self.send(Subscribe(packet_id=1, subscriptions=requests))
        suback = await self.expect(Suback)
        assert all(reason < 0x80 for reason in suback.reasons)

    async def is_alive(self) -> bool:
        await self.send(Pingreq())
        return isinstance(await self.next(), Pingresp)

    async def payloads(self, count: int) -> list[bytes]:
        return [(await self.expect(Message)).payload for _ in range(count)]


class Place:
    """A broker on a network in memory."""

    def __init__(self, network: MemoryNetwork, server: BrokerServer) -> None:
        self.network = network
        self.server = server
        self.uri = server.uri
        self._streams: list[ByteStream] = []

    async def stream(self) -> ByteStream:
        stream = await self.network.connect_tcp(HOST, PORT)
        self._streams.append(stream)
        return stream

    async def raw(self, version: int = 4) -> RawClient:
        return RawClient(await self.stream(), version)

    async def client(
        self, client_id: str = "c", version: int = 4, **options: Any
    ) -> RawClient:
        client = await self.raw(version)
        connack = await client.connect(client_id, **options)
        assert not connack.reason.is_failure, connack
        return client

    async def subscriber(
        self,
        *filters: str,
        qos: int = 0,
        client_id: str = "subscriber",
        version: int = 4,
    ) -> RawClient:
        client = await self.client(client_id, version)
        await client.subscribe(*filters, qos=qos)
        return client

    async def aclose(self) -> None:
        for stream in self._streams:
            await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def broker_place(
    *,
    host: str = HOST,
    listen: str = f"mqtt://{HOST}:{PORT}",
    clock: Clock = system_clock,
    **options: Any,
) -> AsyncGenerator[Place]:
    """Run a broker in memory; options are those of `open_broker` and its limits."""
    names = BrokerLimits.__dataclass_fields__
    limits = BrokerLimits(**{k: options.pop(k) for k in list(options) if k in names})
    network = MemoryNetwork(host)
    environment = Environment(network=network, clock=clock)
    async with open_broker(
        listen, limits=limits, environment=environment, **options
    ) as server:
        place = Place(network, server)
        try:
            yield place
        finally:
            await place.aclose()


async def goodbye_of(client: RawClient) -> Disconnect:
    """Wait for the end of a client of 5.0, which is told why."""
    *_, goodbye = await client.closed()
    assert isinstance(goodbye, Disconnect)
    return goodbye
