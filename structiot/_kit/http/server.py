"""The server's side of HTTP/1.1: whole requests to a handler, its replies in turn.

    server = HttpServer(handle)
    async with network.listen_tcp("127.0.0.1", 8080) as listener:
        await listener.serve(server.serve)

Of each connection one request at a time is read and answered; what a client sends
ahead waits in the kernel. h11 reads and writes, so what is not HTTP gets a reply that
says so, and costs its own connection. A handler may also give bytes that go out as they
are, for servers that have to get it wrong.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel
import h11
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from structiot._kit.flow.tasks import service_group
from structiot._kit.http.body import BodyReader
from structiot._kit.http.messages import HttpReply, HttpRequest, field_dict, phrase_of
from structiot._kit.http.peer import local_of, peer_of
from structiot._kit.net.network import LOST, network_of, place, reason_of
from structiot._kit.net.room import Room
from structiot.errors import ProtocolViolation, UsageError

__all__ = ["Handler", "HttpServer", "HttpStream", "RawReply", "peer_of", "send_raw"]

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 16_384
_MAX_HEAD_BYTES: Final = 8_192
_MAX_FIELDS: Final = 100
_EVENTS_A_TURN: Final = 32
# A connection that is left open without an answer is let go after this.
_SILENT_S: Final = 60.0
# How long and how much of what a refused client still sends is thrown away: closing
# with unread bytes would reset the connection, and the refusal with it.
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 1_048_576
_TRICKLE_PIECES: Final = 20
# What is sent in one go, and how long a client may take for it where nobody says.
_SEND_BYTES: Final = 65_536
_STALL_S: Final = 10.0
# Of a stream this much lies in the kernel at most: what comes later is what is wanted.
_STREAM_BUFFER_BYTES: Final = 65_536
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReply:
    """Bytes that go out as they are, after which the connection is closed.

    Attributes:
        data: The bytes.
        over_s: Time over which they trickle out, in seconds.
        is_left_open: The connection stays until the client has enough, for a minute at
            most.
    """

    data: bytes = b""
    over_s: float = 0.0
    is_left_open: bool = False


SendPart: TypeAlias = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStream:
    """What a server answers little by little, after which the connection is closed.

    Attributes:
        tell: Sends the body by the function that it is given, which waits while the
            client takes nothing; cancelled when the client leaves.
        headers: Header fields.
        stall_s: A client that takes nothing for so long counts as gone.
    """

    tell: Callable[[SendPart], Awaitable[None]]
    headers: Mapping[str, str] = field(default_factory=dict)
    stall_s: float = 60.0


Reply: TypeAlias = HttpReply | HttpStream | RawReply | None
Handler: TypeAlias = Callable[[HttpRequest], Awaitable[Reply]]
"""Answers a request; None closes the connection without a byte."""


class HttpServer:
    """Serves connections; give `serve` to a listener.

    A request is read up to its limits and handed over whole. What the handler raises
    ends the server, but for `ProtocolViolation`, which is the client's fault and is
    answered with status 400.

    Args:
        handler: Answers a request. One handler runs for each connection.
        ssl_context: For https.
        max_connections: More than these are closed, a moment later, for others may just
            be leaving.
        per_address: Most of them that one address (of IPv6, one /64) may have.
        max_body_bytes: Longest body of a request; a longer one gets status 413.
        request_s: Longest time for a request to be complete, for a TLS handshake, and
            for a client that takes nothing of its reply, in seconds.
        idle_s: How long a connection may stay without a request.
        headers: Header fields of every reply, also of those that say what is no HTTP.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 100,
        per_address: int = sys.maxsize,
        max_body_bytes: int = 1_048_576,
        request_s: float = 10.0,
        idle_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._handler = handler
        self._ssl_context = ssl_context
        self._max_connections = max_connections
        self._per_address = per_address
        self._max_body_bytes = max_body_bytes
        self._request_s = request_s
        self._idle_s = idle_s
        self._headers = dict(headers or {})
        self._connections: Counter[str] = Counter()
        self._room = Room()

    async def serve(self, stream: ByteStream) -> None:
        """Serve one connection; returns when it is closed."""
        whose = network_of(peer_of(stream)[0])
        await self._room.soon(lambda: self._has_room(whose))
        if not self._has_room(whose):
            await anyio.aclose_forcefully(stream)
            return
        self._connections[whose] += 1
        try:
            if self._ssl_context is not None:
                stream = await self._secured(stream, self._ssl_context)
            await self._converse(stream)
        except _Gone as exc:
            _log.debug("%s: %s", place(*peer_of(stream)), exc)
        finally:
            self._connections[whose] -= 1
            self._connections += Counter()
            self._room.left()
            await anyio.aclose_forcefully(stream)

    def _has_room(self, whose: str) -> bool:
        is_full = self._connections.total() >= self._max_connections
        return not is_full and self._connections[whose] < self._per_address

    async def _secured(
        self, stream: ByteStream, ssl_context: ssl.SSLContext
    ) -> ByteStream:
        with _gone(), anyio.fail_after(self._request_s):
            return await TLSStream.wrap(
                stream,
                server_side=True,
                ssl_context=ssl_context,
                standard_compatible=False,
            )

    async def _converse(self, stream: ByteStream) -> None:
        connection = _Connection(
            stream, self._max_body_bytes, self._request_s, self._headers
        )
        while request := await connection.request(self._idle_s):
            reply: Reply
            try:
                if request.method == "CONNECT":  # we are no proxy
                    reply = HttpReply(status=HTTPStatus.NOT_IMPLEMENTED)
                else:
                    reply = await self._handler(request)
            except ProtocolViolation as exc:
                _log.debug("%s: %s", place(*request.peer), exc)
                reply = HttpReply(status=HTTPStatus.BAD_REQUEST)
            if isinstance(reply, HttpReply):
                await connection.reply(reply)
                continue
            if isinstance(reply, HttpStream):
                await connection.stream(reply)
            elif reply is not None:
                await send_raw(stream, reply, stall_s=self._request_s)
            return


