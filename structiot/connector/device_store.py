"""Devices in an SQLite file.

Its only table is that of the original client, so that a file of the latter is opened as
it is, and marked as ours; the original can still read it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from structiot._kit.arguments import check_argument
from structiot._kit.sqlite_file import open_sqlite_file
from structiot._kit.text import counted, path_fault, printable
from structiot.connector.device import Device, check_device, device_id_of
from structiot.errors import ConfigError, UsageError

__all__ = ["DeviceStore"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY, type TEXT, name TEXT, tags TEXT
);
"""
_PROGRAM_ID: Final = int.from_bytes(b"sCon")
_VERSION: Final = 1

_log: Final = logging.getLogger("structiot.connector")


class DeviceStore:
    """Keeps devices in a file; what a method has done outlives the program.

    All methods block, a few milliseconds each, and may be called from any thread; a
    connector calls them in one of its own. Each is one transaction: who is killed at any
    moment leaves the file as it was before or after. Several programs may use it; a
    connector sees what others have changed when it connects the next time.

    What cannot be done (a device that is there already, or is not) is left and logged.
    The file is opened at once and closed by `close`, with the block of a `with`, or when
    nobody holds the store any more. One that cannot be used is left as it is.

    Args:
        path: The file, which is made for its owner alone, with its folder. One that the
            original client has made is taken over.

    Attributes:
        path: The file.

    Raises:
        ConfigError: It cannot be made or opened, is read-only, damaged, somebody
            else's, or was made by a newer version.
    """

    blocking: ClassVar[bool] = True

    def __init__(self, path: str | PathLike[str]) -> None:
        check_argument("path", path, str, PathLike)
        self.path: Path = Path(path)
        self._lock = threading.Lock()
        with self._told("opened"):
            self._connection = open_sqlite_file(
                self.path, _SCHEMA, program_id=_PROGRAM_ID, version=_VERSION
            )
            self._close = weakref.finalize(self, self._connection.close)
            self._file = _identity_of(self.path)
        # How many rows were no devices the last time.
        self._strange = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DeviceStore({str(self.path)!r})"

    def close(self) -> None:
        """Close the file; closing twice is silent."""
        with self._lock:
            self._close()

    def add(self, device: Device) -> None:
        """Keep a device; one with an id that is kept already is not taken.

        Raises:
            ConfigError: The file cannot be written; nothing in it has changed.
            UsageError: It is no plain `Device`, or the store is closed.
        """
        row = _row_of(device)
        query = "INSERT INTO devices VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        if not self._written(query, row):
            _log.warning("there is a device %s already", printable(device.id))

    def update(self, device: Device) -> None:
        """Keep what has changed of a device.

        Raises:
            ConfigError: The file cannot be written; nothing in it has changed.
            UsageError: It is no plain `Device`, or the store is closed.
        """
        device_id, *values = _row_of(device)
        query = "UPDATE devices SET type = ?, name = ?, tags = ? WHERE id = ?"
        if not self._written(query, (*values, device_id)):
            _log.warning("no device %s to be updated", printable(device_id))

    def remove(self, device: Device | str) -> None:
        """Keep a device no longer.

        Args:
            device: It, or its id.

        Raises:
            ConfigError: The file cannot be written; nothing in it has changed.
            UsageError: It is neither, or the store is closed.
        """
        device_id = device_id_of(device)
        if not self._written("DELETE FROM devices WHERE id = ?", (device_id,)):
            _log.warning("no device %s to be removed", printable(device_id))

    def get(self, device_id: str) -> Device | None:
        """Give a device, a new object each time; None if there is none.

        Raises:
            ConfigError: The file cannot be read.
            UsageError: No device can have such an id, or the store is closed.
        """
        check_argument("device_id", device_id, str)
        return self._read("WHERE id = ?", device_id_of(device_id)).get(device_id)

    def devices(self) -> dict[str, Device]:
        """Give all devices by id, in the order in which they were added.

        A row that is no device, as somebody else may have written it, is left out, and
        logged once.

        Raises:
            ConfigError: The file cannot be read.
            UsageError: The store is closed.
        """
        return self._read("ORDER BY rowid")

    def _written(self, query: str, values: tuple[str, ...]) -> bool:
        with self._told("written"), self._lock:
            return self._opened().execute(query, values).rowcount > 0

    def _read(self, which: str, *values: str) -> dict[str, Device]:
        query = f"SELECT id, type, name, tags FROM devices {which}"  # noqa: S608 - ours
        with self._told("read"), self._lock:
            rows = self._opened().execute(query, values).fetchall()
        found, strange = {}, []
        for row in rows:
            try:
                device = _device_of(*row)
            except (UsageError, ValueError) as exc:
                strange.append(f"{printable(repr(row[0]), most=64)}: {exc}")
            else:
                found[device.id] = device
        if strange and len(strange) != self._strange:
            what = counted(len(strange), "row")
            _log.warning("%s: %s without a device: %s", self.path, what, strange[0])
        self._strange = len(strange)
        return found

    def _opened(self) -> sqlite3.Connection:
        if not self._close.alive:
            raise UsageError(f"{self!r} is closed")
        if _identity_of(self.path) != self._file:
            # SQLite would go on writing where nobody will find it.
            why = "it was deleted or replaced while it was in use"
            raise self._fault("used any more", why)
        return self._connection

    @contextmanager
    def _told(self, done: str) -> Generator[None]:
        """Say in one way what goes wrong with the file."""
        try:
            yield
        except sqlite3.Error as exc:
            is_passing = isinstance(exc, sqlite3.OperationalError)
            why = str(exc) if is_passing else f"it is damaged: {exc}"
            raise self._fault(done, why) from exc
        except (OSError, ValueError) as exc:
            if isinstance(exc, ConfigError):
                raise
            raise self._fault(done, path_fault(exc)) from exc

    def _fault(self, done: str, why: str) -> ConfigError:
        shown = printable(str(self.path))
        return ConfigError(
            f"the devices in {shown} cannot be {done}: {printable(why)}; the file is "
            "left as it is"
        )


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _row_of(device: Device) -> tuple[str, str, str, str]:
    check_device(device)
    if type(device) is not Device:
        name = type(device).__name__
        raise UsageError(f"a DeviceStore keeps plain devices only, not a {name}")
    return device.id, device.type, device.name, ";".join(device.tags)


def _device_of(device_id: Any, kind: Any, name: Any, tags: Any) -> Device:  # noqa: ANN401
    device = Device(device_id, kind, name)
    check_argument("tags", tags, str, None)
    for tag in (tags or "").split(";") if tags else ():
        tag_id, mark, text = tag.partition(":")
        if not mark:
            raise ValueError(f"the tag {printable(tag, most=64)!r} has no :")
        device.add_tag(tag_id, text)
    return device
