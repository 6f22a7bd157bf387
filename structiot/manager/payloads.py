"""What a message is, as its sender gives it."""

from __future__ import annotations

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError

__all__ = ["payload_of"]


def payload_of(data: bytes | str) -> bytes:
    """Give the bytes of a message; text as UTF-8.

    Raises:
        UsageError: It is neither text nor bytes, or text that UTF-8 does not have.
    """
    check_argument("data", data, str, bytes, bytearray, memoryview)
    if not isinstance(data, str):
        return bytes(data)
    try:
        return data.encode()
    except UnicodeEncodeError as exc:
        message = f"the text has half a character at {exc.start}, a surrogate"
        raise UsageError(message) from None
