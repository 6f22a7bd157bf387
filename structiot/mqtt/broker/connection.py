"""The broker's shell around one client: a reader, and a writer while there is need.

An idle client costs one task. What the broker writes collects in `protocol.out` and
goes to the kernel in one piece when the packets that caused it have been dealt with;
only what the kernel does not take at once needs a task that waits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ByteStream, TaskGroup

from structiot._kit.net.network import LOST
from structiot._kit.net.sockets import SocketStream
from structiot.errors import UsageError
from structiot.mqtt.broker.core import Broker, Handle
from structiot.mqtt.broker.enhanced_auth import AuthExchange
from structiot.mqtt.broker.store import StoreKeeper
from structiot.mqtt.wire.messages import Auth, Connect
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.server_protocol import ServerProtocol, ServerState

__all__ = ["ClientConnection", "Surroundings"]

READ_BYTES = 65_536
# A client that takes as much within `stall_s` is slow; one that does not is stuck.
WRITE_BYTES = 65_536
LAST_WORDS_S = 1.0
# What a client that is to go may still say before it is reset.
UNHEARD_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class Surroundings:
    """What all connections of a broker share.

    Attributes:
        broker: The logic.
        tasks: For what needs a task of its own.
        flush: Has everything written that may be.
        admit: Answers a CONNECT.
        take_auth: Goes on with an authentication.
        keeper: Writes to the store, if one is in use; bytes wait for it.
    """

    def __init__(
        self,
        broker: Broker,
        tasks: TaskGroup,
        *,
        admit: Callable[[ClientConnection, Connect], Awaitable[None]],
        take_auth: Callable[[ClientConnection, Auth], None],
    ) -> None:
        self.broker = broker
        self.tasks = tasks
        self.admit = admit
        self.take_auth = take_auth
        self.flush: Callable[[], None] = broker.flush
        self.keeper: StoreKeeper | None = None
        self._relief = anyio.Event()
        broker.slow_consumers.on_relief = self._relieve

    def _relieve(self) -> None:
        self._relief.set()
        self._relief = anyio.Event()

    def use_store(self, keeper: StoreKeeper) -> None:
        """Let bytes leave only when the store is safe."""
        self.keeper = keeper
        self.flush = keeper.flush

    async def calm(self) -> None:
        """Wait for slow subscribers, within their patience."""
        slow_consumers = self.broker.slow_consumers
        while (until := slow_consumers.patient_until(anyio.current_time())) is not None:
            with anyio.CancelScope(deadline=until):
                await self._relief.wait()


class ClientConnection(Handle):
    """One client's stream and its place in the broker."""

    __slots__ = (
        "_around",
        "_auth_scope",
        "_is_ended",
        "_is_writing",
        "_reading",
        "_send_now",
        "_stream",
        "_write_scope",
        "_written",
        "exchange",
    )

    def __init__(
        self, stream: ByteStream, around: Surroundings, *, peer: str, is_local: bool
    ) -> None:
        limits = around.broker.limits
        protocol = ServerProtocol(
            max_packet_bytes=limits.packet_bytes,
            max_connect_bytes=limits.connect_bytes,
            topic_alias_maximum=limits.topic_alias_maximum,
            receive_maximum=limits.receive_maximum,
        )
        super().__init__(protocol, peer=peer, is_local=is_local)
        self.exchange: AuthExchange | None = None
        self._auth_scope: anyio.CancelScope | None = None
        self._stream = stream
        self._send_now = stream.send_now if isinstance(stream, SocketStream) else None
        self._around = around
        self._reading = anyio.CancelScope()
        self._write_scope: anyio.CancelScope | None = None
        self._written: anyio.Event | None = None
        self._is_writing = False
        self._is_ended = False

    async def run(self) -> None:
        """Serve the client until either side ends it; close the stream."""
        broker = self._around.broker
        now = anyio.current_time()
        self.calm_since: float = now
        self._reading.deadline = now + broker.limits.connect_s
        try:
            with self._reading:
                await self._read()
            broker.left(self, anyio.current_time())
            self._around.flush()
            await self._say_goodbye()
        finally:
            broker.left(self, anyio.current_time())
            self._around.flush()
            for scope in (self._write_scope, self._auth_scope):
                if scope is not None:
                    scope.cancel()
            await anyio.aclose_forcefully(self._stream)

    # -- reading -------------------------------------------------------------------

    async def _read(self) -> None:
        around, protocol = self._around, self.protocol
        broker, receive = around.broker, self._stream.receive
        while True:
            try:
                data = await receive(READ_BYTES)
            except LOST:
                return
            connect = broker.receive(self, data, anyio.current_time())
            if connect is not None:
                await around.admit(self, connect)
            around.flush()
            if protocol.state is ServerState.CLOSING:
                return
            if broker.slow_consumers:
                await around.calm()
            if around.keeper is not None and around.keeper.is_behind:
                await around.keeper.catch_up()

    def admitted(self) -> None:
        """The client is in: time does not matter any more, and it may have sent more."""
        self._reading.deadline = float("inf")
        self._around.broker.receive(self, b"", anyio.current_time())

    # -- enhanced authentication ---------------------------------------------------

    def take_auth(self, packet: Auth) -> None:
        """Go on with an authentication, or begin another."""
        self._around.take_auth(self, packet)

    def start_exchange(
        self,
        exchange: AuthExchange,
        run: Callable[[ClientConnection, AuthExchange], Awaitable[None]],
    ) -> None:
        """Run an authentication while the client is read; it ends with the client."""
        self.exchange = exchange
        self._auth_scope = anyio.CancelScope()
        self._around.tasks.start_soon(self._run_exchange, run, self._auth_scope)

    async def _run_exchange(
        self,
        run: Callable[[ClientConnection, AuthExchange], Awaitable[None]],
        scope: anyio.CancelScope,
    ) -> None:
        with scope:
            if self.exchange is not None:
                await run(self, self.exchange)

    def end_exchange(self) -> None:
        """The authentication is over, one way or the other."""
        self.exchange = self._auth_scope = None

    def send_soon(self) -> None:
        """Have written what stands in `protocol.out`."""
        self._around.broker.wake(self)
        self._around.flush()

    # -- writing -------------------------------------------------------------------

    def flush(self) -> None:
        """Write what may be written; what the kernel does not take, a task does."""
        if self._is_writing:
            return
        out = self.protocol.out
        size = self._writable(out)
        if not size:
            return
        if self._send_now is not None:
            try:
                taken = self._send_now(out if size == len(out) else out[:size])
            except LOST:
                out.clear()
                self._reading.cancel()
                return
            self.written += taken
            del out[:taken]
            if taken == size:
                broker = self._around.broker
                broker.written(self, broker.clock.now)
                self._note_written()
                return
        self._is_writing = True
        self._around.tasks.start_soon(self._write)

    def _writable(self, out: bytearray) -> int:
        if self._around.keeper is not None:
            return min(len(out), self.writable - self.written)
        return len(out)

    async def _write(self) -> None:
        out, broker = self.protocol.out, self._around.broker
        try:
            with anyio.CancelScope() as self._write_scope:
                while size := self._writable(out):
                    broker.stalled(self, anyio.current_time())
                    data = bytes(out[: min(size, WRITE_BYTES)])
                    del out[: len(data)]
                    self.written: int = self.written + len(data)
                    await self._stream.send(data)
                    self.stalled_since: float | None = None
                    if not out:
                        broker.written(self, anyio.current_time())
                        self._around.flush()
        except LOST:
            out.clear()
            self._reading.cancel()
        # One client's trouble; everybody else goes on.
        except Exception as exc:  # noqa: BLE001
            self.abandon(exc)
        finally:
            self._is_writing = False
            self._write_scope = None
            self._note_written()

    def _note_written(self) -> None:
        if self._written is not None:
            self._written.set()

    # -- ending --------------------------------------------------------------------

    def end(self) -> None:
        """Write what is to be written and close the connection, in bounded time."""
        self._is_ended = True
        self._reading.cancel()

    def abandon(self, error: Exception) -> None:
        """Close a connection that something of ours has failed on."""
        _log.error("client %s is cut off", self.peer, exc_info=error)
        self._around.broker.cut(
            self, ReasonCode.UNSPECIFIED_ERROR, anyio.current_time()
        )
        self._around.flush()

    async def _say_goodbye(self) -> None:
        with anyio.move_on_after(LAST_WORDS_S):
            self.flush()
            while self._is_writing or self.protocol.out:
                self._written = anyio.Event()
                await self._written.wait()
            if self._is_ended:
                await self._linger()

    async def _linger(self) -> None:
        """Let the client read our last words.

        A socket that is closed with something unread in it is reset, and the client
        would lose what it has not read yet.
        """
        unheard = 0
        try:
            await self._stream.send_eof()
            while unheard < UNHEARD_BYTES:
                unheard += len(await self._stream.receive(READ_BYTES))
        except (UsageError, NotImplementedError, *LOST):
            return
