"""Who uses a store: one process at a time, and in it one client of each id.

The lock is a file of its own beside the store, so that others may still read that. The
system gives it back when a process ends, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from structiot._kit.sqlite_file import lock_sqlite_file
from structiot.errors import ConfigError

__all__ = ["lock_store", "unlock_store"]

# A forked process inherits this dictionary, and no lock.
Key: TypeAlias = tuple[int, Path]

_held: dict[Key, tuple[sqlite3.Connection, set[str]]] = {}
_one_at_a_time = Lock()


def lock_store(path: Path, client_id: str) -> None:
    """Keep all others away from a client's session in a store.

    Raises:
        ConfigError: Somebody else uses it.
    """
    key = _key_of(path)
    with _one_at_a_time:
        if key not in _held:
            _held[key] = (_locked(path), set())
        client_ids = _held[key][1]
        if client_id in client_ids:
            raise ConfigError(
                f"the store {path} is in use by another client with the id {client_id!r}"
            )
        client_ids.add(client_id)


def unlock_store(path: Path, client_id: str) -> None:
    """Let others in."""
    key = _key_of(path)
    with _one_at_a_time:
        lock, client_ids = _held[key]
        client_ids.discard(client_id)
        if not client_ids:
            del _held[key]
            lock.close()


def _key_of(path: Path) -> Key:
    return os.getpid(), path.resolve()


def _locked(path: Path) -> sqlite3.Connection:
    try:
        return lock_sqlite_file(path)
    except OSError as exc:
        raise ConfigError(f"cannot open the store {path}: {exc.strerror}") from exc
    except ConfigError as exc:
        raise ConfigError(f"the store {exc}") from exc
    except sqlite3.Error as exc:
        raise ConfigError(f"cannot open the store {path}: {exc}") from exc
