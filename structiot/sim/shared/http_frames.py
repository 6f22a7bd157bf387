"""Ways to frame an HTTP reply: right ones that are rare, and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from structiot._kit.http.messages import HttpReply, phrase_of
from structiot.sim.shared.faults import Change

__all__ = ["HTTP_FRAMES", "http_frame"]


def http_frame(reply: HttpReply, content: bytes) -> bytes:
    """Write a reply with this content instead of its own, and the length of that."""
    fields = {**reply.headers, "Content-Length": str(len(content))}
    lines = [f"{name}: {value}" for name, value in fields.items()]
    first = f"HTTP/1.1 {reply.status} {phrase_of(reply.status)}"
    return "\r\n".join([first, *lines, "", ""]).encode() + content


def _framed(head: str, line_end: str = "\r\n", *, more: int = 0) -> Change:
    """Make a frame of header lines; `{length}` stands for the length of the content."""
    text = line_end.join([*(line.strip() for line in head.splitlines()), "", ""])

    def change(content: bytes) -> bytes:
        return text.format(length=len(content) + more).encode() + content

    return change


def _chunked(chunk_bytes: int) -> Change:
    def change(content: bytes) -> bytes:
        pieces = [
            content[begin : begin + chunk_bytes]
            for begin in range(0, len(content), chunk_bytes)
        ]
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"".join(chunks)

    return change


def _status(line: str, more: str = "") -> Change:
    return _framed(f"HTTP/1.1 {line}\n{more}Content-Length: {{length}}")


HTTP_FRAMES: Mapping[str, Change] = MappingProxyType(
    {
        # These a client should accept.
        "length_padded": _framed("HTTP/1.1 200 OK\nContent-Length:{length:04d}"),
        "http_1_0": _framed("HTTP/1.0 200 OK\nContent-Length: {length}"),
        "no_length": _framed("HTTP/1.1 200 OK\nContent-Type: text/plain"),
        "no_headers": _framed("HTTP/1.1 200 OK"),
        "no_reason": _framed("HTTP/1.1 200\nContent-Length: {length}"),
        "line_feeds": _framed("HTTP/1.1 200 OK\nContent-Length: {length}", "\n"),
        "space_before_colon": _framed("HTTP/1.1 200 OK\nContent-Length : {length}"),
        "chunked": _chunked(1_000_000),
        "one_byte_chunks": _chunked(1),
        # And these it should refuse.
        "no_status_line": lambda content: content,
        "length_too_short": _framed(
            "HTTP/1.1 200 OK\nContent-Length: {length}", more=-7
        ),
        "length_too_long": _framed(
            "HTTP/1.1 200 OK\nContent-Length: {length}", more=72
        ),
        "two_lengths": _framed(
            "HTTP/1.1 200 OK\nContent-Length: {length}\nContent-Length: 7"
        ),
        "length_huge": _framed("HTTP/1.1 200 OK\nContent-Length: 268435456"),
        "head_endless": lambda _: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        "false_gzip": _status("200 OK", "Content-Encoding: gzip\n"),
        "status_404": _status("404 Not Found"),
        "status_403": _status("403 Forbidden"),
        "status_500": _status("500 Internal Server Error"),
        "redirect": _status("302 Found", "Location: /\n"),
    }
)
"""Ways to frame an HTTP reply, by name."""
