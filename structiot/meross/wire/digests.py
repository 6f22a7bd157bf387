"""MD5 as Meross uses it: to sign, to name, and to make keys; nothing is safe by it."""

from __future__ import annotations

import hashlib

__all__ = ["md5_hex"]


def md5_hex(text: str) -> str:
    """Give the MD5 of a text in lower-case hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
