"""What both clients have in common: requests of any kind, checked before they are sent."""

from __future__ import annotations

import json as json_text
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from structiot._kit.http.messages import HttpReply
from structiot._kit.net.network import place
from structiot.errors import ConnectFailed, ReplyTimeout, UsageError

__all__ = ["BaseHttpClient", "Outgoing", "checked_fields", "too_late"]

# Printable ASCII but for the space and "#": what may stand in a request line.
_TARGET: Final = re.compile(r"/[!-\"$-~]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
# The client's own: they say where a request ends, and the connection.
_RESERVED: Final = frozenset({"connection", "content-length", "transfer-encoding"})
_HAVE_BODIES: Final = frozenset({"PATCH", "POST", "PUT"})


class Outgoing(NamedTuple):
    """What goes on the wire.

    Attributes:
        what: Method and place, for messages; the query may hold a secret.
        method: The method.
        target: Path and query.
        headers: Header fields; those that belong to the body included.
        body: The body; None for a request without.
    """

    what: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


class BaseHttpClient(ABC):
    """Requests to one server.

    Args:
        base: The server as it stands in messages, and what goes before each target.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    @abstractmethod
    async def _send(self, out: Outgoing) -> HttpReply:
        """Send a request and read the whole reply."""

    async def get(
        self, target: str, *, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """Request `target` by GET; see `request`."""
        return await self.request("GET", target, headers=headers)

    async def request(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """Send a request and read the whole reply, whatever its status.

        When it is cancelled the connection is closed; the server may have carried out
        what it was asked.

        Args:
            method: Such as `POST`.
            target: A path, with or without a query, both already percent-encoded; it
                goes on the wire as it is.
            query: What is added to the query, not encoded yet.
            headers: Header fields, before those of every request.
            body: Bytes to send.
            json: What to send as JSON instead.
            form: What to send as the fields of a form instead.

        Raises:
            UsageError: Something that cannot be sent, or more than one body.
            ConnectFailed: No connection, or none within `reply_s`.
            ReplyTimeout: The reply was not complete within `reply_s`.
            LinkLost: The server hung up.
            ProtocolViolation: What came is no HTTP, or larger than allowed.
        """
        what = f"{method} {self._base}{target.partition('?')[0]}"
        if not _TOKEN.fullmatch(method):
            raise UsageError(f"{what}: a method that cannot be sent")
        if query:
            mark = "&" if "?" in target else "?"
            target = f"{target}{mark}{urlencode(query, quote_via=quote)}"
        if not _TARGET.fullmatch(target):
            raise UsageError(f"{what}: not a percent-encoded path that begins with /")
        if (body is not None) + (json is not None) + (form is not None) > 1:
            raise UsageError(f"{what}: a request has one body: bytes, JSON or a form")
        kind = None
        if json is not None:
            kind, body = "application/json", _json_bytes(what, json)
        elif form is not None:
            kind, body = "application/x-www-form-urlencoded", urlencode(form).encode()
        elif body is None and method in _HAVE_BODIES:
            body = b""
        fields = checked_fields(what, headers) if headers else {}
        if kind and not any(name.lower() == "content-type" for name in fields):
            fields["Content-Type"] = kind
        return await self._send(Outgoing(what, method, target, fields, body))


def checked_fields(what: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    """Copy header fields.

    Raises:
        UsageError: Some cannot be sent; the message does not tell values, which may be
            secret.
    """
    for name, value in (headers or {}).items():
        if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise UsageError(f"{what}: a header field that cannot be sent: {name!r}")
        if name.lower() in _RESERVED:
            raise UsageError(f"{what}: {name} is for the client itself to say")
    return dict(headers or {})


def too_late(
    what: str, host: str, port: int, after_s: float, *, is_connecting: bool
) -> ConnectFailed | ReplyTimeout:
    """Make the error for a request whose time is over."""
    if is_connecting:
        message = (
            f"cannot connect to {place(host, port)}: no answer within {after_s:g} s"
        )
        return ConnectFailed(message, host=host, port=port)
    message = f"no reply to {what} within {after_s:g} s"
    return ReplyTimeout(message, request=what, after_s=after_s)


def _json_bytes(what: str, value: object) -> bytes:
    try:
        return json_text.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"{what}: cannot be sent as JSON: {exc}") from exc
