"""Secrets that devices share with their manager."""

from __future__ import annotations

from typing import TypeAlias

from structiot._kit.redact import Secret

__all__ = ["DeviceSecret", "bytes_of"]

DeviceSecret: TypeAlias = str | bytes | Secret
"""A secret; text counts as UTF-8."""


def bytes_of(secret: DeviceSecret) -> bytes:
    """Give a secret as bytes."""
    revealed = secret.reveal() if isinstance(secret, Secret) else secret
    return revealed.encode() if isinstance(revealed, str) else revealed
