"""What comes on standard input or in a file, read so that only who reads waits for it.

A thread that reads from a terminal or a pipe cannot be ended: with it the program would
outlive Ctrl-C until somebody types a line. So these are waited for by the loop.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

__all__ = ["can_be_typed", "can_come", "read_all", "read_file", "read_some"]

_BLOCK: Final = 65_536


def can_be_typed() -> bool:
    """Tell whether there is a terminal to type at."""
    return sys.stdin is not None and sys.stdin.isatty()


def can_come() -> bool:
    """Tell whether more can come later: from a terminal, or from a program through a pipe."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except OSError:
        # A test's own, which is no file.
        return False
    # What starts us may have sockets for pipes, as uvloop has.
    return can_be_typed() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def read_some() -> bytes:
    """Give what has come; waits for the first byte, and gives none at the end."""
    if sys.platform == "win32" or not can_come():
        # There only sockets can be waited for; and a file lets nobody wait.
        return await anyio.to_thread.run_sync(
            sys.stdin.buffer.read1,  # type: ignore[union-attr]
            _BLOCK,
            abandon_on_cancel=True,
        )
    number = sys.stdin.fileno()
    await anyio.wait_readable(number)
    try:
        return os.read(number, _BLOCK)
    except OSError:
        # So a terminal says that it is gone.
        return b""


async def read_all() -> bytes:
    """Give all that comes until the end."""
    found = bytearray()
    while some := await read_some():
        found += some
    return bytes(found)


async def read_file(path: Path) -> bytes:
    """Read a whole file, which may be a pipe; a cancelled wait leaves its thread behind.

    Raises:
        OSError: It cannot be read.
        ValueError: A path that can be none.
    """
    return await anyio.to_thread.run_sync(path.read_bytes, abandon_on_cancel=True)
