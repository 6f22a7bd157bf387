"""Files that are for us alone: where they are, and how they are written.

A file is written whole, beside itself, and then takes the place of the one before: who is
killed at any moment leaves the old one or the new one. All of it is for worker threads.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["default_state_file", "replace_file"]


def default_state_file(name: str) -> Path | None:
    """Name the state file of a program that was told of none; None without a home.

    It is in `$STATE_DIRECTORY` (systemd's), else in `structiot` below
    `$XDG_STATE_HOME`, which is `~/.local/state` by default.
    """
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given) / f"{name}.json"
    xdg = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not xdg.is_absolute():
        try:
            xdg = Path.home() / ".local" / "state"
        except RuntimeError:
            return None
    return xdg / "structiot" / f"{name}.json"


def replace_file(path: Path, data: bytes, *, beside: Path | None = None) -> None:
    """Write a file that its owner alone may read, in the place of what is there.

    Args:
        path: The file.
        data: What it shall hold.
        beside: Where it is written first, in the same folder; by default one file, so
            that two writers must not come together.

    Raises:
        OSError: It cannot be written.
    """
    beside = beside or path.with_name(f".{path.name}.new")
    # What was left there, or laid: a link to another file, a pipe that nobody reads.
    beside.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    file = os.open(beside, flags, 0o600)
    try:
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(file, 0o600)
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(path)
    except BaseException:
        # On a full disk it would take what little room there is.
        with suppress(OSError):
            beside.unlink()
        raise
