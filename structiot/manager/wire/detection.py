"""What a server speaks, by the first bytes that it says. Facts: reference 1.1."""

from __future__ import annotations

from typing import Final

from structiot._kit.json_text import violation
from structiot.manager.wire.dialects import Dialect

__all__ = ["ENOUGH_BYTES", "detect"]

# After so many bytes, or a moment of silence, nothing else is to be learnt.
ENOUGH_BYTES: Final = 5
_FIRST: Final = (
    (b"H\0", Dialect.STRUCTIOT),
    (b"\x00\x01\x01", Dialect.D4),
    (b"\x01\xf8\x01\xfe\x80", Dialect.D3),
    (b"\x01\xff", Dialect.D1),
    (b"\x01", Dialect.D0),
)


def detect(first: bytes) -> Dialect:
    """Tell which dialect a server speaks; D2 cannot be told from D1.

    Raises:
        ProtocolViolation: None of them.
    """
    for begin, dialect in _FIRST:
        if first.startswith(begin):
            return dialect
    raise violation("the server speaks no dialect that is known", first)
