"""What users may publish and subscribe: topic filters by user.

`%u` and `%c` in a filter stand for the user's name and the client's id.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.wire.topics import filter_fault, fits, parse_shared

__all__ = ["Permission", "Permissions"]

# No topic name holds a NUL, so nothing matches this.
NOTHING = "\0"
_MARK = re.compile("%[uc]")
_EXAMPLE = '[Permission(user="ann", publish=["home/#"], subscribe=["home/#"])]'
_TABLE = "[[permission]]"
_KEYS = ("user", "publish", "subscribe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Topic filters that one user, or everybody (`user=None`), may use.

    In a filter `%u` stands for the user's name and `%c` for the client's id.

    Raises:
        UsageError: A user that is no text, or filters that are no list of texts.
        ConfigError: A topic filter that is none.
    """

    user: str | None = None
    publish: Sequence[str] = ()
    subscribe: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_argument("user", self.user, str, None)
        for name in ("publish", "subscribe"):
            filters = getattr(self, name)
            check_items(name, filters, str, write=f'{name}=["home/#"]')
            for one in filters:
                fault = filter_fault(one)
                if fault is not None:
                    raise ConfigError(f"permission {one!r} {fault}")


class Permissions:
    """What users may do; without any entry everything is allowed.

    Args:
        entries: What is allowed; the rest is forbidden.

    Attributes:
        has_entries: Whether anything is forbidden.
        rules: How many topic filters there are to compare with.

    Raises:
        UsageError: No list of permissions.
    """

    def __init__(self, entries: Sequence[Permission] = ()) -> None:
        check_items("permissions", entries, Permission, write=_EXAMPLE)
        self._entries = tuple(entries)
        self.has_entries: bool = bool(self._entries)
        self.rules: int = sum(
            len(entry.publish) + len(entry.subscribe) for entry in entries
        )

    @classmethod
    def read(cls, path: str | Path) -> Permissions:
        """Read a file of `[[permission]]` tables; it blocks, so call it in a thread.

        Raises:
            ConfigError: It cannot be read, or has something else in it, which is told.
            UsageError: No path.
        """
        check_argument("path", path, str, Path)
        try:
            tables = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as exc:
            raise ConfigError(f"cannot read {path}: {path_fault(exc)}") from exc
        # A TOMLDecodeError, or bytes that are no text, or a path that can be none.
        except ValueError as exc:
            raise ConfigError(f"{printable(str(path))}: {exc}") from exc
        entries = tables.pop("permission", None)
        if tables:
            raise ConfigError(
                f"{path}: the tables are called {_TABLE}, not {next(iter(tables))!r}"
            )
        if not isinstance(entries, list):
            raise ConfigError(f"{path} has no table {_TABLE}")
        return cls([_permission(path, entry) for entry in entries])

    def may_publish(self, user: str | None, client_id: str, topic: str) -> bool:
        """Tell whether a client may publish to a topic name."""
        if not self._entries:
            return True
        return any(
            fits(_filled(pattern, user, client_id), topic)
            for entry in self._of(user)
            for pattern in entry.publish
        )

    def may_subscribe(
        self, user: str | None, client_id: str, topic_filter: str
    ) -> bool:
        """Tell whether all that a filter matches may be received."""
        if not self._entries:
            return True
        wanted = parse_shared(topic_filter)[1]
        return any(
            _covers(_filled(pattern, user, client_id), wanted)
            for entry in self._of(user)
            for pattern in entry.subscribe
        )

    def _of(self, user: str | None) -> list[Permission]:
        return [entry for entry in self._entries if entry.user in {None, user}]


def _filled(pattern: str, user: str | None, client_id: str) -> str:
    if "%" not in pattern:
        return pattern
    texts = {"%u": user or "", "%c": client_id}
    for mark in set(_MARK.findall(pattern)):
        text = texts[mark]
        # A name with a wildcard or a slash in it would widen the pattern, and so would
        # one that begins like the broker's own topics.
        if not text or text.startswith("$") or set(text) & set("+#/"):
            return NOTHING
    # In one go: what a name puts in is no mark.
    return _MARK.sub(lambda mark: texts[mark[0]], pattern)


def _covers(allowed: str, wanted: str) -> bool:
    """Whether every topic of `wanted` is one of `allowed`."""
    ours, theirs = allowed.split("/"), wanted.split("/")
    for index, level in enumerate(ours):
        if level == "#":
            return not (index == 0 and theirs[0].startswith("$"))
        if index >= len(theirs) or theirs[index] == "#":
            return False
        if level == "+":
            if index == 0 and theirs[0].startswith("$"):
                return False
        elif level != theirs[index]:
            return False
    return len(ours) == len(theirs)


def _permission(path: str | Path, entry: object) -> Permission:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: a permission is a table {_TABLE}")
    unknown = set(entry) - set(_KEYS)
    if unknown:
        raise ConfigError(
            f"{path}: a permission has no {min(unknown)!r}, it has {', '.join(_KEYS)}"
        )
    try:
        return Permission(**entry)
    except (UsageError, ConfigError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
