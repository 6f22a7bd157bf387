"""One client that has dialled in: its stream, what is to be written to it, and its end.

What is to be written collects in `out` and goes to the kernel in one piece. Only what
that does not take at once needs a task, and a client that takes nothing is ended.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from structiot._kit.net.network import LOST, network_of, reason_of
from structiot._kit.net.record_stream import RecordStream, prompt
from structiot._kit.net.sockets import SocketStream
from structiot._kit.net.tls import NO_TLS
from structiot._kit.out_buffer import OutBuffer
from structiot._kit.text import error_text
from structiot.errors import LinkLost, StructiotError, UsageError

if TYPE_CHECKING:
    from structiot._kit.net.serving import ClientServer, Endpoint

__all__ = ["ClientStream"]

READ_BYTES = 65_536
# A client that takes as much within `stall_s` is slow; one that does not is stuck.
WRITE_BYTES = 65_536
LAST_WORDS_S = 1.0
# What a client that is to go may still say before it is reset.
UNHEARD_BYTES = 1024 * 1024


def _nothing() -> None:
    """Nobody wants to know."""


class ClientStream:
    """One client: its stream, what is to be written to it, and its end.

    The handler reads `stream`; whoever likes adds to `out` and calls `flush`.

    Attributes:
        stream: Through TLS and what it was upgraded to; for reading.
        endpoint: Where the client came in.
        host: Its address.
        network: What that counts as where addresses have shares.
        out: What is to be written; the handler may put a buffer of its own here.
        kept: What will be added to it later; a goodbye waits for that, too.
        on_drained: Called when a task has written all there was.
        on_closed: Called when nothing can be written any more.
    """

    __slots__ = (
        "_drained",
        "_handling",
        "_is_ended",
        "_is_writing",
        "_scopes",
        "_server",
        "_socket",
        "endpoint",
        "host",
        "kept",
        "network",
        "on_closed",
        "on_drained",
        "out",
        "stream",
    )

    def __init__(
        self, server: ClientServer, endpoint: Endpoint, stream: ByteStream
    ) -> None:
        self.stream: ByteStream = stream
        self.endpoint: Endpoint = endpoint
        self.host: str = str(stream.extra(SocketAttribute.remote_address, ("?", 0))[0])
        self.network: str = network_of(self.host)
        self.out: OutBuffer = OutBuffer()
        self.kept: bytearray = bytearray()
        self.on_drained: Callable[[], object] = _nothing
        self.on_closed: Callable[[], object] = _nothing
        self._server = server
        # One that can be written at once; others are written by a task.
        self._socket: SocketStream | RecordStream | None = None
        self._handling = anyio.CancelScope()
        self._scopes: tuple[anyio.CancelScope, ...] = ()
        self._drained: anyio.Event | None = None
        self._is_writing = False
        self._is_ended = False

    # -- the client's life ---------------------------------------------------------

    async def run(self, handler: Callable[[ClientStream], Awaitable[None]]) -> None:
        """Serve the client until either side ends it, and close the stream."""
        log, limits = self._server.log, self._server.limits
        self._handling.deadline = anyio.current_time() + limits.first_words_s
        is_heard, reason = False, ""
        try:
            with self._handling:
                await self._open()
                is_heard = True
                await handler(self)
            if anyio.current_time() >= self._handling.deadline:
                what = "say who it is" if is_heard else "finish its handshake"
                reason = f"did not {what} within {limits.first_words_s:g} s"
                if not is_heard and self.endpoint.ssl_context is not None:
                    reason += "; perhaps it speaks no TLS"
                log.info("client %s %s", self.host, reason)
            await self._say_goodbye()
        except StructiotError as exc:
            reason = error_text(exc)
            log.info("client %s: %s", self.host, reason)
        except LOST as exc:
            reason = reason_of(exc)
            log.info("client %s: %s", self.host, reason)
        # One client's trouble; everybody else goes on.
        except Exception:
            log.exception("client %s is cut off", self.host)
        finally:
            if reason and not is_heard:
                self._server.on_unheard(self, reason)
            self.abort()
            self.on_closed()
            self.on_drained = self.on_closed = _nothing
            await anyio.aclose_forcefully(self.stream)

    async def _open(self) -> None:
        """Do the handshakes that come before the client's first word."""
        endpoint = self.endpoint
        if endpoint.ssl_context is not None:
            self.stream = await self._encrypted(endpoint.ssl_context)
        if endpoint.upgrade is not None:
            self.stream = await endpoint.upgrade(self.stream)
        self._socket = prompt(self.stream)

    async def _encrypted(self, context: ssl.SSLContext) -> ByteStream:
        try:
            return await self._server.handshakes.wrap(
                self.stream, context, self.network
            )
        except ssl.SSLError as exc:
            # An alert says why: closed at once, the client might never read it.
            with anyio.move_on_after(LAST_WORDS_S):
                # Who is cancelled meanwhile needs no reason.
                await self._linger()  # noqa: ASYNC120
            if exc.reason in NO_TLS:
                raise LinkLost("it speaks no TLS, which this port wants") from exc
            raise
        except (anyio.EndOfStream, anyio.BrokenResourceError) as exc:
            raise LinkLost(
                "it hung up during the TLS handshake; perhaps it does not trust the "
                "certificate, or speaks no TLS"
            ) from exc

    def identified(self) -> None:
        """The client has said who it is: from now on it has all the time."""
        self._handling.deadline = float("inf")
        self._server.unidentified.discard(self)

    def end(self) -> None:
        """Write what is to be written and close the connection, in bounded time.

        The handler is cancelled.
        """
        self._is_ended = True
        self._handling.cancel()

    def abort(self) -> None:
        """Close the connection at once; what is to be written is lost."""
        self.out.clear()
        self.kept.clear()
        self._note_drained()
        self._handling.cancel()
        for scope in self._scopes:
            scope.cancel()

    async def _say_goodbye(self) -> None:
        with anyio.move_on_after(LAST_WORDS_S):
            self.flush()
            while self.kept or not self.is_drained:
                await self.progress()
            if self._is_ended:
                await self._linger()

    @property
    def is_drained(self) -> bool:
        """Whether all that was to be written has been."""
        return not (self._is_writing or self.out)

    async def progress(self) -> None:
        """Wait until something has been written; any number may wait."""
        if self._drained is None or self._drained.is_set():
            self._drained = anyio.Event()
        await self._drained.wait()

    async def _linger(self) -> None:
        """Let the client read our last words.

        A socket that is closed with something unread in it is reset, and the client
        would lose what it has not read yet.
        """
        unheard = 0
        if isinstance(self.stream, TLSStream):
            # It has no end of its own, and where the client is gone not even a version.
            return
        try:
            await self.stream.send_eof()
            while unheard < UNHEARD_BYTES:
                unheard += len(await self.stream.receive(READ_BYTES))
        except (UsageError, NotImplementedError, *LOST):
            return

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something beside the handler.

        It ends with the client, and its failure costs the client alone.
        """
        scope = anyio.CancelScope()
        self._scopes = (*self._scopes, scope)
        self._server.tasks.start_soon(self._run_beside, work, scope)

    async def _run_beside(
        self, work: Callable[[], Coroutine[Any, Any, None]], scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                await work()
        # One client's trouble; everybody else goes on.
        except Exception:
            self._server.log.exception("client %s is cut off", self.host)
            self.abort()
        finally:
            self._scopes = tuple(one for one in self._scopes if one is not scope)

    # -- writing -------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what may be written; never waits.

        Returns:
            Whether it was all taken at once; else a task writes the rest and calls
            `on_drained`.
        """
        out = self.out
        size = len(out) + out.large_bytes
        if self._is_writing:
            if size > self._server.limits.waiting_bytes:
                self._give_up(f"{size} bytes wait for it")
            return False
        if not size:
            return False
        if self._socket is not None:
            try:
                if out.large_bytes:
                    self._send_large(self._socket)
                else:
                    del out[: self._socket.send_now(out)]
            except LOST:
                self.abort()
                return False
            if not (out or out.large_bytes or self._socket.is_behind):
                if self._drained is not None:
                    self._drained.set()
                return True
        self._is_writing = True
        self.start(self._write)
        return False

    def _send_large(self, socket: SocketStream | RecordStream) -> None:
        """Write what the kernel takes at once of what is not to be joined."""
        out = self.out
        while out.large_bytes:
            pieces = out.pieces()
            taken = socket.send_some_now(pieces)
            out.drop(taken)
            if taken < sum(map(len, pieces)):
                return

    async def _write(self) -> None:
        out, socket, stall_s = self.out, self._socket, self._server.limits.stall_s
        try:
            with anyio.CancelScope() as patience:
                while out or out.large_bytes or (socket and socket.is_behind):
                    data = cast("bytes", out.portion(WRITE_BYTES))
                    patience.deadline = anyio.current_time() + stall_s
                    await self.stream.send(data)
                    if socket is not None and out.large_bytes:
                        self._send_large(socket)
                    self._note_drained()
                    if not (out or out.large_bytes):
                        self.on_drained()
            if patience.cancelled_caught:
                self._give_up(f"it has taken nothing for {stall_s:g} s")
        except LOST:
            self.abort()
        finally:
            self._is_writing = False
            self._note_drained()

    def _note_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()

    def _give_up(self, why: str) -> None:
        self._server.warnings.say(
            f"client {self.host} is cut off: {why}", "clients were cut off"
        )
        self.abort()
