"""A broker that does what a test tells it, in memory and in virtual time.

    async with fake_broker() as broker:
        async with open_mqttclient(broker.uri, network=broker.network) as client:
            connection = broker.connection
            await connection.send(Message("a/b", b"21.5"))

It speaks both versions with the decoder's other role and keeps nothing but a record of
what it was sent. By itself it is obliging: accepts everybody, grants and acknowledges
everything. `broker.answer(Puback...)` style rules replace the answer to one kind of
packet; a rule gives packets, bytes, or nothing at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import anyio
from anyio.abc import ByteStream

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.memory import MemoryStream
from structiot._kit.net.network import LOST
from structiot.mqtt import ReasonCode
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
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
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from structiot.testing import MemoryNetwork

Answer: TypeAlias = Packet | bytes
# Rules know which packet they are for, a checker does not.
Rule: TypeAlias = Callable[["FakeConnection", Any], Iterable[Answer]]
P = TypeVar("P")


class FakeConnection:
    """One client's connection.

    Attributes:
        packets: All that the client has sent, in order.
        times: When it came, by the loop's clock.
        data: The bytes as they came.
        greeted: Is set when the CONNECT has been answered.
        ended: Is set when the client has gone.
    """

    def __init__(self, broker: FakeBroker, stream: MemoryStream) -> None:
        self.packets: list[Packet] = []
        self.times: list[float] = []
        self.data = bytearray()
        self.greeted = anyio.Event()
        self.ended = anyio.Event()
        self._broker = broker
        self._stream = stream
        self._decoder = Decoder(role="server")
        self._changed = anyio.Event()
        self._seen = 0
        self._one_at_a_time = anyio.Lock()
        self._may_read = anyio.Event()
        self._may_read.set()

    @property
    def version(self) -> int:
        """What the client speaks."""
        return self._decoder.version

    # -- what a test makes it do ---------------------------------------------------

    async def send(self, *answers: Answer) -> None:
        """Send packets, or bytes that are none."""
        data = b"".join(
            item if isinstance(item, bytes) else encode(item, self.version)
            for item in answers
        )
        async with self._one_at_a_time:
            await self._stream.send(data)

    async def next(self, kind: type[P]) -> P:
        """Wait for the next packet of a kind; what came between is skipped."""
        while True:
            while self._seen < len(self.packets):
                packet = self.packets[self._seen]
                self._seen += 1
                if isinstance(packet, kind):
                    return packet
            assert not self.ended.is_set(), f"the client left without a {kind}"
            await self._changed.wait()

    def of(self, kind: type[P]) -> list[P]:
        """All packets of a kind so far."""
        return [packet for packet in self.packets if isinstance(packet, kind)]

    async def close(self) -> None:
        """End the connection in the ordinary way."""
        await self._stream.aclose()

    def reset(self) -> None:
        """Break the connection; what is under way is lost."""
        self._stream.reset()

    def stop_reading(self) -> None:
        """Leave the client's bytes where they are."""
        self._may_read = anyio.Event()

    def read_on(self) -> None:
        """Take them again."""
        self._may_read.set()

    # -- what it does by itself ----------------------------------------------------

    async def serve(self) -> None:
        try:
            await self._serve()
        except LOST:
            pass
        finally:
            self.ended.set()
            self._tell()
            await anyio.aclose_forcefully(self._stream)

    async def _serve(self) -> None:
        while True:
            await self._may_read.wait()
            data = await self._stream.receive(1 << 20)
            if not self._may_read.is_set():
                # Told to stop while it waited: as if it had not looked.
                await self._may_read.wait()
            self.data += data
            packets = self._decoder.feed(data)
            for packet in packets:
                self.packets.append(packet)
                self.times.append(anyio.current_time())
            self._tell()
            for packet in packets:
                answers = list(self._broker.answers_to(self, packet))
                if answers:
                    await self.send(*answers)
                if isinstance(packet, Connect):
                    self.greeted.set()
                    if self._broker.hangs_up:
                        return
                if isinstance(packet, Disconnect):
                    return
            assert self._decoder.violation is None, self._decoder.violation

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class FakeBroker:
    """See the module.

    Attributes:
        network: Where it listens.
        connections: All connections so far, the present one last.
        keeps_sessions: Whether it answers Session Present where a session may be.
        hangs_up: Whether it ends each connection right after its CONNACK.
        attempts: When somebody connected, by the loop's clock.
    """

    host = "broker"
    port = 1883

    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network
        self.connections: list[FakeConnection] = []
        self.attempts: list[float] = []
        self.keeps_sessions = False
        self.hangs_up = False
        self._rules: dict[type, Rule] = {}
        self._known: set[str] = set()
        self._scope = anyio.CancelScope()
        self._up = anyio.Event()
        self._up.set()
        self._is_listening = anyio.Event()
        self._connected = anyio.Event()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def connection(self) -> FakeConnection:
        """The latest connection."""
        return self.connections[-1]

    async def connected(self, count: int) -> FakeConnection:
        """Wait until the n-th connection has been greeted, and give it."""
        while len(self.connections) < count:
            await self._connected.wait()
        connection = self.connections[count - 1]
        await connection.greeted.wait()
        return connection

    # -- what a test makes it do ---------------------------------------------------

    def answer(self, kind: type[Packet], rule: Rule) -> None:
        """Answer a kind of packet in another way."""
        self._rules[kind] = rule

    def ignore(self, *kinds: type[Packet]) -> None:
        """Do not answer some kinds of packets."""
        for kind in kinds:
            self._rules[kind] = lambda connection, packet: ()

    def oblige(self) -> None:
        """Answer everything in the ordinary way again."""
        self._rules.clear()

    def refuse(self, reason: ReasonCode | int) -> None:
        """Refuse every CONNECT."""
        code = ReasonCode(reason)
        self._rules[Connect] = lambda connection, packet: (Connack(reason=code),)

    def stop(self) -> None:
        """Go away: connections break, new ones are refused."""
        self._up = anyio.Event()
        self._is_listening = anyio.Event()
        self._scope.cancel()
        for connection in self.connections:
            connection.reset()

    async def start(self) -> None:
        """Come back, having forgotten all sessions unless `keeps_sessions`."""
        if not self.keeps_sessions:
            self._known.clear()
        self._up.set()
        await self._is_listening.wait()

    # -- what it does by itself ----------------------------------------------------

    async def run(self) -> None:
        while True:
            await self._up.wait()
            with anyio.CancelScope() as self._scope:
                async with self.network.listen_tcp(self.host, self.port) as listener:
                    self._is_listening.set()
                    await listener.serve(self._handle)

    async def listening(self) -> None:
        await self._is_listening.wait()

    async def _handle(self, stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        connection = FakeConnection(self, stream)
        self.connections.append(connection)
        self.attempts.append(anyio.current_time())
        self._connected.set()
        self._connected = anyio.Event()
        await connection.serve()

    def answers_to(
        self, connection: FakeConnection, packet: Packet
    ) -> Iterable[Answer]:
        rule = self._rules.get(type(packet))
        return self.usual(packet) if rule is None else rule(connection, packet)

    def usual(self, packet: Packet) -> Iterable[Packet]:  # noqa: PLR0911 - a table
        """What it says by itself; for rules that differ in a detail."""
        match packet:
            case Connect():
                return (self._connack(packet),)
            case Message(qos=1):
                return (Puback(packet_id=packet.packet_id),)
            case Message(qos=2):
                return (Pubrec(packet_id=packet.packet_id),)
            case Pubrec():
                return (Pubrel(packet_id=packet.packet_id),)
            case Pubrel():
                return (Pubcomp(packet_id=packet.packet_id),)
            case Subscribe():
                reasons = tuple(ReasonCode(item.qos) for item in packet.subscriptions)
                return (Suback(packet_id=packet.packet_id, reasons=reasons),)
            case Unsubscribe():
                codes = tuple(ReasonCode.SUCCESS for _ in packet.topic_filters)
                is_new = self.connection.version == 5
                reasons = codes if is_new else ()
                return (Unsuback(packet_id=packet.packet_id, reasons=reasons),)
            case Pingreq():
                return (Pingresp(),)
        return ()

    def _connack(self, connect: Connect) -> Connack:
        is_known = connect.client_id in self._known and self.keeps_sessions
        self._known.add(connect.client_id)
        return Connack(session_present=is_known and not connect.clean_start)


@asynccontextmanager
async def fake_broker(*, patience_s: float = 7200) -> AsyncIterator[FakeBroker]:
    """Run a broker for the length of the block.

    Virtual time never waits for a test that does: clients ping for ever. So a test
    fails that has not ended after `patience_s`.
    """
    broker = FakeBroker(MemoryNetwork())
    async with service_group() as tg:
        tg.start_soon(broker.run)
        tg.start_soon(_lose_patience, patience_s)
        await broker.listening()
        yield broker


async def _lose_patience(patience_s: float) -> None:
    await anyio.sleep(patience_s)
    raise AssertionError(f"the test has not ended after {patience_s:g} s")
