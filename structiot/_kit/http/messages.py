"""Requests and replies as both sides of HTTP hold them, whole and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from structiot._kit.json_text import compact, parse_json
from structiot._kit.net.network import Address
from structiot.errors import ProtocolViolation

__all__ = ["HttpReply", "HttpRequest", "field_dict", "phrase_of"]

_STATUSES: Final = frozenset(HTTPStatus)
# Decoding is work: no request may hold up the others.
_MAX_FIELDS: Final = 1_000
_MAX_FIELDS_CHARACTERS: Final = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What a server answers.

    Attributes:
        status: HTTP status code.
        headers: Header fields; of a reply that was received, names in lower case.
        body: The whole body, decompressed.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of_json(cls, value: object, *, status: int = 200) -> HttpReply:
        """Make a reply that carries JSON."""
        text = compact(value, is_ascii=True)
        headers = {"Content-Type": "application/json"}
        return cls(status=status, headers=headers, body=text.encode())

    def json(self) -> object:
        """Read the body as JSON; numbers that JSON does not have become None.

        Raises:
            ProtocolViolation: It is none, or one of too many or too deep lists.
        """
        return parse_json(self.body, "the body of the reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What a server is asked.

    Attributes:
        method: Such as `GET`.
        target: Path and query, percent-encoded as they came.
        headers: Header fields, names in lower case.
        body: The whole body.
        peer: Address of the client.
        local: Address that it was sent to; empty where a connection does not tell.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: Address = ("", 0)
    local: Address = ("", 0)

    @property
    def path(self) -> str:
        """The target up to the query, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query by name, decoded; of several with one name the last.

        Raises:
            ProtocolViolation: It has more than 1,000 fields, or 131,072 characters.
        """
        return _fields(self.target.partition("?")[2])

    def form(self) -> dict[str, str]:
        """Read the body as the fields of a form, as `query` is read.

        Raises:
            ProtocolViolation: It has more than 1,000 fields, or 131,072 characters.
        """
        return _fields(self.body.decode("utf-8", "replace"))

    def json(self) -> object:
        """Read the body as JSON; numbers that JSON does not have become None.

        Raises:
            ProtocolViolation: It is none, or one of too many or too deep lists.
        """
        return parse_json(self.body, "the body of the request")


def field_dict(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give header fields by lower-case name; what comes twice is joined by commas."""
    found: dict[str, str] = {}
    for name_bytes, value_bytes in fields:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def phrase_of(status: int) -> str:
    """Give the words that go with a status; none for one that nobody knows."""
    return HTTPStatus(status).phrase if status in _STATUSES else ""


def _fields(text: str) -> dict[str, str]:
    is_long = len(text) > _MAX_FIELDS_CHARACTERS
    if is_long or text.count("&") >= _MAX_FIELDS:
        limit = f"{_MAX_FIELDS_CHARACTERS if is_long else _MAX_FIELDS:,}"
        what = "characters" if is_long else "fields"
        message = f"more than {limit} {what} in a form or query"
        raise ProtocolViolation(message, data=text[:255].encode("utf-8", "replace"))
    return dict(parse_qsl(text, keep_blank_values=True))
