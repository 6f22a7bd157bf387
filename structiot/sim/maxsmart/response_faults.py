"""The faults of MaxSmart strips: wrong contents, odd frames, late and stuck relays.

`LIES` change what a reply says, `HTTP_FRAMES` how it is framed; both have names, so
that a test runs over all of them and a command line can ask for one:

    sim.faults.lie_next("watt_short")
    sim.faults.frame_next("chunked")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from structiot.errors import UsageError
from structiot.sim._faults import Change, Fault, FaultKind, Faults

__all__ = ["HTTP_FRAMES", "LIES", "MaxSmartFaults", "corrupted", "http_frame"]

_Edit: TypeAlias = Callable[[dict[str, Any]], object]


class MaxSmartFaults(Faults):
    """What a strip gets wrong, now and next.

    Requests are described by the words `"discovery"`, `"v3"` or `"http"`, and all but
    the first also by `"command"` and their number, such as `"511"`.

    Attributes:
        relay_lag_s: How long after a command a relay switches; the reply comes at once.
        stuck_ports: Numbers of ports whose relay ignores commands that it confirms.
        reply_from: Address that datagrams are answered from, instead of its own.
        is_serial_corrupted: Discovery tells a serial that cannot be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.relay_lag_s: float = 0.0
        self.stuck_ports: set[int] = set()
        self.reply_from: str | None = None
        self.is_serial_corrupted: bool = False

    def clear(self) -> None:
        """Behave from now on."""
        super().clear()
        self.relay_lag_s = 0.0
        self.stuck_ports.clear()
        self.reply_from = None
        self.is_serial_corrupted = False

    def lie_next(self, lie: str, times: int = 1, *, on: str | None = None) -> None:
        """Tell one of the `LIES` in the next replies.

        Raises:
            UsageError: No such lie.
        """
        self.add(Fault(kind=FaultKind.CHANGE, on=on, change=_named(lie, LIES)), times)

    def frame_next(self, frame: str, times: int = 1, *, on: str | None = None) -> None:
        """Frame the next HTTP replies as one of the `HTTP_FRAMES`.

        Raises:
            UsageError: No such frame.
        """
        change = _named(frame, HTTP_FRAMES)
        self.add(Fault(kind=FaultKind.FRAME, on=on or "http", change=change), times)


def _named(name: str, table: Mapping[str, Change]) -> Change:
    if name not in table:
        message = f"no fault {name!r}; there are {', '.join(table)}"
        raise UsageError(message)
    return table[name]


def corrupted(serial: str) -> str:
    """Give a serial as some units send it: control characters among its digits."""
    return f"{serial[:6]}\x03\x7f{serial[8:]}"


# ---------------------------------------------------------------- contents


