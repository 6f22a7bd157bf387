"""HTTP to small devices: each request has a connection of its own, and no more.

A device that closes after every reply has no use for a pool, redirects and cookies,
and a program that polls a thousand of them pays for those: an exchange here takes a
third of the time of one through `HttpClient`, and the library under that one is not
even loaded. The errors are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, final
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import h11
from anyio.abc import ByteStream

from structiot._kit.http.base_client import (
    BaseHttpClient,
    Outgoing,
    checked_fields,
    too_late,
)
from structiot._kit.http.body import BodyReader
from structiot._kit.http.messages import HttpReply, field_dict
from structiot._kit.http.plain import plain_reply
from structiot._kit.net.network import LOST, REAL_NETWORK, Network, reason_of
from structiot.errors import ConfigError, LinkLost, ProtocolViolation

__all__ = ["DeviceHttp"]

_HOST: Final = re.compile(r"[!-~]+")
_PORT: Final = 80
_MAX_HEAD_BYTES: Final = 8_192
_MAX_FIELDS: Final = 100
_MAX_HEADS: Final = 100
_READ_BYTES: Final = 16_384
# What one read holds may be a thousand events; others have their turn in between, and
# are not to wait long if many servers are like that.
_EVENTS_A_TURN: Final = 32


@final
class DeviceHttp(BaseHttpClient):
    """Requests to one server without TLS; safe to use from several tasks.

    Each has a connection of its own and is sent in one piece. Redirects are not
    followed, and no compression is asked for. A reply is read up to its limit, in no
    more pieces and chunks than such a reply needs, with at most 100 header fields in
    each head and at its end. Others have their turn while it is read.

    Args:
        base_url: Such as `http://192.168.1.100`; a path or credentials make no sense.
        headers: Header fields of every request.
        reply_s: Longest wait for one complete reply, connecting included, in seconds.
        max_body_bytes: Longest reply that is read.
        network: Where connections go.

    Raises:
        ConfigError: Not a URL of http.
        UsageError: Header fields that cannot be sent.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        reply_s: float = 10.0,
        max_body_bytes: int = 1_048_576,
        network: Network = REAL_NETWORK,
    ) -> None:
        self._host, self._port, shown = _server_of(base_url)
        super().__init__(f"http://{shown}")
        own = {"Host": shown, "Accept": "*/*", "Connection": "close"}
        self._fields = _merged(own, checked_fields(self._base, headers))
        self._fields_text = _written(self._fields)
        self._reply_s = reply_s
        self._max_body_bytes = max_body_bytes
        self._network = network

    async def _send(self, out: Outgoing) -> HttpReply:
        fields = self._fields_text
        if out.headers:
            fields = _written(_merged(self._fields, out.headers))
        if out.body is not None:
            fields += f"Content-Length: {len(out.body)}\r\n"
        head = f"{out.method} {out.target} HTTP/1.1\r\n{fields}\r\n".encode("ascii")
        exchange = _Exchange(out.what, out.method, self._max_body_bytes)
        stream: ByteStream | None = None
        try:
            with anyio.fail_after(self._reply_s):
                stream = await self._network.connect_tcp(self._host, self._port)
                return await exchange.over(stream, head + (out.body or b""))
        except TimeoutError as exc:
            raise too_late(
                out.what,
                self._host,
                self._port,
                self._reply_s,
                is_connecting=stream is None,
            ) from exc
        finally:
            if stream is not None:
                with anyio.CancelScope(shield=True):
                    # It waits for nobody: there is no TLS, and nothing is unsent.
                    await stream.aclose()


