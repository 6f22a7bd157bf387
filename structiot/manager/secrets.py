"""Secrets that devices share with their manager."""

from __future__ import annotations

from typing import TypeAlias

from structiot._kit.arguments import check_argument
from structiot._kit.redact import Secret
from structiot.errors import ConfigError

__all__ = ["DeviceSecret", "bytes_of"]

DeviceSecret: TypeAlias = str | bytes | Secret
"""A secret; text counts as UTF-8."""


def bytes_of(secret: DeviceSecret) -> bytes:
    """Give a secret as bytes.

    Raises:
        UsageError: It is of another class.
        ConfigError: It is empty, which anybody can prove, or text that UTF-8 does not have.
    """
    check_argument("a secret", secret, str, bytes, Secret)
    revealed = secret.reveal() if isinstance(secret, Secret) else secret
    try:
        found = revealed.encode() if isinstance(revealed, str) else revealed
    except UnicodeEncodeError:
        # Not from it: it shows the secret.
        raise ConfigError("a secret has half a character, a surrogate") from None
    if not found:
        raise ConfigError("a secret is empty: anybody can prove that")
    return found
