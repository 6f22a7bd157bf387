"""MD5 as Meross uses it: to sign, to name, and to make keys; nothing is safe by it.

Tokens and keys look alike, so that all of them can be taken out of what others say.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from structiot._kit.redact import HIDDEN

__all__ = ["md5_hex", "without_digests"]

# Tokens, keys, signatures and digests of passwords are nothing else.
_HEX: Final = re.compile(r"[0-9a-fA-F]{24,}")


def md5_hex(text: str) -> str:
    """Give the MD5 of a text in lower-case hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def without_digests(text: str) -> str:
    """Give a text with whatever may be a token, a key or a signature hidden."""
    return _HEX.sub(HIDDEN, text)
