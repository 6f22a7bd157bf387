"""The reply that nearly every small device sends, read without a state machine.

Status 200, a length, nothing encoded, head and body in one segment. Whatever differs
in anything is left to h11, which reads these to the same reply, at ten times the cost.
"""

from __future__ import annotations

import re
from typing import Final

from structiot._kit.http.messages import HttpReply

__all__ = ["plain_reply"]

_HEAD: Final = re.compile(
    rb"HTTP/1\.[01] 200 [\t\x20-\x7e]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}:[\t\x20-\x7e]{0,256}\r\n){1,16})\r\n"
)
_LENGTH: Final = re.compile(r"[0-9]{1,7}")
_CHANGES_THE_BODY: Final = ("transfer-encoding", "content-encoding")


def plain_reply(data: bytes) -> HttpReply | None:
    """Read a reply that is complete and plain; None for any other."""
    head = _HEAD.match(data)
    if head is None:
        return None
    fields: dict[str, str] = {}
    for line in head[1].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in fields or name in _CHANGES_THE_BODY:
            return None
        fields[name] = value.strip(" \t")
    length = fields.get("content-length", "")
    body = data[head.end() :]
    if not _LENGTH.fullmatch(length) or int(length) != len(body):
        return None
    return HttpReply(status=200, headers=fields, body=body)
