"""The file of a capture, from the first line to the zip; all of it is for worker threads.

While it grows it is a log beside the file that it will become, hidden and for its owner
alone. Who is killed leaves that; else the zip is made of it, whole, and takes its name.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Final

from structiot._kit.text import path_fault
from structiot.errors import ConfigError
from structiot.meross.wire.capture import (
    Manifest,
    Record,
    decode_record,
    encode_manifest,
    exchanges,
    members_of_exchange,
)
from structiot.meross.wire.capture_file import COMMANDS, LOG, MANIFEST

__all__ = ["CaptureFile"]

_OWNER_ONLY: Final = 0o600
# A zip file knows no time before 1980; when it was is in the manifest.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


class CaptureFile:
    """A capture that is being written; made by `open_sniffer`.

    Args:
        path: The zip file that it will be.
        overwrites: Whether it may take the place of another file.

    Attributes:
        path: As given.
        log: Where the lines are meanwhile; None before `start` and after `finish`.
    """

    def __init__(self, path: Path, *, overwrites: bool) -> None:
        self.path: Path = path
        self.log: Path | None = None
        self._overwrites = overwrites
        self._file: FileIO | None = None

    def start(self) -> None:
        """Make the log.

        Raises:
            ConfigError: There is such a file already, or none can be made.
        """
        with self._told("written"):
            if not self._overwrites and (self.path.exists() or self.path.is_symlink()):
                raise ConfigError(f"{self.path} is there already")
            if self.path.is_dir():
                raise ConfigError(f"{self.path} is a folder")
            # It is for its owner alone from the beginning.
            number, name = self._beside(".log.ndjson")
            self._file, self.log = FileIO(number, "wb"), Path(name)

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, so that they are there whatever happens next.

        Raises:
            ConfigError: They cannot be, such as on a full disk.
        """
        if self._file is not None:
            with self._told("written any more"):
                _append(self._file, b"".join(lines))

    def finish(self, lines: Sequence[bytes], manifest: Manifest) -> None:
        """Write the last lines, make the zip of it all, and take the log away.

        Raises:
            ConfigError: It cannot be written, or somebody else made such a file
                meanwhile; the log stays where it is, and the error says where.
        """
        if self._file is None or self.log is None:
            return
        with self._told(f"written, what was heard is in {self.log}"):
            with self._file:
                _append(self._file, b"".join(lines))
            self._file = None
            number, name = self._beside(".new")
            made = Path(name)
            try:
                with os.fdopen(number, "wb") as out:
                    self._pack(out, manifest)
                    out.flush()
                    os.fsync(out.fileno())
                self._put_in_place(made)
            finally:
                made.unlink(missing_ok=True)
            self.log.unlink(missing_ok=True)
            self.log = None

    def abandon(self) -> None:
        """Leave nothing behind, where nothing was begun."""
        if self._file is not None and self.log is not None:
            with suppress(OSError):
                self._file.close()
                self.log.unlink(missing_ok=True)
            self._file = self.log = None

    # ------------------------------------------------------------ inside

    def _beside(self, ending: str) -> tuple[int, str]:
        folder = self.path.parent
        return tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=ending, dir=folder)

    def _pack(self, out: IO[bytes], manifest: Manifest) -> None:
        assert self.log is not None  # noqa: S101 - `finish` has looked
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_member(MANIFEST), encode_manifest(manifest))
            with self.log.open("rb") as log, archive.open(_member(LOG), "w") as member:
                shutil.copyfileobj(log, member)
            with archive.open(_member(COMMANDS), "w") as member:
                for piece in _commands(self._records()):
                    member.write(piece)

    def _records(self) -> Iterator[Record]:
        assert self.log is not None  # noqa: S101 - as above
        with self.log.open("rb") as log:
            yield from map(decode_record, log)

    def _put_in_place(self, made: Path) -> None:
        if self._overwrites:
            made.replace(self.path)
            return
        try:
            # Unlike a renaming this takes nobody's place.
            os.link(made, self.path)
        except OSError:
            # Or a file system that has no second names.
            if self.path.exists():
                raise
            made.rename(self.path)

    @contextmanager
    def _told(self, done: str) -> Generator[None]:
        try:
            yield
        except (OSError, ValueError) as exc:
            if isinstance(exc, ConfigError):
                raise
            message = f"{self.path} cannot be {done}: {path_fault(exc)}"
            raise ConfigError(message) from exc


def _append(file: FileIO, data: bytes) -> None:
    """Write all of it or nothing: half a line is none."""
    size, rest = file.tell(), memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(size)
        file.seek(size)
        raise


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = _OWNER_ONLY << 16
    return info


def _commands(records: Iterator[Record]) -> Iterator[bytes]:
    """Write each request with its answer, one a line, as one list."""
    before = b"["
    for exchange in exchanges(records):
        text = json.dumps(members_of_exchange(exchange))
        yield before + b"\n" + text.encode()
        before = b","
    yield b"[]\n" if before == b"[" else b"\n]\n"
