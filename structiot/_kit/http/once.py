"""HTTP to small devices: each request has a connection of its own, and no more.

A device that closes after every reply has no use for a pool, redirects and cookies,
and a program that polls a thousand of them pays for those: an exchange here takes a
third of the time of one through `HttpClient`. The errors are the same.
"""

from __future__ import annotations

from typing import Final, final

import anyio
import h11
from anyio.abc import ByteStream

from structiot._kit.http.body import BodyReader
from structiot._kit.http.plain import plain_reply
from structiot._kit.http.reply import (
    HttpReply,
    base_url_of,
    checked,
    default_port,
    too_late,
)
from structiot._kit.net.network import LOST, REAL_NETWORK, Network, reason_of
from structiot.errors import ConfigError, LinkLost, ProtocolViolation

__all__ = ["OneShotHttp"]

_MAX_HEAD_BYTES: Final = 102_400
_READ_BYTES: Final = 65_536


@final
class OneShotHttp:
    """GET requests to one server without TLS; safe to use from several tasks.

    Redirects are not followed, and no compression is asked for.

    Args:
        base_url: Such as `http://192.168.1.100`; a path or credentials make no sense.
        reply_s: Longest wait for one complete reply, connecting included, in seconds.
        max_body_bytes: Longest reply that is read.
        network: Where connections go.

    Raises:
        ConfigError: Not a URL of http.
    """

    def __init__(
        self,
        base_url: str,
        *,
        reply_s: float = 10.0,
        max_body_bytes: int = 1_048_576,
        network: Network = REAL_NETWORK,
    ) -> None:
        url = base_url_of(base_url)
        if url.scheme != "http" or url.userinfo or url.path != "/":
            message = f"not the URL of a server of http alone: {url!r}"
            raise ConfigError(message)
        self._host = url.host
        self._port = default_port(url)
        host = url.netloc.decode("ascii")
        self._origin = f"http://{host}"
        self._headers = [("Host", host), ("Accept", "*/*"), ("Connection", "close")]
        self._reply_s = reply_s
        self._max_body_bytes = max_body_bytes
        self._network = network

    async def get(self, target: str) -> HttpReply:
        """Request `target`, a path with its query, both already percent-encoded.

        Raises:
            UsageError: No such target.
            ConnectFailed: No connection, or none within `reply_s`.
            ReplyTimeout: The reply was not complete within `reply_s`.
            LinkLost: The server hung up.
            ProtocolViolation: What came is no HTTP, or larger than allowed.
        """
        # The query stays out of every message: it may hold a secret.
        what = f"GET {self._origin}{target.partition('?')[0]}"
        checked(target, what)
        exchange = _Exchange(what, target, self._headers, self._max_body_bytes)
        stream: ByteStream | None = None
        try:
            with anyio.fail_after(self._reply_s):
                stream = await self._network.connect_tcp(self._host, self._port)
                return await exchange.over(stream)
        except TimeoutError as exc:
            raise too_late(
                what,
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

    def __init__(
        self,
        what: str,
        target: str,
        headers: list[tuple[str, str]],
        max_body_bytes: int,
    ) -> None:
        self._what = what
        self._target = target
        self._headers = headers
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self._has_ended = False

    async def over(self, stream: ByteStream) -> HttpReply:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self._headers)
        request = f"GET {self._target} HTTP/1.1\r\n{fields}\r\n"
        try:
            await stream.send(request.encode("ascii"))
            data = await self._receive(stream)
            reply = plain_reply(data)
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
        """Tell h11 what was sent and what has come so far."""
        self._http = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES
        )
        self._http.send(
            h11.Request(method="GET", target=self._target, headers=self._headers)
        )
        self._http.send(h11.EndOfMessage())
        self._http.receive_data(data)

    async def _reply(self, stream: ByteStream) -> HttpReply:
        head = await self._event(stream)
        while not isinstance(head, h11.Response):
            # Provisional ones say nothing.
            head = await self._event(stream)
        fields = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in head.headers
        }
        reader = BodyReader(
            self._what, fields.get("content-encoding", ""), self._max_body_bytes
        )
        reader.expect(int(fields.get("content-length", "0")))
        while isinstance(part := await self._event(stream), h11.Data):
            reader.feed(bytes(part.data))
        return HttpReply(status=head.status_code, headers=fields, body=reader.finish())

    async def _event(self, stream: ByteStream) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._receive(stream))
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("no reply to the request")
        return event

    def _broken(self, error: h11.RemoteProtocolError) -> LinkLost | ProtocolViolation:
        if not self._has_ended:
            return ProtocolViolation(f"{self._what}: not a valid HTTP reply: {error}")
        where = "in the middle of a reply" if self._received else "without a reply"
        reason = f"hung up {where}"
        return LinkLost(f"{self._what}: the peer {reason}", reason=reason)
