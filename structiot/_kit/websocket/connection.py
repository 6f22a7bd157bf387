"""Websockets over any byte stream, both roles: wsproto inside, our tree outside.

`connect_websocket` and `accept_websocket` do the handshake on a stream that is open
already and give a `WebSocket`. Messages are whole texts or bytes; `as_byte_stream`
gives the payloads of binary frames as a stream, which is how MQTT travels.
Pings are answered by whoever receives. Source: RFC 6455.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from structiot._kit.net.network import LOST
from structiot._kit.text import error_text, printable
from structiot._kit.websocket.byte_stream import WebSocketStream
from structiot._kit.websocket.handshake import (
    LOOK,
    as_mapping,
    check_request,
    refusal,
)
from structiot._kit.websocket.origins import Origins
from structiot.errors import (
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
)

__all__ = ["WebSocket", "accept_websocket", "connect_websocket"]

_OWN_PAGES = Origins()
READ_BYTES = 65_536
FRAMES_AT_ONCE = 16
GOODBYE_S = 1.0


class WebSocket:
    """One open websocket; several tasks may send, one receives.

    Attributes:
        subprotocol: The subprotocol both sides agreed on, if any.
        path: Path and query of the request.
        headers: Header fields of the request (server) or the answer (client).
        close_code: The peer's close code, once it has closed.
        close_reason: The peer's words with it.
        heard_at: When anything came last, as `anyio.current_time()` tells; whoever
            receives keeps it up, pongs included.
        pings: How many pings have come, and been answered.
    """

    def __init__(
        self,
        stream: ByteStream,
        connection: WSConnection,
        *,
        max_message_bytes: int,
        subprotocol: str | None,
        path: str,
        headers: Mapping[str, str],
    ) -> None:
        self.subprotocol = subprotocol
        self.path = path
        self.headers = headers
        self.close_code: int | None = None
        self.close_reason: str = ""
        self.heard_at: float = anyio.current_time()
        self.pings: int = 0
        self.max_message_bytes = max_message_bytes
        self._stream = stream
        self._connection = connection
        # Frames are read one by one, as they are asked for.
        self._events: Iterator[Event] = connection.events()
        self._frames = 0
        self._sending = anyio.Lock()
        self._is_closed = False
        self._is_cut = False
        # A message of which some frames are here; kept when a receiver is cancelled.
        self._parts: list[Any] = []
        self._size = 0

    @property
    def stream(self) -> ByteStream:
        """The byte stream underneath."""
        return self._stream

    async def send(self, message: str | bytes) -> None:
        """Send one text or binary message.

        Raises:
            LinkLost: The connection is gone.
        """
        if isinstance(message, str):
            await self._write(TextMessage(data=message))
        else:
            await self._write(BytesMessage(data=message))

    async def ping(self, payload: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; when its pong is here, `heard_at` tells.

        Raises:
            LinkLost: The connection is gone.
        """
        await self._write(Ping(payload=payload))

    async def _write(self, event: Event) -> None:
        async with self._sending:
            await self._write_locked(event)

    async def _write_locked(self, event: Event) -> None:
        if self._is_cut:
            raise LinkLost(
                "a websocket frame was cut off when its sender was cancelled"
            )
        try:
            data = self._connection.send(event)
        except LocalProtocolError as exc:
            raise LinkLost("the websocket is closed", reason="closed") from exc
        # Whatever followed half a frame would be read as the rest of it.
        self._is_cut = True
        try:
            await self._stream.send(data)
        except LOST as exc:
            raise LinkLost("the websocket's connection is lost") from exc
        self._is_cut = False

    async def receive(self) -> str | bytes:
        """Wait for one whole message.

        Raises:
            EndOfStream: The peer has closed in good order.
            LinkLost: The connection ended without a close.
            ProtocolViolation: The peer broke the protocol, or the message is longer
                than allowed.
        """
        while True:
            event = await self._next_data()
            self._size += len(event.data)
            if self._size > self.max_message_bytes:
                message = (
                    f"a websocket message of more than {self.max_message_bytes} bytes"
                )
                await self.aclose(CloseReason.MESSAGE_TOO_BIG, "too big")
                raise ProtocolViolation(message)
            if event.data:
                self._parts.append(event.data)
            if event.message_finished:
                parts, self._parts, self._size = self._parts, [], 0
                return (
                    "".join(parts)
                    if isinstance(event, TextMessage)
                    else b"".join(parts)
                )

    async def receive_bytes(self) -> bytes:
        """Wait for the payload of a binary frame, or a part of it; raises as `receive`."""
        while True:
            event = await self._next_data()
            if isinstance(event, TextMessage):
                await self.aclose(CloseReason.UNSUPPORTED_DATA, "binary frames only")
                raise ProtocolViolation(
                    "a text frame where only binary ones are allowed"
                )
            if event.data:
                return bytes(event.data)

    async def _next_data(self) -> TextMessage | BytesMessage:
        while True:
            if self._is_closed:
                raise anyio.ClosedResourceError
            if self._frames >= FRAMES_AT_ONCE:
                # A read may hold ten thousand; others have something to do, too.
                await anyio.lowlevel.checkpoint()
                self._frames = 0
            event = next(self._events, None)
            self._frames += 1
            if isinstance(event, TextMessage | BytesMessage):
                return event
            if isinstance(event, Ping):
                self.pings += 1
                # Who is gone may have said goodbye before: that is still to be read.
                with suppress(LinkLost):
                    await self._write(event.response())
            elif isinstance(event, CloseConnection):
                await self._take_close(event)
            elif event is None:
                await self._read()

    async def _read(self) -> None:
        try:
            data = await self._stream.receive(READ_BYTES)
        except anyio.EndOfStream as exc:
            raise LinkLost("the websocket ended without a close") from exc
        except LOST as exc:
            raise LinkLost("the websocket's connection is lost") from exc
        self.heard_at = anyio.current_time()
        # That was no pause for others if TLS had more of it.
        self._connection.receive_data(data)
        self._events = self._connection.events()

    async def _take_close(self, event: CloseConnection) -> None:
        # Nothing counts after a close.
        self._events = iter(())
        if self._connection.state is ConnectionState.OPEN:
            # Not the peer's: wsproto asks to close because of what the peer has sent.
            await self.aclose(event.code, event.reason or "")
            why = printable(event.reason or "it is closed")
            raise ProtocolViolation(f"websocket: {why}", code=int(event.code))
        self.close_code = int(event.code)
        self.close_reason = printable(event.reason or "")
        self._is_closed = True
        with anyio.move_on_after(GOODBYE_S):
            # The peer need not wait for our half of the goodbye.
            with suppress(LinkLost):
                await self._write(event.response())
        raise anyio.EndOfStream

    async def aclose(
        self, code: int = CloseReason.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """Say goodbye, without waiting for the peer's, and close the stream.

        While another task is in the middle of a frame there is no goodbye.
        """
        if not self._is_closed:
            self._is_closed = True
            with suppress(anyio.WouldBlock, LinkLost):
                await self._say_goodbye(code, reason)
        await anyio.aclose_forcefully(self._stream)

    async def _say_goodbye(self, code: int, reason: str) -> None:
        self._sending.acquire_nowait()
        try:
            with anyio.move_on_after(GOODBYE_S, shield=True):
                await self._write_locked(
                    CloseConnection(code=code, reason=reason or None)
                )
        finally:
            self._sending.release()

    def as_byte_stream(self) -> ByteStream:
        """Use the payloads of binary frames as a stream of bytes."""
        return WebSocketStream(self)


async def connect_websocket(
    stream: ByteStream,
    *,
    host: str,
    path: str = "/",
    subprotocols: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    max_message_bytes: int = 16 * 1024 * 1024,
    extensions: Sequence[Extension] = (),
) -> WebSocket:
    """Do the client's handshake on an open stream; the caller sets the deadline.

    Raises:
        AuthRefused: The server answered 401 or 403.
        ConnectFailed: It refused otherwise, or answered in no or another protocol.
        ConfigError: A path or header fields that HTTP cannot carry.
    """
    check_request(host, path, headers or {})
    connection = WSConnection(ConnectionType.CLIENT)
    request = Request(
        host=host,
        target=path,
        subprotocols=list(subprotocols),
        extensions=list(extensions),
        extra_headers=[
            (name.encode(), value.encode()) for name, value in (headers or {}).items()
        ],
    )
    try:
        await stream.send(connection.send(request))
        event = await _first_event(stream, connection)
    except LOST as exc:
        message = (
            f"{host} hung up during the websocket handshake; {LOOK}, and who wants TLS "
            "there"
        )
        raise ConnectFailed(message, host=host) from exc
    except RemoteProtocolError as exc:
        message = f"{host} does not speak websocket ({error_text(exc)}); {LOOK}"
        raise ConnectFailed(message, host=host) from exc
    if isinstance(event, RejectConnection):
        raise refusal(event.status_code, host, path)
    # wsproto has nothing else to tell a client that waits for its answer.
    accepted = cast("AcceptConnection", event)
    if subprotocols and accepted.subprotocol not in subprotocols:
        message = (
            f"{host} speaks websocket but not {', '.join(subprotocols)} in it; {LOOK}"
        )
        raise ConnectFailed(message, host=host)
    return WebSocket(
        stream,
        connection,
        max_message_bytes=max_message_bytes,
        subprotocol=accepted.subprotocol,
        path=path,
        headers=as_mapping(accepted.extra_headers),
    )


async def accept_websocket(
    stream: ByteStream,
    *,
    subprotocols: Sequence[str] = (),
    origins: Origins = _OWN_PAGES,
    max_message_bytes: int = 16 * 1024 * 1024,
) -> WebSocket:
    """Do the server's handshake on an accepted stream; the caller sets the deadline.

    Raises:
        ProtocolViolation: What came is no websocket request, asks for none of the
            subprotocols, or comes from a web page that may not ask (403); the peer has
            been told.
        LinkLost: The peer hung up.
    """
    connection = WSConnection(ConnectionType.SERVER)
    try:
        # wsproto has nothing else to tell a server that waits for a request.
        event = cast("Request", await _first_event(stream, connection))
        page = origins.refused(_origins_of(event), event.host)
        if page is not None:
            await stream.send(connection.send(RejectConnection(status_code=403)))
            raise ProtocolViolation(
                f"the web page {printable(page, most=80)!r} may not open a websocket "
                "here unless it is one of the allowed origins",
                code=403,
            )
        chosen = next(
            (name for name in event.subprotocols if name in subprotocols), None
        )
        if subprotocols and chosen is None:
            await stream.send(connection.send(RejectConnection(status_code=400)))
            raise ProtocolViolation(
                f"the client offers none of {', '.join(subprotocols)}"
            )
        await stream.send(connection.send(AcceptConnection(subprotocol=chosen)))
    except RemoteProtocolError as exc:
        refusal_of_it = exc.event_hint or RejectConnection(status_code=400)
        with anyio.move_on_after(GOODBYE_S):
            # A courtesy: whether it arrives changes nothing.
            with suppress(LocalProtocolError, *LOST):
                await stream.send(connection.send(refusal_of_it))  # noqa: ASYNC120
        raise ProtocolViolation(f"no websocket request: {error_text(exc)}") from exc
    except LOST as exc:
        raise LinkLost("the peer hung up during the websocket handshake") from exc
    return WebSocket(
        stream,
        connection,
        max_message_bytes=max_message_bytes,
        subprotocol=chosen,
        path=event.target,
        headers=as_mapping(event.extra_headers),
    )


def _origins_of(request: Request) -> list[str]:
    return [
        value.decode("latin-1")
        for name, value in request.extra_headers
        if name.lower() == b"origin"
    ]


async def _first_event(stream: ByteStream, connection: WSConnection) -> Event:
    # The parser underneath gives up on headers of more than 16 KiB.
    while True:
        data = await stream.receive(READ_BYTES)
        try:
            connection.receive_data(data)
        except UnicodeDecodeError as exc:
            # wsproto reads some fields without a look at them.
            raise RemoteProtocolError("a header field is not of ASCII") from exc
        for event in connection.events():
            return event
