"""What a websocket request may carry, and what a refusal means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from structiot.errors import AuthRefused, ConfigError, ConnectFailed

__all__ = ["LOOK", "as_mapping", "check_request", "refusal"]

LOOK = "look at the port and the path"
_TARGET = re.compile("[!-~]+")
_FIELD_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"(?!\s)[^\x00-\x1f\x7f]*(?<!\s)")


def check_request(host: str, path: str, headers: Mapping[str, str]) -> None:
    """Refuse what cannot stand in a request, before the library underneath does.

    Raises:
        ConfigError: Illegal host, path or header fields.
    """
    if not _TARGET.fullmatch(host):
        raise ConfigError(f"{host!r} cannot stand in an HTTP request")
    if not _TARGET.fullmatch(path):
        shown, mark, _ = path.partition("?")
        what = f"query of the path {shown!r}" if mark else f"path {shown!r}"
        raise ConfigError(f"percent-encode the {what} of the websocket")
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name of an HTTP header field")
        if not _FIELD_VALUE.fullmatch(value):
            # The value may be a secret.
            raise ConfigError(f"the value of the HTTP header field {name} is not legal")


def refusal(status: int, host: str, path: str) -> AuthRefused | ConnectFailed:
    """Make an error of an answer that is not 101; a query may hold a token."""
    path = path.partition("?")[0]
    if status in {401, 403}:
        message = (
            f"{host} refused the websocket {path}: HTTP {status}; it wants a login"
        )
        return AuthRefused(message, code=status)
    if status < 300:
        message = f"{host} answers as a web server, not by websocket (HTTP {status})"
    else:
        message = f"{host} refused the websocket {path}: HTTP {status}"
    return ConnectFailed(f"{message}; {LOOK}", host=host)


def as_mapping(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give header fields by lower-case name."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in headers
    }
