"""Lines that somebody types, while everything else goes on."""

from __future__ import annotations

from collections import deque
from typing import Final, Self

from structiot.cli._common.standard_input import read_some

__all__ = ["TypedLines"]

# What is longer was pasted, and is cut into lines.
_LONGEST: Final = 65_536


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
            data = await read_some()
            if not data:
                raise StopAsyncIteration
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
            if len(self._rest) > _LONGEST:
                self._lines.append(self._rest)
                self._rest = b""
        return self._lines.popleft().decode(errors="replace").strip()
