"""Secrets that do not print, and data that is fit for a log."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import final

__all__ = ["Secret", "hex_head", "hide_credentials", "is_secret_name", "redact"]

SECRET_NAMES = frozenset(
    {
        "access_token",
        "api_key",
        "authorization",
        "client_secret",
        "cookie",
        "key",
        "key_file_password",
        "key_password",
        "keyfile_password",
        "mfa_code",
        "passphrase",
        "passwd",
        "password",
        "plcdak",
        "private_key",
        "pw",
        "refresh_token",
        "regid",
        "sak",
        "secret",
        "set_cookie",
        "setup_code",
        "sign",
        "token",
        "will_password",
    }
)
HIDDEN = "***"

_OF_SCHEMES = frozenset(string.ascii_letters + string.digits + "+-.")
_SEPARATORS = str.maketrans("", "", "_-")
_PLAIN_NAMES = frozenset(name.translate(_SEPARATORS) for name in SECRET_NAMES)


@final
class Secret:
    """A text that shows as `***` wherever it is printed, logged or formatted."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself; call this only where it goes on the wire."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def is_secret_name(name: object) -> bool:
    """Tell whether a name is one of a secret, whatever its case, `_` and `-`."""
    return str(name).lower().translate(_SEPARATORS) in _PLAIN_NAMES


def redact(value: object) -> object:
    """Copy JSON-like data with the values of secret names hidden, at any depth.

    Of an address, user name and password are hidden.
    Empty values stay: that a password is missing is no secret.
    """
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if item and is_secret_name(name) else redact(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, Secret):
        return HIDDEN
    return hide_credentials(value) if isinstance(value, str) else value


def hide_credentials(address: str) -> str:
    """Hide user name and password, if the text is an address that has them."""
    scheme, mark, rest = address.partition("://")
    # Up to the last one: in a password they may stand without being encoded.
    credentials, at, place = rest.rpartition("@")
    if not credentials or not set(scheme) <= _OF_SCHEMES:
        return address
    return f"{scheme}{mark}{HIDDEN}{at}{place}"


def hex_head(data: bytes | bytearray | memoryview, length: int = 255) -> str:
    """Show the first bytes in hex, and how many there are in all if there are more."""
    head = bytes(data[:length]).hex(" ")
    return head if len(data) <= length else f"{head} ... ({len(data)} bytes)"
