"""Reading a whole file that somebody names: never one that could wait or not end."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

__all__ = ["read_last", "read_regular"]


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """Read a regular file; for worker threads.

    Args:
        path: The file.
        most_bytes: How long it may be.

    Raises:
        OSError: It cannot be read.
        ValueError: It is a pipe, a device or the like, or too long; or a path that can
            be none.
    """
    with _regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes} bytes")
    return data


def read_last(path: Path, *, most_bytes: int) -> bytes:
    """Read the end of a regular file; for worker threads.

    Args:
        path: The file.
        most_bytes: How much of it.

    Raises:
        OSError: It cannot be read.
        ValueError: As `read_regular` raises it.
    """
    with _regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
        return file.read(most_bytes)


@contextmanager
def _regular(path: Path) -> Generator[BufferedReader]:
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        yield file


def _opened(name: str, flags: int) -> int:
    # To open a pipe would wait for who writes to it.
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
