"""Reading a whole file that somebody names: never one that could wait or not end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["read_regular"]


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
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes} bytes")
    return data


def _opened(name: str, flags: int) -> int:
    # To open a pipe would wait for who writes to it.
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
