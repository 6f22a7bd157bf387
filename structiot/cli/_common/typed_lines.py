"""Lines that somebody types, while everything else goes on."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from typing import Final, Self

import anyio
import anyio.to_thread

__all__ = ["TypedLines", "can_be_typed", "can_come"]

_BLOCK: Final = 4_096
# What is longer was pasted, and is cut into lines.
_LONGEST: Final = 65_536


def can_be_typed() -> bool:
    """Tell whether there is a terminal to type at."""
    return sys.stdin is not None and sys.stdin.isatty()


def can_come() -> bool:
    """Tell whether lines can come: from a terminal, or from a program through a pipe."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    # What starts us may have sockets for pipes, as uvloop has.
    return can_be_typed() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class TypedLines:
    """The lines that are typed at the terminal, to iterate over until the input ends.

    Waiting for one neither blocks the loop nor keeps the program from ending.
    """

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._rest = b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._lines:
            data = await _read(sys.stdin.fileno())
            if not data:
                raise StopAsyncIteration
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
            if len(self._rest) > _LONGEST:
                self._lines.append(self._rest)
                self._rest = b""
        return self._lines.popleft().decode(errors="replace").strip()


async def _read(number: int) -> bytes:
    if sys.platform == "win32":
        # There only sockets can be waited for.
        return await anyio.to_thread.run_sync(
            os.read, number, _BLOCK, abandon_on_cancel=True
        )
    await anyio.wait_readable(number)
    try:
        return os.read(number, _BLOCK)
    except OSError:
        # So a terminal says that it is gone.
        return b""
