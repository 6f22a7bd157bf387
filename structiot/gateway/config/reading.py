"""Files that a configuration names, and how each of them is read; it blocks."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from stat import S_IRWXG, S_IRWXO

from structiot._kit.redact import Secret
from structiot._kit.regular_file import read_regular
from structiot._kit.text import path_fault, printable

__all__ = [
    "NamedFile",
    "beside_config",
    "bytes_of",
    "credentials_folder",
    "fault_of",
    "is_open_to_others",
    "private_bytes_of",
    "readable",
    "secret_in",
]

_MOST_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A mark on a field that names a file, relative to the configuration file.

    Attributes:
        read: Gives the value that the settings shall have; a `ValueError` says what is
            wrong with the file, to stand behind the key.
        into: The field that takes this value; the field itself if None. Both of them
            cannot be given.
    """

    read: Callable[[FilePath], object]
    into: str | None = None


def secret_in(file: FilePath) -> Secret:
    """Read a secret: the file's first line; nobody else may read it."""
    try:
        first_line = private_bytes_of(file).decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not text") from None
    if not first_line:
        raise ValueError("has an empty first line")
    return Secret(first_line)


def readable(file: FilePath) -> str:
    """See that a file, which is read later, can be read now."""
    bytes_of(file)
    return str(file)


def beside_config(file: FilePath) -> str:
    """Name a file that may not exist yet so that it is found from anywhere."""
    if "\0" in str(file):
        raise ValueError("cannot be used: no file has such a name")
    return str(file)


def bytes_of(file: FilePath, *, most_bytes: int = _MOST_BYTES) -> bytes:
    """Read a file, but nothing that could wait or never end.

    Raises:
        ValueError: It cannot be read; the text is to stand behind the file's name.
    """
    try:
        return read_regular(file, most_bytes=most_bytes)
    except OSError as exc:
        raise ValueError(f"cannot be read: {path_fault(exc).lower()}") from exc
    except ValueError as exc:
        is_name = "\0" not in str(file) and not isinstance(exc, UnicodeError)
        why = str(exc) if is_name else "no file has such a name"
        raise ValueError(f"cannot be read: {why}") from exc


def private_bytes_of(file: FilePath) -> bytes:
    """Read a file of secrets, which others than its owner may not.

    What a link leads to counts. A credential of systemd's is for the service alone,
    whatever its mode says, which shows the mask of an access list.

    Raises:
        ValueError: As `bytes_of` raises it, or others may read it.
    """
    data = bytes_of(file)
    if is_open_to_others(file) and not _is_credential(file):
        raise ValueError(
            "is refused, as others than its owner may read it: "
            f"chmod 600 {shlex.quote(str(file))}"
        )
    return data


def fault_of(folder: FilePath, name: str, why: str) -> str:
    """Name the file that cannot be read; or the folder, where it is looked for.

    What names nothing that is there may be the secret itself, in the wrong place.

    Args:
        folder: What names are relative to.
        name: The file as it was given.
        why: What is wrong with it.
    """
    if not why.startswith("cannot be read") or "\0" in name:
        return why
    file = folder / name
    has_folder = len(FilePath(name).parts) > 1 and file.parent.is_dir()
    is_name = has_folder or os.path.lexists(file)
    place = str(file) if is_name else f"in {folder.absolute()}"
    return f"{why} ({printable(place, most=200)})"


def is_open_to_others(file: FilePath) -> bool:
    """Tell whether others than its owner may do anything with a file that is there."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return os.name == "posix" and bool(mode & (S_IRWXG | S_IRWXO))


def credentials_folder() -> FilePath | None:
    """Give the folder of the service's credentials, as systemd names it."""
    given = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return FilePath(given) if given else None


def _is_credential(file: FilePath) -> bool:
    folder = credentials_folder()
    return folder is not None and file.resolve().is_relative_to(folder.resolve())
