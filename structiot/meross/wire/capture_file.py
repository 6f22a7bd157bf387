"""Reading a capture, which may be anybody's: nothing in it is believed.

A zip file of a few kilobytes can hold gigabytes, or a million names. So the file is read
only as far as the limits below, whatever it says of itself, and one line at a time:
memory is bounded by the longest line, not by the file.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Final

from structiot._kit.text import error_text
from structiot.errors import ProtocolViolation
from structiot.meross.wire.capture import (
    MAX_LINE_BYTES,
    Manifest,
    Record,
    decode_manifest,
    decode_record,
)

__all__ = [
    "COMMANDS",
    "LEAST_LINE_BYTES",
    "LOG",
    "MANIFEST",
    "MAX_CAPTURE_BYTES",
    "MAX_LOG_BYTES",
    "read_manifest",
    "read_records",
]

MANIFEST: Final = "manifest.json"
LOG: Final = "log.ndjson"
COMMANDS: Final = "commands.json"
MAX_CAPTURE_BYTES: Final = 33_554_432
MAX_LOG_BYTES: Final = 67_108_864
_MAX_MANIFEST_BYTES: Final = 262_144
# So much a line counts at least: it costs more to read than it is long.
LEAST_LINE_BYTES: Final = 128
_MAX_MEMBERS: Final = 16
_MAX_DIRECTORY_BYTES: Final = 8_192
# The record at the end of a zip file, and what stands before it in one of over 4 GB.
_END: Final = struct.Struct("<4s4H2LH")
_END_MARK: Final = b"PK\5\6"
_BIG_MARK: Final = b"PK\6\7"
_BIG_BYTES: Final = 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_IS_ENCRYPTED: Final = 1


def read_manifest(file: IO[bytes]) -> Manifest:
    """Read whose capture a file is; it blocks.

    Raises:
        ProtocolViolation: It is no capture.
    """
    with _opened(file) as archive, _member(archive, MANIFEST) as member:
        data = member.read(_MAX_MANIFEST_BYTES + 1)
        if len(data) > _MAX_MANIFEST_BYTES:
            raise ProtocolViolation("capture: a manifest of absurd size", data=data)
        return decode_manifest(data)


def read_records(file: IO[bytes]) -> Iterator[Record]:
    """Read the log of a capture line by line; it blocks.

    Raises:
        ProtocolViolation: It is no capture, or one of absurd size.
    """
    with _opened(file) as archive, _member(archive, LOG) as member:
        size = 0
        while line := member.readline(MAX_LINE_BYTES + 1):
            size += max(len(line), LEAST_LINE_BYTES)
            if size > MAX_LOG_BYTES:
                raise ProtocolViolation("capture: a log of absurd size")
            yield decode_record(line)


@contextmanager
def _opened(file: IO[bytes]) -> Generator[zipfile.ZipFile]:
    """Open a file as what it may be, and let out no error but ours."""
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            yield archive
    except ProtocolViolation:
        raise
    # All that zipfile raises for files that are damaged, or were built to be: it names
    # but the first, and in a text from the file others may come.
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        OverflowError,
    ) as exc:
        why = error_text(exc)
        raise ProtocolViolation(
            f"capture: no zip file, or a damaged one: {why}"
        ) from exc


def _check_directory(file: IO[bytes]) -> None:
    """Look at the end of a zip file before anybody reads all that it lists."""
    size = file.seek(0, 2)
    if size > MAX_CAPTURE_BYTES:
        raise ProtocolViolation(f"capture: a file of {size} bytes")
    file.seek(max(0, size - _END.size - _BIG_BYTES))
    tail = file.read(_END.size + _BIG_BYTES)
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(_END_MARK):
        raise ProtocolViolation("capture: no zip file", data=end)
    _, _, _, _, members, directory_bytes, _, _ = _END.unpack(end)
    is_absurd = members > _MAX_MEMBERS or directory_bytes > _MAX_DIRECTORY_BYTES
    if is_absurd or tail.startswith(_BIG_MARK):
        raise ProtocolViolation("capture: a zip file of absurdly many members")
    file.seek(0)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Generator[IO[bytes]]:
    if name not in archive.namelist():
        raise ProtocolViolation(f"capture: a zip file without {name}")
    info = archive.getinfo(name)
    if info.flag_bits & _IS_ENCRYPTED or info.compress_type not in _METHODS:
        raise ProtocolViolation(f"capture: {name} is encrypted or packed strangely")
    with archive.open(info) as member:
        yield member