class _Exchange:
    """One request and its reply, which h11 reads unless it is plain."""

    def __init__(self, what: str, method: str, max_body_bytes: int) -> None:
        self._what = what
        self._method = method
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self._events = 0
        self._has_ended = False

    async def over(self, stream: ByteStream, request: bytes) -> HttpReply:
        try:
            try:
                await stream.send(request)
            except LOST:
                # A server that stops reading may have said why before.
                data = await self._receive(stream)  # noqa: ASYNC120 - cancelled is cancelled
                if not data:
                    raise
            else:
                data = await self._receive(stream)
            reply = plain_reply(data) if self._method != "HEAD" else None
            if reply is not None and len(reply.body) <= self._max_body_bytes:
                return reply
            self._begin_h11(data)
            return await self._reply(stream)
        except h11.RemoteProtocolError as exc:
            raise self._broken(exc) from exc
        except LOST as exc:
            reason = reason_of(exc)
            message = f"{self._what}: connection lost: {reason}"
            raise LinkLost(message, reason=reason) from exc

    async def _receive(self, stream: ByteStream) -> bytes:
        try:
            data = await stream.receive(_READ_BYTES)
        except anyio.EndOfStream:
            self._has_ended = True
            return b""
        self._received += len(data)
        return data

    def _begin_h11(self, data: bytes) -> None:
        """Tell h11 what has come so far, and of the request what bears on the reply."""
        self._http = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES
        )
        self._http.send(
            h11.Request(method=self._method, target="/", headers=[("Host", "")])
        )
        self._http.send(h11.EndOfMessage())
        self._http.receive_data(data)

    async def _reply(self, stream: ByteStream) -> HttpReply:
        for _ in range(_MAX_HEADS):
            head = await self._event(stream)
            if isinstance(head, h11.Response):
                break
            # Provisional ones say nothing.
        else:
            message = f"{self._what}: more than {_MAX_HEADS} provisional replies"
            raise ProtocolViolation(message)
        fields = field_dict(head.headers)
        reader = BodyReader(
            self._what, fields.get("content-encoding", ""), self._max_body_bytes
        )
        if self._method != "HEAD":
            reader.expect(int(fields.get("content-length", "0")))
        while isinstance(part := await self._event(stream), h11.Data):
            reader.feed(bytes(part.data), begins_chunk=part.chunk_start)
        return HttpReply(status=head.status_code, headers=fields, body=reader.finish())

    async def _event(self, stream: ByteStream) -> object:
        self._events += 1
        if self._events % _EVENTS_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._receive(stream))
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("no reply to the request")
        # A head and what follows a body in chunks.
        if len(getattr(event, "headers", ())) > _MAX_FIELDS:
            message = f"{self._what}: more than {_MAX_FIELDS} header fields"
            raise ProtocolViolation(message)
        return event

    def _broken(self, error: h11.RemoteProtocolError) -> LinkLost | ProtocolViolation:
        if not self._has_ended:
            return ProtocolViolation(f"{self._what}: not a valid HTTP reply: {error}")
        where = "in the middle of a reply" if self._received else "without a reply"
        reason = f"hung up {where}"
        return LinkLost(f"{self._what}: the peer {reason}", reason=reason)


def _server_of(base_url: str) -> tuple[str, int, str]:
    """Give host and port, and both as they are written in a URL."""
    try:
        url = urlsplit(base_url)
        host, port = url.hostname or "", _PORT if url.port is None else url.port
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError as exc:
        raise ConfigError(f"not a URL: {exc}") from exc
    # What stands before the @ may be a password.
    hidden = url._replace(netloc=url.netloc.rpartition("@")[2])
    is_server = url.scheme == "http" and url.path in ("", "/") and hidden == url
    if not (
        is_server and port and base_url.isprintable() and _HOST.fullmatch(host)
    ) or (url.query or url.fragment):
        shown = hidden.geturl()
        raise ConfigError(f"not the URL of a server of http alone: {shown!r}")
    name = f"[{host}]" if ":" in host else host
    return host, port, name if port == _PORT else f"{name}:{port}"


def _merged(first: Mapping[str, str], then: Mapping[str, str]) -> dict[str, str]:
    """Put header fields together; a later one replaces one of the same name."""
    names = {name.lower() for name in then}
    kept = {name: value for name, value in first.items() if name.lower() not in names}
    return {**kept, **then}


def _written(fields: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items())
