"""What the other side speaks, by the first bytes that it says. Facts: reference 1.1."""

from __future__ import annotations

import re
from typing import Final

from structiot._kit.json_text import violation
from structiot.manager.wire.dialects import Dialect

__all__ = ["ENOUGH_BYTES", "check_spoken", "detect", "hint_of"]

# After so many bytes, or a moment of silence, nothing else is to be learnt.
ENOUGH_BYTES: Final = 5
_FIRST: Final = (
    (b"H\0", Dialect.STRUCTIOT),
    (b"\x00\x01\x01", Dialect.D4),
    (b"\x01\xf8\x01\xfe\x80", Dialect.D3),
    (b"\x01\xff", Dialect.D1),
    (b"\x01", Dialect.D0),
)
_OPENINGS: Final = {
    Dialect.D2: b"\x01\xff",
    **{dialect: begin for begin, dialect in _FIRST},
}
# What a device says when it is asked who it is, or before, where it speaks TLS.
_ANSWERS: Final = (
    (rb"\x16\x03", "TLS"),
    (rb"I..\x01", "structiot"),
    (rb"\0.[0-9A-Fa-f]{8}", "D4"),
    (rb"[0-9A-Fa-f]{8}", "one of D0 to D3"),
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


def check_spoken(first: bytes, dialect: Dialect) -> None:
    """See that a server speaks a dialect, as far as its first bytes tell.

    Raises:
        ProtocolViolation: It plainly speaks another, or none.
    """
    begin = _OPENINGS[dialect]
    if not begin.startswith(first):
        spoken = detect(first)
        if _OPENINGS[spoken] != begin:
            raise violation(f"the manager speaks {spoken}, not {dialect}", first)


def hint_of(first: bytes, dialect: Dialect) -> str:
    """Say what else a device seems to speak by its first bytes, if that is plain.

    Args:
        first: What it has said, if anything.
        dialect: What is spoken to it.
    """
    for pattern, spoken in _ANSWERS:
        if re.match(pattern, first, re.DOTALL):
            is_ours = spoken == dialect or (
                spoken.startswith("one") and not dialect.is_framed
            )
            return "" if is_ours else f"; it seems to speak {spoken}, not {dialect}"
    return ""
