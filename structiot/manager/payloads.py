"""What a message is, as its sender gives it."""

from __future__ import annotations

from structiot._kit.arguments import check_argument

__all__ = ["payload_of"]


def payload_of(data: bytes | str) -> bytes:
    """Give the bytes of a message; text as UTF-8.

    Raises:
        UsageError: It is neither text nor bytes.
    """
    check_argument("data", data, str, bytes, bytearray, memoryview)
    return data.encode() if isinstance(data, str) else bytes(data)
