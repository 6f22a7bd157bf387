"""What both ways of asking by HTTP have in common: replies, targets, what is too late."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from structiot._kit.net.network import place
from structiot.errors import ConfigError, ConnectFailed, ReplyTimeout, UsageError

__all__ = ["HttpReply", "base_url_of", "checked", "default_port", "too_late"]

_SCHEMES: Final = {"http": 80, "https": 443}
# Printable ASCII but for the space and "#": what may stand in a request line.
_TARGET: Final = re.compile(r"/[!-\"$-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What a server answered.

    Attributes:
        status: HTTP status code.
        headers: Header fields, names in lower case.
        body: The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def base_url_of(text: str) -> httpx.URL:
    """Read the base URL of a server of http or https.

    Raises:
        ConfigError: Not a URL of http or https.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        message = f"not a URL: {exc}"
        raise ConfigError(message) from exc
    # The representation hides the password.
    if url.scheme not in _SCHEMES or not url.host or url.query or url.fragment:
        message = f"not the base URL of a server of http or https: {url!r}"
        raise ConfigError(message)
    return url


def default_port(url: httpx.URL) -> int:
    """Give the port of a server, named or not."""
    return url.port or _SCHEMES[url.scheme]


def checked(target: str, what: str) -> str:
    """Give a target that may stand in a request line.

    Raises:
        UsageError: It may not.
    """
    if not _TARGET.fullmatch(target):
        message = f"{what}: not a percent-encoded path that begins with /"
        raise UsageError(message)
    return target


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