def _edited(edit: _Edit) -> Change:
    def change(content: bytes) -> bytes:
        members: dict[str, Any] = json.loads(content)
        edited = edit(members)
        text = json.dumps(edited, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    return change


def _with(**members: object) -> _Edit:
    return lambda reply: {**reply, **members}


def _without(name: str) -> _Edit:
    return lambda reply: {key: value for key, value in reply.items() if key != name}


def _in_data(edit: _Edit) -> _Edit:
    def change(reply: dict[str, Any]) -> object:
        data = reply.get("data")
        return {**reply, "data": edit(data)} if isinstance(data, dict) else reply

    return change


def _in_list(name: str, edit: Callable[[list[Any]], list[Any]]) -> _Edit:
    def change(data: dict[str, Any]) -> object:
        elements = data.get(name)
        return {**data, name: edit(elements)} if isinstance(elements, list) else data

    return _in_data(change)


def _first(value: object) -> Callable[[list[Any]], list[Any]]:
    return lambda elements: [value, *elements[1:]]


_EDITS: Mapping[str, _Edit] = {
    "code_text": lambda reply: {**reply, "code": str(reply.get("code", 200))},
    "code_null": _with(code=None),
    "code_missing": _without("code"),
    "code_400": _with(code=400),
    "code_word": _with(code="fine"),
    "response_other": _with(response=7),
    "data_missing": _without("data"),
    "data_null": _with(data=None),
    "data_empty": _with(data={}),
    "data_array": _with(data=[1, 0]),
    "watt_missing": _in_data(_without("watt")),
    "watt_empty": _in_list("watt", lambda _: []),
    "watt_short": _in_list("watt", lambda elements: elements[:-1]),
    "watt_long": _in_list("watt", lambda elements: [*elements, *elements]),
    "watt_empty_text": _in_list("watt", _first("")),
    "watt_words": _in_list("watt", _first("n/a")),
    "watt_null": _in_list("watt", _first(None)),
    "watt_object": _in_list("watt", _first({"w": 1})),
    "watt_huge": _in_list("watt", _first(10**30)),
    "amp_missing": _in_data(_without("amp")),
    "switch_missing": _in_data(_without("switch")),
    "switch_empty": _in_list("switch", lambda _: []),
    "switch_short": _in_list("switch", lambda elements: elements[:-1]),
    "switch_booleans": _in_list("switch", lambda elements: [bool(e) for e in elements]),
    "switch_words": _in_list("switch", _first("on")),
    "switch_endless": _in_list("switch", lambda elements: elements * 100),
    "extra_members": _with(new={"x": [1]}, volt=230),
    "array": lambda reply: [reply],
    "number": lambda _: 42,
}

LIES: Mapping[str, Change] = MappingProxyType(
    {
        **{name: _edited(edit) for name, edit in _EDITS.items()},
        "empty": lambda _: b"",
        "blank": lambda _: b" ",
        "html": lambda _: b"<html><body>It works!</body></html>",
        "half": lambda content: content[: len(content) // 2],
        "comma_too_many": lambda content: content[:-1] + b",}",
        "nul_at_end": lambda content: content + b"\0",
        "line_end": lambda content: content + b"\r\n",
        "not_a_number": lambda content: content.replace(b":[", b":[NaN,", 1),
        "nested_deeply": lambda _: b"[" * 900,
        "oversize": lambda content: content[:-1] + b',"x":"' + b"x" * 2000 + b'"}',
    }
)
"""Contents that are wrong, by name."""


# ---------------------------------------------------------------- frames


def http_frame(content: bytes, *, is_length_padded: bool = False) -> bytes:
    """Put a content into the frame that the strips use."""
    length = f":{len(content):04d}" if is_length_padded else f": {len(content)}"
    blank = "" if is_length_padded else " "
    head = f"HTTP/1.1 200 OK\r\nContent-Length{length}\r\nContent-Type:{blank}text/plain\r\n\r\n"
    return head.encode() + content


def _framed(head: str, line_end: str = "\r\n") -> Change:
    """Make a frame of header lines; `{length}` stands for the length of the content."""
    lines = [line.strip() for line in head.splitlines()]

    def change(content: bytes) -> bytes:
        text = line_end.join(lines).replace("{length}", str(len(content)))
        return f"{text}{line_end}{line_end}".encode() + content

    return change


def _chunked(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n"


def _wrong_length(difference: int) -> Change:
    def change(content: bytes) -> bytes:
        return http_frame(content).replace(
            f"Content-Length: {len(content)}".encode(),
            f"Content-Length: {len(content) + difference}".encode(),
            1,
        )

    return change


HTTP_FRAMES: Mapping[str, Change] = MappingProxyType(
    {
        # These a client should accept.
        "length_padded": lambda content: http_frame(content, is_length_padded=True),
        "http_1_0": _framed("HTTP/1.0 200 OK\nContent-Length: {length}"),
        "no_length": _framed("HTTP/1.1 200 OK\nContent-Type: text/plain"),
        "no_headers": _framed("HTTP/1.1 200 OK"),
        "no_reason": _framed("HTTP/1.1 200\nContent-Length: {length}"),
        "line_feeds": _framed("HTTP/1.1 200 OK\nContent-Length: {length}", "\n"),
        "space_before_colon": _framed("HTTP/1.1 200 OK\nContent-Length : {length}"),
        "chunked": _chunked,
        # And these it should refuse.
        "no_status_line": lambda content: content,
        "length_too_short": _wrong_length(-7),
        "length_too_long": _wrong_length(72),
        "two_lengths": _framed(
            "HTTP/1.1 200 OK\nContent-Length: {length}\nContent-Length: 7"
        ),
        "length_huge": _framed("HTTP/1.1 200 OK\nContent-Length: 268435456"),
        "head_endless": lambda _: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        "false_gzip": _framed(
            "HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {length}"
        ),
        "status_404": _framed("HTTP/1.1 404 Not Found\nContent-Length: {length}"),
        "status_403": _framed("HTTP/1.1 403 Forbidden\nContent-Length: {length}"),
        "status_500": _framed(
            "HTTP/1.1 500 Internal Server Error\nContent-Length: {length}"
        ),
        "redirect": _framed(
            "HTTP/1.1 302 Found\nLocation: /\nContent-Length: {length}"
        ),
    }
)
"""Ways to frame an HTTP reply, by name."""
