"""What is allowed and denied, entry by entry, and the files that hold such entries.

A file is TOML with `[[permission]]` tables, or an ACL file of Mosquitto 2.0
(mosquitto.conf(5), `acl_file`):

    topic [read|write|readwrite|deny] FILTER    of the user above, else of the anonymous
    user NAME
    pattern [read|write|readwrite|deny] FILTER  of everybody, with %u and %c
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.regular_file import read_regular
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.wire.topics import filter_fault

__all__ = ["Permission", "read_entries"]

_FILTERS = (
    "publish",
    "subscribe",
    "receive",
    "deny_publish",
    "deny_subscribe",
    "deny_receive",
)
MAX_FILE_BYTES = 64 * 1024 * 1024
_TABLE = "[[permission]]"
# Behind the first word of a line of TOML stands something else than a word.
_ACL_LINE = re.compile(" *(topic|pattern|user)( +[^ =].*)?")
_ACCESS = {
    "read": ("receive",),
    "write": ("publish",),
    "readwrite": ("receive", "publish"),
    "deny": ("deny_receive", "deny_publish"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Topic filters that one user, or everybody (`user=None`), may use, or may not.

    In a filter `%u` stands for the user's name and `%c` for the client's id.

    Attributes:
        user: Whose they are; None for everybody.
        anonymous: Whether they are of clients without a user's name alone.
        publish: What may be published, as a message or as a will.
        subscribe: What may be subscribed: all of a filter, or a part of it.
        receive: Of which topics messages may come; by default those of `subscribe`.
        deny_publish: What may not be published, whatever `publish` allows.
        deny_subscribe: What may be neither subscribed nor received; of a wider
            subscription these messages are left out.
        deny_receive: Of which topics no messages come.

    Raises:
        UsageError: A user that is no text, filters that are no list of texts, or a
            `user` who is `anonymous`.
        ConfigError: A topic filter that is none.
    """

    user: str | None = None
    anonymous: bool = False
    publish: Sequence[str] = ()
    subscribe: Sequence[str] = ()
    receive: Sequence[str] | None = None
    deny_publish: Sequence[str] = ()
    deny_subscribe: Sequence[str] = ()
    deny_receive: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_argument("user", self.user, str, None)
        check_argument("anonymous", self.anonymous, bool)
        if self.anonymous and self.user is not None:
            raise UsageError("who is anonymous has no user: give one of them")
        for name in _FILTERS:
            filters = getattr(self, name)
            if name == "receive" and filters is None:
                continue
            check_items(name, filters, str, write=f'{name}=["home/#"]')
            for one in filters:
                fault = filter_fault(one)
                if fault is not None:
                    raise ConfigError(f"permission {printable(one)!r} {fault}")


def read_entries(path: Path) -> tuple[list[Permission], bool]:
    """Read a file; tell also whether it is an ACL file of Mosquitto. It blocks.

    Raises:
        ConfigError: It cannot be read, or has something else in it, which is told.
    """
    shown = printable(str(path))
    try:
        text = read_regular(path, most_bytes=MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} is not text") from None
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot read {shown}: {path_fault(exc)}") from exc
    lines = [line.rstrip() for line in text.split("\n")]
    first = next((one for one in lines if one and not one.startswith("#")), "")
    if _ACL_LINE.fullmatch(first):
        return _acl_entries(shown, lines), True
    return _toml_entries(shown, text), False


def _toml_entries(shown: str, text: str) -> list[Permission]:
    try:
        tables = tomllib.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{shown}: {exc}") from exc
    entries = tables.pop("permission", None)
    if tables:
        raise ConfigError(
            f"{shown}: the tables are called {_TABLE}, not {next(iter(tables))!r}"
        )
    if not isinstance(entries, list):
        raise ConfigError(f"{shown} has no table {_TABLE}")
    return [_permission(shown, entry) for entry in entries]


def _permission(shown: str, entry: object) -> Permission:
    if not isinstance(entry, dict):
        raise ConfigError(f"{shown}: a permission is a table {_TABLE}")
    keys = [field.name for field in fields(Permission)]
    if unknown := set(entry).difference(keys):
        raise ConfigError(
            f"{shown}: a permission has no {min(unknown)!r}, it has {', '.join(keys)}"
        )
    try:
        return Permission(**entry)
    except (UsageError, ConfigError) as exc:
        raise ConfigError(f"{shown}: {exc}") from exc


def _acl_entries(shown: str, lines: Sequence[str]) -> list[Permission]:
    entries: list[Permission] = []
    user: str | None = None
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        try:
            word, rest = _acl_words(line)
            if word == "user":
                user = rest
                # Who is named may do what patterns say, and nothing more.
                entries.append(Permission(user=user))
            else:
                given = _acl_filters(rest)
                if word == "pattern":
                    entries.append(Permission(**given))
                else:
                    is_anonymous = user is None
                    entries.append(
                        Permission(user=user, anonymous=is_anonymous, **given)
                    )
        except ConfigError as exc:
            raise ConfigError(f"{shown}, line {number}: {exc}") from None
    return entries


def _acl_words(line: str) -> tuple[str, str]:
    found = _ACL_LINE.fullmatch(line)
    if found is None:
        raise ConfigError(
            f"{printable(line, most=60)!r} begins with none of user, topic and pattern"
        )
    rest = (found[2] or "").strip()
    if not rest:
        what = "a name" if found[1] == "user" else "a topic filter"
        raise ConfigError(f"behind {found[1]!r} stands {what}")
    return found[1], rest


def _acl_filters(text: str) -> dict[str, Any]:
    access, _, topic_filter = text.partition(" ")
    if not topic_filter:
        access, topic_filter = "readwrite", access
    if access not in _ACCESS:
        raise ConfigError(
            f"the access is {', '.join(_ACCESS)}, not {printable(access, most=60)!r}"
        )
    return {name: [topic_filter.strip()] for name in _ACCESS[access]}
