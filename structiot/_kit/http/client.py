"""What the systems hold of HTTP: requests to one server, whole replies, our errors."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpcore
import httpx

from structiot._kit.http.base_client import (
    BaseHttpClient,
    Outgoing,
    checked_fields,
    too_late,
)
from structiot._kit.http.body import ACCEPTED_ENCODING, BodyReader
from structiot._kit.http.messages import HttpReply
from structiot._kit.http.transport import EXCHANGE, Exchange, Transport
from structiot._kit.net.network import REAL_NETWORK, Network
from structiot._kit.text import error_text
from structiot.errors import ConfigError, LinkLost, ProtocolViolation, UsageError

__all__ = ["HttpClient", "open_http"]

_SCHEMES: Final = {"http": 80, "https": 443}
# One read may hold ten thousand chunks; others have their turn in between.
_PIECES_A_TURN: Final = 32


class HttpClient(BaseHttpClient):
    """Requests to one server; safe to use from several tasks.

    At most ten connections are open at a time; more requests wait for one. Redirects
    are not followed: the reply says where to.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: httpx.URL,
        *,
        reply_s: float,
        max_body_bytes: int,
    ) -> None:
        origin = f"{base_url.scheme}://{base_url.netloc.decode('ascii')}"
        self._prefix = base_url.raw_path.decode("ascii").rstrip("/")
        super().__init__(f"{origin}{self._prefix}")
        self._client = client
        self._host = base_url.host
        usual = _SCHEMES[base_url.scheme]
        self._port = usual if base_url.port is None else base_url.port
        self._reply_s = reply_s
        self._max_body_bytes = max_body_bytes

    async def _send(self, out: Outgoing) -> HttpReply:
        request = self._client.build_request(
            out.method,
            "",
            content=out.body,
            headers=out.headers,
            extensions={"target": f"{self._prefix}{out.target}".encode("ascii")},
        )
        exchange = Exchange()
        with self._mapped(out.what, exchange), anyio.fail_after(self._reply_s):
            return await self._exchange(request, out.what, exchange)

    async def _exchange(
        self, request: httpx.Request, what: str, exchange: Exchange
    ) -> HttpReply:
        response = await self._client.send(request, stream=True)
        exchange.is_in_head = False
        try:
            if not exchange.received:
                # Left over from the reply before, which was longer than it said.
                message = f"{what}: the reply came before the request"
                raise ProtocolViolation(message)
            fields = response.headers
            reader = BodyReader(
                what, fields.get("content-encoding", ""), self._max_body_bytes
            )
            if request.method != "HEAD":
                reader.expect(int(fields.get("content-length", "0")))
            body = await _read_whole(response, reader, exchange)
        finally:
            with anyio.CancelScope(shield=True):
                # Closing only gives the connection back; it waits for nobody.
                await response.aclose()
        return HttpReply(
            status=response.status_code,
            headers={name.lower(): value for name, value in fields.items()},
            body=body,
        )

    @contextmanager
    def _mapped(self, what: str, exchange: Exchange) -> Generator[None]:
        """Turn what httpx and httpcore raise into errors of ours."""
        token = EXCHANGE.set(exchange)
        try:
            yield
        except TimeoutError as exc:
            raise too_late(
                what,
                self._host,
                self._port,
                self._reply_s,
                is_connecting=exchange.is_connecting,
            ) from exc
        except httpcore.LocalProtocolError as exc:
            message = f"{what}: a request that cannot be sent: {exc}"
            raise UsageError(message) from exc
        except (httpcore.RemoteProtocolError, httpx.RemoteProtocolError) as exc:
            if exchange.has_ended:
                where = "in the middle of a reply" if exchange.received else ""
                reason = f"hung up {where or 'without a reply'}"
                message = f"{what}: the peer {reason}"
                raise LinkLost(message, reason=reason) from exc
            message = f"{what}: not a valid HTTP reply: {exc}"
            raise ProtocolViolation(message) from exc
        except (httpcore.NetworkError, httpx.HTTPError) as exc:
            message = f"{what}: connection lost: {exc}"
            raise LinkLost(message, reason=str(exc)) from exc
        finally:
            EXCHANGE.reset(token)


async def _read_whole(
    response: httpx.Response, reader: BodyReader, exchange: Exchange
) -> bytes:
    violation: ProtocolViolation | None = None
    pieces = 0
    try:
        async for piece in response.aiter_raw():
            pieces += 1
            if pieces % _PIECES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
            if violation is None:
                try:
                    reader.feed(piece)
                except ProtocolViolation as exc:
                    # Leaving the loop would leave httpcore's generators suspended,
                    # which trio warns of; so they are made to end by themselves.
                    violation = exc
                    exchange.is_given_up = True
    except httpcore.NetworkError:
        if violation is None:
            raise
    if violation is not None:
        try:
            raise violation
        finally:
            del violation
    return reader.finish()


@asynccontextmanager
async def open_http(
    base_url: str,
    *,
    reply_s: float = 10.0,
    max_body_bytes: int = 1_048_576,
    is_kept_alive: bool = True,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    network: Network = REAL_NETWORK,
) -> AsyncGenerator[HttpClient]:
    """Open a client for one server; no connection is made before the first request.

    Proxies and `.netrc` of the environment are not used, cookies are not kept.

    Args:
        base_url: Such as `http://192.168.1.100`; with name and password they are
            sent with each request.
        reply_s: Longest wait for one complete reply, connecting included, in seconds.
        max_body_bytes: Longest reply that is read.
        is_kept_alive: False closes the connection after each reply.
        headers: Header fields of every request.
        ssl_context: For https; verifies by default.
        network: Where connections go.

    Raises:
        ConfigError: Not a URL of http or https, or no certificates of authorities where
            $SSL_CERT_FILE or $SSL_CERT_DIR say that they are.
        UsageError: Header fields that cannot be sent.
    """
    url, auth = _split(_base_url_of(base_url))
    fields = checked_fields("every request", headers)
    if ssl_context is None and url.scheme == "https":
        ssl_context = await anyio.to_thread.run_sync(_usual_context)
    async with httpx.AsyncClient(
        base_url=url,
        auth=auth,
        headers={
            "accept-encoding": ACCEPTED_ENCODING,
            "connection": "keep-alive" if is_kept_alive else "close",
            **fields,
        },
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        transport=Transport(network, ssl_context),
        timeout=None,  # noqa: S113 - fail_after in HttpClient covers the whole exchange
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield HttpClient(client, url, reply_s=reply_s, max_body_bytes=max_body_bytes)


def _usual_context() -> ssl.SSLContext:
    """Trust the usual authorities; reads a file."""
    try:
        context = httpx.create_ssl_context()
    except OSError as exc:
        named = [one for one in ("SSL_CERT_FILE", "SSL_CERT_DIR") if one in os.environ]
        where = " or ".join(f"${one}" for one in named) or "the usual place"
        message = f"no certificates of authorities at {where}: {error_text(exc)}"
        raise ConfigError(message) from exc
    context.set_alpn_protocols(["http/1.1"])
    return context


def _base_url_of(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise ConfigError(f"not a URL: {exc}") from exc
    # The representation hides the password.
    is_server = url.scheme in _SCHEMES and url.host and url.port != 0
    if not is_server or url.query or url.fragment:
        message = f"not the base URL of a server of http or https: {url!r}"
        raise ConfigError(message)
    return url


def _split(url: httpx.URL) -> tuple[httpx.URL, httpx.Auth | None]:
    """Split a base URL into what may be shown and the credentials."""
    auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
    return url.copy_with(username=None, password=None), auth