async def send_raw(
    stream: ByteStream, reply: RawReply, *, stall_s: float = _STALL_S
) -> None:
    """Send bytes as they are; that the client goes away meanwhile is no matter.

    One that takes nothing for `stall_s` counts as gone.
    """
    count = _TRICKLE_PIECES if reply.over_s else 1
    size = max(1, -(-len(reply.data) // count))
    begins = range(0, len(reply.data), size)
    with suppress(*LOST):
        for begin in begins:
            if reply.over_s:
                await anyio.sleep(reply.over_s / len(begins))
            await _send_all(stream, reply.data[begin : begin + size], stall_s)
        if reply.is_left_open:
            with anyio.move_on_after(_SILENT_S):
                while True:
                    await stream.receive(_READ_BYTES)


async def _send_all(stream: ByteStream, data: bytes, stall_s: float) -> None:
    for begin in range(0, len(data), _SEND_BYTES):
        with anyio.fail_after(stall_s):
            await stream.send(data[begin : begin + _SEND_BYTES])


class _Gone(Exception):
    """The client is gone, in contrast to what a handler may have lost."""


@contextmanager
def _gone() -> Generator[None]:
    try:
        yield
    except LOST as exc:
        raise _Gone(reason_of(exc)) from exc


class _Connection:
    """What h11 knows of one connection, and the stream below."""

    def __init__(
        self,
        stream: ByteStream,
        max_body_bytes: int,
        request_s: float,
        headers: Mapping[str, str],
    ) -> None:
        self._stream = stream
        self._headers = headers
        self._max_body_bytes = max_body_bytes
        self._request_s = request_s
        self._http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES
        )
        self._method = b""
        self._events = 0

    async def request(self, idle_s: float) -> HttpRequest | None:
        """Wait for the next request; None if there will be none."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        elif self._http.our_state is not h11.IDLE:
            return None
        try:
            with anyio.move_on_after(idle_s) as patience:
                if not self._http.trailing_data[0]:
                    await self._receive()
                patience.deadline = anyio.current_time() + self._request_s
                return await self._whole_request()
            raise _Gone("no request in time")
        except h11.RemoteProtocolError as exc:
            await self._refuse(exc.error_status_hint, str(exc))
        except ProtocolViolation as exc:
            await self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(exc))
        return None

    async def _whole_request(self) -> HttpRequest | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        self._method = head.method
        fields = field_dict(head.headers)
        if {"content-length", "transfer-encoding"} <= fields.keys():
            # Whoever stands between may have read another end of it.
            raise h11.RemoteProtocolError("two lengths", error_status_hint=400)
        reader = BodyReader("the request", "", self._max_body_bytes)
        reader.expect(int(fields.get("content-length", "0")))
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            await self._send(self._http.send(go_on))
        while isinstance(part := await self._event(), h11.Data):
            reader.feed(bytes(part.data), begins_chunk=part.chunk_start)
        return HttpRequest(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii"),
            headers=fields,
            body=reader.finish(),
            peer=peer_of(self._stream),
            local=local_of(self._stream),
        )

    async def _event(self) -> object:
        self._events += 1
        if self._events % _EVENTS_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
        while (event := self._http.next_event()) is h11.NEED_DATA:
            await self._receive()
        # A head and what follows a body in chunks.
        if len(getattr(event, "headers", ())) > _MAX_FIELDS:
            why = f"more than {_MAX_FIELDS} header fields"
            raise h11.RemoteProtocolError(why, error_status_hint=431)
        return event

    async def _receive(self) -> None:
        with _gone():
            try:
                data = await self._stream.receive(_READ_BYTES)
            except anyio.EndOfStream:
                data = b""
        self._http.receive_data(data)

    async def _send(self, data: bytes | None, stall_s: float | None = None) -> None:
        with _gone():
            await _send_all(self._stream, data or b"", stall_s or self._request_s)

    async def reply(self, reply: HttpReply) -> None:
        """Send a reply to the request that was read last.

        Raises:
            UsageError: It cannot be sent.
        """
        fields = {**self._headers, **reply.headers}
        if reply.status != HTTPStatus.NO_CONTENT:
            fields = {"Content-Length": str(len(reply.body)), **fields}
        is_bare = reply.status in _BODILESS or self._method == b"HEAD"
        try:
            response = h11.Response(
                status_code=reply.status,
                reason=phrase_of(reply.status),
                headers=list(fields.items()),
            )
            data = self._http.send(response) or b""
            if not is_bare:
                data += self._http.send(h11.Data(data=reply.body)) or b""
            data += self._http.send(h11.EndOfMessage()) or b""
        except (h11.LocalProtocolError, UnicodeError) as exc:
            raise UsageError(f"a reply that cannot be sent: {exc}") from exc
        await self._send(data)

    async def stream(self, reply: HttpStream) -> None:
        """Send a reply for as long as it goes on, or until the client leaves."""
        fields = {**self._headers, **reply.headers, "Connection": "close"}
        head = h11.Response(status_code=200, reason="OK", headers=list(fields.items()))
        await self._send(self._http.send(head))

        async def send(data: bytes) -> None:
            await self._send(self._http.send(h11.Data(data=data)), reply.stall_s)

        if self._method != b"HEAD":
            raw = self._stream.extra(SocketAttribute.raw_socket, None)
            if raw is not None:
                size = _STREAM_BUFFER_BYTES
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            async with service_group() as tasks:
                tasks.start_soon(self._until_gone, tasks.cancel_scope)
                await reply.tell(send)
        if self._http.our_state is h11.SEND_BODY:
            await self._send(self._http.send(h11.EndOfMessage()))

    async def _until_gone(self, scope: anyio.CancelScope) -> None:
        """End a stream when nobody hears it any more; what is said meanwhile is let go."""
        with suppress(anyio.BusyResourceError, *LOST):
            while True:
                await self._stream.receive(_READ_BYTES)
        scope.cancel()

    async def _refuse(self, status: int, why: str) -> None:
        """Say why nothing more will be read, and give the client time to hear it."""
        _log.debug("%s: %s", place(*peer_of(self._stream)), why)
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        await self.reply(HttpReply(status=status, headers={"Connection": "close"}))
        left = _LINGER_BYTES
        with suppress(NotImplementedError, *LOST), anyio.move_on_after(_LINGER_S):
            # TLS has no end of one direction.
            await self._stream.send_eof()
            while left > 0:
                left -= len(await self._stream.receive(_READ_BYTES))
