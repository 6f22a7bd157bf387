"""Warnings that clients bring about: the first of a kind is said, the others counted."""

from __future__ import annotations

import logging

import anyio
from anyio.abc import TaskGroup

__all__ = ["CountedWarnings"]

# After the first, the others are counted for so long.
QUIET_S = 60.0


class CountedWarnings:
    """Says the first warning of each kind, and each minute how many more there were.

    Args:
        log: Where it is told.
        tasks: For what waits for the minute to end.
    """

    def __init__(self, log: logging.Logger, tasks: TaskGroup) -> None:
        self._log = log
        self._tasks = tasks
        self._more: dict[str, int] = {}

    def say(self, text: str, kind: str) -> None:
        """Say what has happened to one, or count it among those of its kind.

        Args:
            text: What has happened.
            kind: What has happened to others, such as `clients were turned away`.
        """
        if kind in self._more:
            self._more[kind] += 1
            return
        self._more[kind] = 0
        self._log.warning("%s", text)
        self._tasks.start_soon(self._count, kind)

    async def _count(self, kind: str) -> None:
        """Say how many more there were, until there are none."""
        more: int | None = None
        try:
            while more != 0:
                await anyio.sleep(QUIET_S)
                more = self._say_more(kind)
        finally:
            self._say_more(kind)
            del self._more[kind]

    def _say_more(self, kind: str) -> int:
        more, self._more[kind] = self._more[kind], 0
        if more:
            self._log.warning("%s: %d more", kind, more)
        return more
