"""One client of the broker: its bytes go to the broker's logic, and what that writes out.

What the broker writes collects in `protocol.out` and leaves in one piece when the
packets that caused it have been dealt with. With a store, what a client is told collects
in `protocol.kept` and goes to `out` when the store has what it depends on.

A client that does not read what it is answered is not read either, so that its requests
pile up on its own side.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from structiot._kit.flow.tasks import service_group
from structiot._kit.native_loop import clock
from structiot._kit.net.network import LOST, is_loopback
from structiot._kit.net.record_stream import prompt
from structiot._kit.net.serving import ClientStream
from structiot._kit.net.sockets import TURN_BYTES, Filling, fill_now, receive_filling
from structiot.errors import LinkLost
from structiot.mqtt.broker.core import Broker, ConnectedClient
from structiot.mqtt.broker.core.work import LIGHT, PORTION
from structiot.mqtt.broker.enhanced_auth import AuthExchange
from structiot.mqtt.broker.store_writer import StoreWriter
from structiot.mqtt.broker.turns import Turns
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.codec.fields import PacketLimits
from structiot.mqtt.wire.codec.long_publish import LONG_BYTES
from structiot.mqtt.wire.codec.remembered import KnownTopics
from structiot.mqtt.wire.messages import Auth, Connect
from structiot.mqtt.wire.server_protocol import ServerProtocol
from structiot.mqtt.wire.server_state import PROGRESS_BYTES, ServerState

if TYPE_CHECKING:
    from structiot.mqtt.broker.admission import Admission

__all__ = ["BrokerContext", "ClientConnection"]

READ_BYTES = 65_536
# As much is read where a long message may begin: the rest is received where it stays.
FEW_BYTES = 16_384
# And as much, where packets are long.
MUCH_BYTES = 262_144
# Where nobody waits for a turn it is so many long packets, in the bounds of what may
# wait for a subscriber that is not slow yet.
MANY_PACKETS = 16
# Who sends more at a time has to wait for its turn; as much is about LIGHT work.
LIGHT_BYTES = 2048
# Packets of as many bytes are long.
LONG_PACKET_BYTES = 2_048
# A text may be so many times as long in memory.
WIDEST = 4
# Of a publisher that sends much at a time something is heard after so much work.
WORK_PER_FLUSH = 5 * PORTION

T = TypeVar("T")


class BrokerContext:
    """What all connections of a broker share.

    Attributes:
        broker: The logic.
        admission: Answers CONNECT and AUTH.
        store_writer: Writes to the store, if one is in use; bytes wait for it.
        packet_limits: What is counted in the clients' packets.
        topics: Those that were read before, whoever published to them.
        flush: Has everything written that may be.
        turns: Of the clients that have sent much.
        now: Tells the time of the loop.
        more_bytes: Most that is read at once of long packets.
    """

    def __init__(
        self, broker: Broker, admission: Admission, store_writer: StoreWriter | None
    ) -> None:
        self.broker = broker
        self.admission = admission
        self.store_writer = store_writer
        self.packet_limits: PacketLimits = PacketLimits(
            filters=broker.limits.packet_filters,
            properties=broker.limits.packet_properties,
        )
        self.topics: KnownTopics = KnownTopics()
        self.flush: Callable[[], None] = (store_writer or broker).flush
        self.turns: Turns = Turns(broker.work)
        self.now: Callable[[], float] = clock()
        self.more_bytes: int = broker.limits.write_bytes - broker.slow_bytes
        self._relief = anyio.Event()
        broker.slow_consumers.on_relief = self._relieve

    def _relieve(self) -> None:
        self._relief.set()
        self._relief = anyio.Event()

    async def be_patient(self) -> None:
        """Wait for slow subscribers, as long as a publisher has to."""
        slow_consumers = self.broker.slow_consumers
        while (until := slow_consumers.patient_until(anyio.current_time())) is not None:
            with anyio.CancelScope(deadline=until):
                await self._relief.wait()


class ClientConnection(ConnectedClient):
    """One client's stream and its place in the broker."""

    __slots__ = (
        "_context",
        "_early",
        "_fed_bytes",
        "_filling",
        "_socket",
        "_stream",
        "_turn_bytes",
        "exchange",
    )

    def __init__(self, stream: ClientStream, context: BrokerContext) -> None:
        limits = context.broker.limits
        protocol = ServerProtocol(
            max_packet_bytes=limits.packet_bytes,
            max_connect_bytes=limits.connect_bytes,
            topic_alias_maximum=limits.topic_alias_maximum,
            receive_maximum=limits.receive_maximum,
            packet_limits=context.packet_limits,
            common_topics=context.topics,
        )
        host = stream.host
        super().__init__(protocol, peer=host, is_local=is_loopback(host))
        self.exchange: AuthExchange | None = None
        self._context = context
        self._stream = stream
        self._early = b""
        # What was decoded last, and what was received since others had their turn.
        self._fed_bytes = self._turn_bytes = 0
        below = stream.stream
        self._filling = below if isinstance(below, Filling) else None
        self._socket = prompt(below)
        stream.out = protocol.out
        stream.on_drained = self._drained
        stream.on_closed = self._closed
        if context.store_writer is not None:
            stream.kept = protocol.kept = bytearray()

    async def run(self) -> None:
        """Read the client until either side ends it."""
        context, protocol = self._context, self.protocol
        broker, turns = context.broker, context.turns
        work = broker.work
        decoder, store_writer = protocol.decoder, context.store_writer
        most_unwritten = broker.limits.write_bytes
        slow_consumers = broker.slow_consumers
        self.calm_since: float = anyio.current_time()
        try:
            while True:
                try:
                    data = await self._next(decoder)
                except LOST:
                    return
                if not (data or self.is_behind):
                    continue
                self.is_held_up: bool = True
                asked = slow_consumers.asked
                said = broker.sent + self.unwritten_bytes
                size = len(data) + decoder.held_bytes
                connect, data = self._take_at_once(data, size)
                if data or self.is_behind or connect is not None:
                    self._charge(len(data) if connect is None else size * WIDEST)
                    await self._take_in_turn(data, connect)
                    self._charge(0)
                    context.flush()
                elif (
                    store_writer is not None
                    or broker.sent + self.unwritten_bytes != said
                ):
                    # Who has only acknowledged does not cut up what others are at.
                    context.flush()
                if protocol.state is ServerState.CLOSING:
                    return
                if work.done >= turns.ends_at:
                    await turns.end()
                if asked != slow_consumers.asked:
                    await context.be_patient()
                if store_writer is not None or protocol.out.size > most_unwritten:
                    await self._hold_up()
                self.is_held_up = False
        finally:
            broker.left(self, anyio.current_time())
            # Of many that go at once the wills are written together.
            work.on_added()

    async def _next(self, decoder: Decoder) -> bytes:
        """Receive; nothing if that is a part of a long message, or its end."""
        if decoder.long is not None and self._filling is not None:
            await self._receive_long(self._filling)
            return b""
        most = at_once = READ_BYTES
        if decoder.expects_long:
            most = at_once = FEW_BYTES if self._socket is None else decoder.head_bytes
        elif decoder.missing_bytes >= LONG_BYTES:
            most = at_once = FEW_BYTES
        elif decoder.usual_bytes >= LONG_PACKET_BYTES:
            most = at_once = _whole_packets(decoder, MUCH_BYTES)
            more = min(decoder.usual_bytes * MANY_PACKETS, self._context.more_bytes)
            if more > MUCH_BYTES and self._context.turns.has_room(more):
                at_once = _whole_packets(decoder, more)
        data = b""
        if most != READ_BYTES and self._socket is not None:
            # Long packets are little work: a turn has more than a read of them.
            if self._turn_bytes < TURN_BYTES:
                data = self._socket.take_now(at_once)
            self._turn_bytes = self._turn_bytes + len(data) if data else 0
        if not data:
            data = await self._stream.stream.receive(most)
        if (
            not decoder.expects_long
            or self._socket is None
            or not decoder.begin_long(data)
        ):
            return data
        # Most likely all of it is there: then it is dealt with in one step.
        self._filled(fill_now(self._socket, decoder))
        return b""

    async def _receive_long(self, filling: Filling) -> None:
        """Receive some of a long message; if that was all, there is a packet now."""
        size = 0
        if self._turn_bytes < TURN_BYTES:
            size = fill_now(filling, self.protocol.decoder)
        if not size:
            self._turn_bytes = 0
            size = await receive_filling(filling, self.protocol.decoder)
        self._filled(size)

    def _filled(self, size: int) -> None:
        protocol, now = self.protocol, self._context.now()
        self._turn_bytes += size
        if size >= PROGRESS_BYTES:
            protocol.last_received_at = now
        if protocol.decoder.is_filled:
            self.is_behind: bool = True
        else:
            self._charge(0)
            self._context.broker.receive(self, b"", now)

    def _take_at_once(self, data: bytes, size: int) -> tuple[Connect | None, bytes]:
        """Deal with what need not wait for a turn; give a CONNECT, and what is left."""
        broker, turns = self._context.broker, self._context.turns
        if size <= LIGHT_BYTES:
            most = PORTION if broker.work.done < turns.ends_at else LIGHT
            return broker.receive(self, data, self._context.now(), most), b""
        if turns.has_room(size):
            return self._take_portion(data, broker.work.done + PORTION)
        return None, data

    async def _hold_up(self) -> None:
        """Wait until the client has taken enough of its answers, and the store its part."""
        store_writer = self._context.store_writer
        if store_writer is not None and self.is_bound and store_writer.is_behind:
            await store_writer.catch_up()
        while self.unwritten_bytes > self._context.broker.limits.write_bytes:
            await self._stream.progress()

    def _charge(self, size: int) -> None:
        """Have the ledger know what waits for its turn, and what of it was decoded."""
        broker, protocol = self._context.broker, self.protocol
        if self.is_behind:
            size += protocol.decoder.rest_bytes + self._fed_bytes
        self.undealt_bytes: int = size and size + protocol.undealt_bytes
        if self.session is not None:
            broker.ledger.settle(self.session)
        elif protocol.state is not ServerState.CLOSING:
            broker.settle_newcomer(self)

    async def _take_in_turn(self, data: bytes, connect: Connect | None) -> None:
        """Deal with what is left: a portion whenever it is this client's turn."""
        context, protocol = self._context, self.protocol
        work = context.broker.work
        begun = work.done
        while True:
            if connect is not None:
                await context.admission.admit(self, connect)
                data, self._early = data + self._early, b""
            is_over = protocol.state is ServerState.CLOSING
            if is_over or not (data or self.is_behind):
                return
            await context.turns.wait(self.network)
            connect, data = self._take_portion(data, work.done + PORTION)
            self._charge(len(data))
            if work.done - begun >= WORK_PER_FLUSH:
                begun = work.done
                context.flush()
            await context.turns.end()

    def _take_portion(self, data: bytes, end: int) -> tuple[Connect | None, bytes]:
        """Deal with data until so much is done; give a CONNECT, and what is left."""
        broker, now = self._context.broker, self._context.now()
        connect = None
        while (data or self.is_behind) and connect is None and broker.work.done < end:
            fed, most = data, end - broker.work.done
            if self.is_behind:
                fed = b""
            connect = broker.receive(self, fed, now, most)
            if fed:
                data, self._fed_bytes = b"", len(fed)
        return connect, data

    async def while_there(self, check: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for an answer, as long as the client waits for it.

        What the client sends meanwhile is kept: a read of it, no more.

        Raises:
            LinkLost: The client has gone.
        """
        answers: list[T] = []

        async def watch() -> None:
            try:
                while len(self._early) < READ_BYTES:
                    self._early += await self._stream.stream.receive(READ_BYTES)
                    self._charge(self.undealt_bytes + len(self._early))
            except LOST:
                waiting.cancel_scope.cancel()

        async with service_group() as waiting:
            waiting.start_soon(watch)
            answers.append(await check())
            waiting.cancel_scope.cancel()
        if not answers:
            raise LinkLost("it has gone before it was let in")
        return answers[0]

    def admitted(self) -> None:
        """The client is in: time does not matter any more, and it may have sent more."""
        self._stream.identified()
        self._context.broker.receive(self, b"", anyio.current_time())

    # -- enhanced authentication ---------------------------------------------------

    def take_auth(self, packet: Auth) -> None:
        """Go on with an authentication, or begin another."""
        self._context.admission.take_auth(self, packet)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run an authentication while the client is read; it ends with the client."""
        self._stream.start(work)

    def send_soon(self) -> None:
        """Have written what stands in `protocol.out`."""
        self._context.broker.wake(self)
        self._context.flush()

    # -- writing -------------------------------------------------------------------

    def flush(self) -> None:
        """Write what may be written; what the kernel does not take, a task does."""
        protocol = self.protocol
        if protocol.kept is not protocol.out:
            if not self.is_bound:
                if protocol.kept:
                    self.let_go(len(protocol.kept))
            elif not self.is_welcomed:
                return
        if self._stream.flush():
            self._context.broker.drained(self)

    def _drained(self) -> None:
        broker = self._context.broker
        broker.clock.now = self._context.now()
        broker.drained(self)
        self._context.flush()

    def _closed(self) -> None:
        if (journal := self._context.broker.journal) is not None:
            journal.gone(self)

    def end(self) -> None:
        """Write what is to be written and close the connection, in bounded time."""
        self._stream.end()


def _whole_packets(decoder: Decoder, most: int) -> int:
    """Tell how much to read: what ends where a packet does has none to be put together."""
    usual, missing = decoder.usual_bytes, decoder.missing_bytes
    return missing + max(1, (most - missing) // usual) * usual
