"""What a gateway keeps beyond its end: a small JSON file with sections by name.

    state = await StateFile.open("/var/lib/structiot/house.json", environment=environment)
    meters = state.section("energy")
    meters["structiot/kitchen"] = 12.5
    await state.save()

The file is written whole, beside itself, and then takes the place of the one before: who
is killed at any moment leaves the old one or the new one. One gateway uses it at a time.
A state file that cannot be used costs what it held and nothing else: it is said, set aside
as `<name>.bad`, and a new one is begun. What is no state file is left alone and refused: a
slip may have named anything. One that cannot be read stays as it is, too: nothing is written
over what nobody has seen. Without a path all is kept in memory.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path
from threading import Lock
from typing import Any, Self

import anyio
import anyio.to_thread

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.private_file import replace_file
from structiot._kit.text import path_fault
from structiot.errors import ConfigError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_HAS_LOCKS = fcntl is not None

__all__ = ["StateFile", "not_ours"]

_VERSION = 1
_SAVE_EVERY_S = 1.0
_BACKOFF = Backoff(first_s=1.0, cap_s=60.0)
_LEAVE_S = 10.0
_MAX_BYTES = 64 * 1024 * 1024
# What each begins with, however it was broken off. A power cut may leave zeros.
_HEAD = b'{"version":'
_HEAD_BYTES = 4096

_log = logging.getLogger(__name__)


class StateFile:
    """The sections of one file; made by `StateFile.open`, and closed by its holder.

    Attributes:
        path: Where it is; None if it is in memory only.
    """

    def __init__(self, path: Path | None, environment: Environment) -> None:
        self.path: Path | None = path
        self._environment = environment
        self._sections: dict[str, dict[str, Any]] = {}
        self._limiter = anyio.CapacityLimiter(1)
        self._wanted = anyio.Event()
        self._trouble = ""
        self._lock: int | None = None
        self._left_out: set[str] = set()
        self._number = self._written = 0
        self._writing = Lock()

    @classmethod
    async def open(
        cls,
        path: str | PathLike[str] | None,
        *,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> Self:
        """Read a file, or begin one that is not there yet.

        Args:
            path: Where it is; its folder is made. None keeps everything in memory.
            environment: Tells when it is written.

        Raises:
            ConfigError: Another process uses it, it cannot be read, no file has such a
                name, or there is something else.
        """
        if path is not None and "\0" in fspath(path):
            raise ConfigError("the state file cannot be used: no file has such a name")
        state = cls(None if path is None else Path(fspath(path)), environment)
        if state.path is not None:
            await anyio.to_thread.run_sync(state._read, limiter=state._limiter)
        return state

    def section(self, name: str) -> dict[str, Any]:
        """Give a section, to be read and changed in place; it holds what JSON can."""
        return self._sections.setdefault(name, {})

    def save_soon(self) -> None:
        """Have the file written by `run`, with all that has changed by then."""
        self._wanted.set()

    async def run(self) -> None:
        """Write soon after `save_soon` was called, once a second at most.

        What could not be written is tried again, whether or not more has changed.
        """
        delays = _BACKOFF.start(self._environment.random)
        while True:
            await self._wanted.wait()
            if await self.save():
                delays = _BACKOFF.start(self._environment.random)
                await anyio.sleep(_SAVE_EVERY_S)
            else:
                self._wanted.set()
                await anyio.sleep(delays.next_delay_s() or _BACKOFF.cap_s)

    async def save(self) -> bool:
        """Write the file now, and tell whether it is written.

        A failure (a full disk, a folder that was taken away) is logged once until it is
        over, and raises nothing. Whoever is cancelled leaves it to be finished.
        """
        self._wanted = anyio.Event()
        if self.path is None:
            return True
        data = self._content()
        self._number += 1
        try:
            await anyio.to_thread.run_sync(
                self._write,
                self.path,
                data,
                self._number,
                limiter=self._limiter,
                abandon_on_cancel=True,
            )
        except OSError as exc:
            self._fail(str(exc))
            return False
        if self._trouble:
            _log.info("%s is written again", self.path)
        self._trouble = ""
        return True

    def _fail(self, trouble: str) -> None:
        if self._trouble != trouble:
            self._trouble = trouble
            _log.warning("what shall outlast a restart cannot be written: %s", trouble)

    def _content(self) -> bytes:
        """Write down the sections; what would not be read again is left out."""
        saved_at = self._environment.now_utc().isoformat(timespec="seconds")
        head = {"version": _VERSION, "saved_at": saved_at}
        parts = {name: json.dumps(one) for name, one in self._sections.items()}
        while sum(map(len, parts.values())) > _MAX_BYTES - _HEAD_BYTES:
            longest = max(parts, key=lambda name: len(parts[name]))
            del parts[longest]
            if longest not in self._left_out:
                self._left_out.add(longest)
                _log.warning("%s: %r is too long to be kept", self.path, longest)
        sections = ", ".join(f"{json.dumps(name)}: {parts[name]}" for name in parts)
        return f'{json.dumps(head)[:-1]}, "sections": {{{sections}}}}}'.encode()

    async def leave(self) -> None:
        """Write the file for the last time and close it, in ten seconds at most."""
        with anyio.move_on_after(_LEAVE_S, shield=True) as patience:
            await self.save()
        if patience.cancelled_caught:
            # The lock stays with whoever is writing still.
            _log.warning("%s was not written after %g s", self.path, _LEAVE_S)
            return
        self.close()

    def close(self) -> None:
        """Let another process have the file; closing twice is harmless."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    # ------------------------------------------------------------ in a thread

    def _read(self) -> None:
        assert self.path is not None  # noqa: S101 - called with a path only
        # A link is another name of the same file, not a file to take the place of.
        path = self.path = Path(os.path.realpath(self.path))
        if (why := not_ours(path)) is not None:
            raise ConfigError(f"state_file {path} {why}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock(path)
            if path.is_file():
                self._sections = _sections_in(path)
        except ConfigError:
            raise
        except OSError as exc:
            if _may_exist(path):
                self.close()
                reason = path_fault(exc)
                message = f"{path} cannot be read: {reason}; it is not written over"
                raise ConfigError(message) from None
            self._fail(str(exc))
        except ValueError as exc:
            aside = path.with_name(f"{path.name}.bad")
            with suppress(OSError):
                path.replace(aside)
            _log.warning("%s is begun anew, the old one is %s: %s", path, aside, exc)

    def _take_lock(self, path: Path) -> None:
        if not _HAS_LOCKS:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(path.with_name(f".{path.name}.lock"), flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            message = (
                f"{path} is in use by another gateway: stop that one, or give this one "
                "its own by state_file in [gateway]"
            )
            raise ConfigError(message) from None
        except OSError:
            os.close(lock)  # A file system without locks.
        else:
            self._lock = lock

    def _write(self, path: Path, data: bytes, number: int) -> None:
        # One that was given up is written still, and not after a later one.
        with self._writing:
            if number < self._written:
                return
            replace_file(path, data)
            self._written = number


def _may_exist(path: Path) -> bool:
    """Tell whether a file is there, as far as one can see."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def not_ours(path: Path) -> str | None:
    """Say why something is no state file, to stand behind its name; None if it may be one.

    One that is not there, or cannot be read, may be one; so may one that is damaged.
    """
    try:
        if not path.exists():
            return None
        if not path.is_file():
            return "is no file, and is left alone"
        with path.open("rb") as file:
            head = file.read(len(_HEAD))
    except OSError:
        return None
    if _HEAD.startswith(head) or not head.strip(b"\0"):
        return None
    return "is no state file of a gateway, and is left alone: name another"


def _sections_in(path: Path) -> dict[str, dict[str, Any]]:
    """Read the sections of a file.

    Raises:
        ValueError: It holds something else.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("it is too large")
    try:
        content = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise ValueError("it is not of this version")
    sections = content.get("sections")
    if not isinstance(sections, dict):
        raise ValueError("it has no sections")  # noqa: TRY004 - of what was read
    return {name: one for name, one in sections.items() if isinstance(one, dict)}
