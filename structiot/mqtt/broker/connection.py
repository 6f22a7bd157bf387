"""One client of the broker: its bytes go to the broker's logic, and what that writes out.

What the broker writes collects in `protocol.out` and leaves in one piece when the
packets that caused it have been dealt with. With a store, what a client is told collects
in `protocol.kept` and goes to `out` when the store has what it depends on.

A client that does not read what it is answered is not read either, so that its requests
pile up on its own side.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio

from structiot._kit.net.network import LOST, is_loopback
from structiot._kit.net.serving import ClientStream
from structiot.mqtt.broker.core import Broker, ConnectedClient
from structiot.mqtt.broker.enhanced_auth import AuthExchange
from structiot.mqtt.broker.store_writer import StoreWriter
from structiot.mqtt.wire.messages import Auth
from structiot.mqtt.wire.server_protocol import ServerProtocol, ServerState

if TYPE_CHECKING:
    from structiot.mqtt.broker.admission import Admission

__all__ = ["BrokerContext", "ClientConnection"]

READ_BYTES = 65_536


class BrokerContext:
    """What all connections of a broker share.

    Attributes:
        broker: The logic.
        admission: Answers CONNECT and AUTH.
        store_writer: Writes to the store, if one is in use; bytes wait for it.
        flush: Has everything written that may be.
    """

    def __init__(
        self, broker: Broker, admission: Admission, store_writer: StoreWriter | None
    ) -> None:
        self.broker = broker
        self.admission = admission
        self.store_writer = store_writer
        self.flush: Callable[[], None] = (store_writer or broker).flush
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

    __slots__ = ("_context", "_stream", "exchange")

    def __init__(self, stream: ClientStream, context: BrokerContext) -> None:
        limits = context.broker.limits
        protocol = ServerProtocol(
            max_packet_bytes=limits.packet_bytes,
            max_connect_bytes=limits.connect_bytes,
            topic_alias_maximum=limits.topic_alias_maximum,
            receive_maximum=limits.receive_maximum,
        )
        host = stream.host
        super().__init__(protocol, peer=host, is_local=is_loopback(host))
        self.exchange: AuthExchange | None = None
        self._context = context
        self._stream = stream
        stream.out = protocol.out
        stream.on_drained = self._drained
        if context.store_writer is not None:
            stream.kept = protocol.kept = bytearray()

    async def run(self) -> None:
        """Read the client until either side ends it."""
        context, protocol = self._context, self.protocol
        broker, receive = context.broker, self._stream.stream.receive
        self.calm_since: float = anyio.current_time()
        try:
            while True:
                try:
                    data = await receive(READ_BYTES)
                except LOST:
                    return
                connect = broker.receive(self, data, anyio.current_time())
                if connect is not None:
                    await context.admission.admit(self, connect)
                context.flush()
                if protocol.state is ServerState.CLOSING:
                    return
                if broker.slow_consumers:
                    await context.be_patient()
                self.is_held_up: bool = True
                await self._hold_up()
                self.is_held_up = False
        finally:
            broker.left(self, anyio.current_time())
            context.flush()

    async def _hold_up(self) -> None:
        """Wait until the client has taken enough of its answers, and the store its part."""
        store_writer = self._context.store_writer
        if store_writer is not None and self.is_bound and store_writer.is_behind:
            await store_writer.catch_up()
        while self.unwritten_bytes > self._context.broker.limits.write_bytes:
            await self._stream.progress()

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
        broker.clock.now = anyio.current_time()
        broker.drained(self)
        self._context.flush()

    def end(self) -> None:
        """Write what is to be written and close the connection, in bounded time."""
        self._stream.end()
