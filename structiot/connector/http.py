"""The README's HTTP helper: one request to one address, tried again if asked to.

    response = await http.get("http://127.0.0.1:8080/path", query={"id": 1})
    if response.status == 200:
        print(response.body)

Redirects are not followed, cookies are not kept, certificates are verified.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack
from urllib.parse import quote, urlsplit

import anyio

from structiot._kit.arguments import check_argument, check_context
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.http.base_client import BaseHttpClient
from structiot._kit.http.cloud import open_cloud
from structiot._kit.redact import Secret
from structiot.errors import (
    CertificateRefused,
    ConfigError,
    TransportError,
    UsageError,
)

__all__ = ["HttpOptions", "HttpResponse", "delete", "get", "head", "post", "put"]

# Of the refusals those that may be none later, beside the server's own.
_PASSING: Final = frozenset({408, 425, 429})
_FIRST_OF_SERVER: Final = 500
_SAFE: Final = "%/?:@!$&'()*+,;=-._~"


class HttpOptions(TypedDict, total=False):
    """What each request may be given, by name.

    Attributes:
        headers: Header fields.
        auth: User and password, sent at once (Basic).
        timeout: Longest wait for the whole reply of one attempt, in seconds; 3.
        retries: How many further attempts are made while there is no connection or no
            reply, or a status of 408, 425, 429, or 500 and more; 0. Of a POST, too: the
            server may be told twice, as its answer may be lost.
        retry_delay: Wait between two attempts, in seconds; 0.5.
        ssl_context: Whom to trust, and the certificate that is shown; the system's
            authorities by default.
        environment: Network; the system's by default.
    """

    headers: Mapping[str, str] | None
    auth: tuple[str, str | Secret] | None
    timeout: float
    retries: int
    retry_delay: float
    ssl_context: ssl.SSLContext | None
    environment: Environment


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the server has answered, the last time if it was asked more than once.

    Attributes:
        status: HTTP status code, whatever it is.
        header: Header fields, names in lower case.
        body: The body, read as UTF-8.
    """

    status: int
    header: Mapping[str, str]
    body: str


async def get(
    url: str,
    query: Mapping[str, object] | None = None,
    **options: Unpack[HttpOptions],
) -> HttpResponse:
    """Request by GET.

    Args:
        url: With `http://` or `https://`; what may not stand in one is encoded.
        query: What is added to the query.
        **options: See `HttpOptions`.

    Raises:
        TransportError: The last attempt had no reply: `ConnectFailed`, `ReplyTimeout`,
            `LinkLost`.
        ProtocolViolation: What came is no HTTP, or longer than 1 MiB.
        ConfigError: Not a URL of http or https.
        UsageError: An argument that cannot be sent, or is of another class.
    """
    return await _request("GET", url, query, None, **options)


async def head(
    url: str,
    query: Mapping[str, object] | None = None,
    **options: Unpack[HttpOptions],
) -> HttpResponse:
    """Request by HEAD, as the README's `header` was meant; see `get`."""
    return await _request("HEAD", url, query, None, **options)


async def post(url: str, body: str, **options: Unpack[HttpOptions]) -> HttpResponse:
    """Send a body by POST, in UTF-8; see `get`."""
    check_argument("body", body, str)
    return await _request("POST", url, None, body, **options)


async def put(url: str, body: str, **options: Unpack[HttpOptions]) -> HttpResponse:
    """Send a body by PUT, in UTF-8; see `get`."""
    check_argument("body", body, str)
    return await _request("PUT", url, None, body, **options)


async def delete(url: str, **options: Unpack[HttpOptions]) -> HttpResponse:
    """Request by DELETE; see `get`."""
    return await _request("DELETE", url, None, None, **options)


async def _request(
    method: str,
    url: str,
    query: Mapping[str, object] | None,
    body: str | None,
    *,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str | Secret] | None = None,
    timeout: float = 3,  # noqa: ASYNC109 - the README's, of each attempt
    retries: int = 0,
    retry_delay: float = 0.5,
    ssl_context: ssl.SSLContext | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> HttpResponse:
    check_argument("query", query, Mapping, None)
    check_argument("headers", headers, Mapping, None)
    check_argument("retries", retries, int)
    check_context("ssl_context", ssl_context, is_server=False)
    _check_seconds("timeout", timeout)
    _check_seconds("retry_delay", retry_delay)
    sent = None if body is None else _encoded("the body", body)
    asked = {name: str(value) for name, value in (query or {}).items()}
    _encoded("query", "".join(asked.values()))
    base, target = _split(url)
    fields = dict(headers or {})
    for value in fields.values():
        check_argument("a header field", value, str)
    if auth is not None:
        fields["Authorization"] = _basic(auth)

    async def ask(http: BaseHttpClient) -> HttpResponse:
        reply = await http.request(
            method,
            target,
            query=asked,
            headers=fields,
            body=sent,
        )
        text = reply.body.decode("utf-8", "replace")
        return HttpResponse(reply.status, reply.headers, text)

    async with open_cloud(
        base, reply_s=timeout, ssl_context=ssl_context, network=environment.network
    ) as http:
        for _ in range(retries):
            try:
                response = await ask(http)
            except TransportError as exc:
                if isinstance(exc, CertificateRefused) and not exc.is_passing:
                    raise
            else:
                status = response.status
                if status < _FIRST_OF_SERVER and status not in _PASSING:
                    return response
            await anyio.sleep(retry_delay)
        return await ask(http)


def _check_seconds(name: str, seconds: float) -> None:
    check_argument(name, seconds, float)
    # Nor is NaN.
    if not seconds >= 0:
        raise UsageError(f"{name} is 0 or more seconds, not {seconds}")


def _split(url: str) -> tuple[str, str]:
    """Give the server of a URL, and what of it is asked for, encoded."""
    check_argument("url", url, str)
    _encoded("url", url)
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ConfigError(f"not a URL: {exc}") from None
    if not parts.netloc:
        # Not shown: what is no URL may have a password all the same.
        raise ConfigError("a url begins with http:// or https://, and names a server")
    mark = "?" if parts.query else ""
    # A % begins what is encoded already.
    target = quote(f"{parts.path or '/'}{mark}{parts.query}", safe=_SAFE)
    return f"{parts.scheme}://{parts.netloc}", target


def _basic(auth: tuple[str, str | Secret]) -> str:
    match auth:
        case (str() as user, str() | Secret() as password):
            text = password.reveal() if isinstance(password, Secret) else password
            told = _encoded("auth", f"{user}:{text}")
            return f"Basic {base64.b64encode(told).decode()}"
    raise UsageError('auth is ("user", "password")')


def _encoded(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Its own words would show the text, which may be secret.
        raise UsageError(f"{what} has half a character") from None
