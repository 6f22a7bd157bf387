"""Collects the body of a reply within a limit, decompressed."""

from __future__ import annotations

import zlib

from structiot.errors import ProtocolViolation

__all__ = ["ACCEPTED_ENCODING", "BodyReader"]

ACCEPTED_ENCODING = "gzip"
_GZIP_BITS = zlib.MAX_WBITS | 16
# Each costs time however small it is: a chunk, which the server alone decides, more
# than a piece as the network cut it.
_SMALL_PIECES = 1000
_BYTES_A_PIECE = 256
_SMALL_CHUNKS = 200
_BYTES_A_CHUNK = 1024


class BodyReader:
    """Takes a body piece by piece and never holds more than `max_bytes` and a byte.

    A compressed body is unpacked no further than that, so that a small reply cannot
    fill the memory, and one in very many pieces or chunks is refused: at 64 KiB more
    than 1,256 pieces or 264 chunks. Gzip is understood; what was not asked for is
    refused.

    Args:
        what: What was asked, for messages.
        encoding: Content encoding of the body as the server names it, "" for none.
        max_bytes: Longest body, before and after decompression.

    Raises:
        ProtocolViolation: An encoding other than gzip.
    """

    def __init__(self, what: str, encoding: str, max_bytes: int) -> None:
        self._what = what
        self._max_bytes = max_bytes
        self._body = bytearray()
        self._raw_bytes = 0
        self._pieces = 0
        self._chunks = 0
        self._is_packed = encoding.lower() not in ("", "identity")
        if self._is_packed and encoding.lower() != ACCEPTED_ENCODING:
            message = f"{what}: content encoding {encoding!r} was not asked for"
            raise ProtocolViolation(message)
        self._unpacker = zlib.decompressobj(_GZIP_BITS)

    def expect(self, length: int) -> None:
        """Refuse a body that is announced to be too long.

        Raises:
            ProtocolViolation: More than `max_bytes`.
        """
        if length > self._max_bytes:
            message = (
                f"{self._what}: reply is larger than {self._max_bytes} bytes: "
                f"{length} bytes announced"
            )
            raise ProtocolViolation(message)

    def feed(self, data: bytes, *, begins_chunk: bool = False) -> None:
        """Take the next piece as it came from the server.

        Raises:
            ProtocolViolation: The body is longer than `max_bytes`, in more pieces or
                chunks than such a body needs, or no gzip.
        """
        self._raw_bytes += len(data)
        self._pieces += 1
        self._chunks += begins_chunk
        self._check_count(self._pieces, "pieces", _SMALL_PIECES, _BYTES_A_PIECE)
        self._check_count(self._chunks, "chunks", _SMALL_CHUNKS, _BYTES_A_CHUNK)
        if not self._is_packed:
            self._body += data[: self._max_bytes + 1 - len(self._body)]
        while data and self._is_packed:
            data = self._unpacked(data)
        if max(self._raw_bytes, len(self._body)) > self._max_bytes:
            message = f"{self._what}: reply is larger than {self._max_bytes} bytes"
            raise ProtocolViolation(message, data=bytes(self._body[:255]))

    def _check_count(self, count: int, what: str, small: int, size: int) -> None:
        if count > small + self._max_bytes // size:
            message = f"{self._what}: the body comes in {count} {what}"
            raise ProtocolViolation(message, data=bytes(self._body[:255]))

    def _unpacked(self, data: bytes) -> bytes:
        room = self._max_bytes + 1 - len(self._body)
        if room < 1:
            return b""
        try:
            if self._unpacker.eof:  # gzip files may be joined end to end
                self._unpacker = zlib.decompressobj(_GZIP_BITS)
            self._body += self._unpacker.decompress(data, room)
        except zlib.error as exc:
            message = f"{self._what}: not a valid gzip body: {exc}"
            raise ProtocolViolation(message, data=data[:255]) from exc
        return self._unpacker.unused_data

    def finish(self) -> bytes:
        """Give the whole body.

        Raises:
            ProtocolViolation: The compressed body is cut short.
        """
        if self._is_packed and self._raw_bytes and not self._unpacker.eof:
            message = f"{self._what}: the compressed body is cut short"
            raise ProtocolViolation(message, data=bytes(self._body[:255]))
        return bytes(self._body)
