"""Websocket frames as no server should send them, by name.

Each makes all that goes on the wire instead of one good frame. They are written by hand
(RFC 6455, section 5.2), so that nothing in a client's own library is asked what is legal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from structiot._kit.json_text import compact
from structiot.sim.shared.faults import Change

__all__ = ["SEPL_FRAMES", "TEXT", "frame", "json_bytes"]

TEXT: Final = 1
_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
_LAST, _MASKED = 0x80, 0x80
_GIGABYTE: Final = 1 << 30
_LONG: Final = 20 * 1024 * 1024
_MANY: Final = 1000


def json_bytes(value: object) -> bytes:
    """Write JSON as the platform does."""
    return compact(value, is_ascii=False).encode("utf-8", "replace")


def frame(opcode: int, payload: bytes, *, first: int = _LAST) -> bytes:
    """Write a frame of a server, which has no mask."""
    return _header(opcode, len(payload), first=first) + payload


def _header(opcode: int, size: int, *, first: int = _LAST, second: int = 0) -> bytes:
    head = bytes([first | opcode])
    if size < 126:
        return head + bytes([second | size])
    if size < 65_536:
        return head + bytes([second | 126]) + size.to_bytes(2)
    return head + bytes([second | 127]) + size.to_bytes(8)


def _closing(code: int, reason: str = "") -> Change:
    return lambda _: frame(_CLOSE, code.to_bytes(2) + reason.encode())


def _fragments(content: bytes) -> bytes:
    third = len(content) // 3 + 1
    return b"".join(
        (
            frame(TEXT, content[:third], first=0),
            frame(_PING, b"meanwhile"),
            frame(_CONTINUATION, content[third : 2 * third], first=0),
            frame(_PONG, b"unasked"),
            frame(_CONTINUATION, content[2 * third :]),
        )
    )


def _crumbs(content: bytes) -> bytes:
    pieces = [
        frame(_CONTINUATION, content[i : i + 1], first=0) for i in range(len(content))
    ]
    start, end = frame(TEXT, b"", first=0), frame(_CONTINUATION, b"")
    return start + b"".join(pieces) + end


def _with(message: Mapping[str, object], *, comes_first: bool) -> Change:
    other = frame(TEXT, json_bytes(message))

    def change(content: bytes) -> bytes:
        own = frame(TEXT, content)
        return other + own if comes_first else own + other

    return change


_ANSWER: Final = {
    "status": 200,
    "handler": "response",
    "token": "nobody has asked for this",
    "content_type": "string",
    "payload": "ok",
}
_COMMAND: Final = {
    "status": 0,
    "handler": "command",
    "token": "",
    "content_type": "map",
    "payload": {
        "device_url": "nobody's",
        "service_url": "on",
        "protocol_parts": [
            {"name": "metadata", "value": ""},
            {"name": "data", "value": ""},
        ],
        "worker_id": "",
        "task_id": "out-of-the-blue",
        "device_instance_id": "iot#0",
        "service_name": "on",
        "output_name": "",
        "time": "1500554317",
    },
}

SEPL_FRAMES: Mapping[str, Change] = MappingProxyType(
    {
        "binary": lambda content: frame(_BINARY, content),
        "fragments": _fragments,
        "crumbs": _crumbs,
        "empty_frame": lambda content: frame(TEXT, b"") + frame(TEXT, content),
        "pings": lambda content: frame(_PING, b"?") * _MANY + frame(TEXT, content),
        "pong": lambda content: frame(_PONG, b"unasked") + frame(TEXT, content),
        "unsolicited": _with(_ANSWER, comes_first=True),
        "command_before": _with(_COMMAND, comes_first=True),
        "command_after": _with(_COMMAND, comes_first=False),
        "huge_frame": lambda content: _header(TEXT, _GIGABYTE) + content,
        "long_frame": lambda _: frame(TEXT, b"x" * _LONG),
        "negative_length": lambda content: _header(TEXT, 1 << 63) + content,
        "masked": lambda content: (
            _header(TEXT, len(content), second=_MASKED) + bytes(4) + content
        ),
        "reserved_bit": lambda content: frame(TEXT, content, first=_LAST | 0x40),
        "unknown_opcode": lambda content: frame(3, content),
        "lone_continuation": lambda content: frame(_CONTINUATION, content),
        "long_ping": lambda _: frame(_PING, b"x" * 126),
        "bad_utf8": lambda content: frame(TEXT, content[:-1] + b"\xff}"),
        "no_frame": lambda _: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "close": _closing(1000),
        "close_away": _closing(1001, "going away"),
        "close_refused": _closing(1008, "policy"),
        "close_nowhere": _closing(1005),
        "close_half": lambda _: frame(_CLOSE, b"\x03"),
    }
)
"""Frames that are odd, by name."""
