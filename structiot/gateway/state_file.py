"""What a gateway keeps beyond its end: a small JSON file with sections by name.

It is written whole, beside itself, and then takes the place of the one before: who is
killed at any moment leaves the old one or the new one. Without a path all is in memory.
"""

from __future__ import annotations

import json
import logging
import os
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

import anyio.to_thread

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment

__all__ = ["StateFile"]

_log = logging.getLogger(__name__)


class StateFile:
    """The sections of one file; made by `StateFile.open`, and closed by its holder.

    Attributes:
        path: Where it is; None if it is in memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Path | None = path
        self._sections: dict[str, dict[str, Any]] = {}

    @classmethod
    async def open(
        cls,
        path: str | PathLike[str] | None,
        *,
        environment: Environment = SYSTEM_ENVIRONMENT,  # noqa: ARG003 - for its clock
    ) -> Self:
        """Read a file, or begin one that is not there yet."""
        state = cls(None if path is None else Path(fspath(path)))
        if state.path is not None:
            state._sections = await anyio.to_thread.run_sync(_read, state.path)
        return state

    def section(self, name: str) -> dict[str, Any]:
        """Give a section, to be read and changed in place; it holds what JSON can."""
        return self._sections.setdefault(name, {})

    async def save(self) -> None:
        """Write the file now; a failure is logged and raises nothing."""
        if self.path is not None:
            data = json.dumps(self._sections).encode()
            try:
                await anyio.to_thread.run_sync(_write, self.path, data)
            except OSError as exc:
                _log.warning("%s cannot be written: %s", self.path, exc)

    def close(self) -> None:
        """Let another process have the file."""


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
