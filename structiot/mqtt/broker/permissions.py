"""What users may publish, subscribe and receive: topic filters by user.

Three questions, each with filters that allow and filters that deny:

- *publish*: a message or a will with a topic name;
- *subscribe*: a filter, all of which one filter of ours has to cover;
- *receive*: a message with a topic name, at the moment at which it is handed out.

What is said of a user goes before what is said of everybody, and in both a denial
before what allows. What nothing allows is denied. `%u` and `%c` in a filter stand for the
user's name and the client's id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.text import printable
from structiot.errors import ConfigError
from structiot.mqtt.broker.permission_entries import Permission, read_entries
from structiot.mqtt.wire.topics import fits, parse_shared

__all__ = ["Permissions"]

# No topic name holds a NUL, so nothing matches this.
NOTHING = "\0"
# One comparison takes 2 microseconds, and nobody else has a turn before the last.
MOST_RULES = 10_000
_MARK = re.compile("%[uc]")
_EXAMPLE = '[Permission(user="ann", publish=["home/#"], subscribe=["home/#"])]'
_WILDCARDS = frozenset("+#")
_BARRED = frozenset("+#/")
_PUBLISH, _SUBSCRIBE, _RECEIVE = range(3)
# Filters that deny, and those that allow.
_Rules: TypeAlias = tuple[list[str], list[str]]


class _Group:
    """The filters of one user, of the anonymous, or of everybody."""

    __slots__ = ("questions", "size")

    def __init__(self) -> None:
        self.questions: tuple[_Rules, _Rules, _Rules] = ([], []), ([], []), ([], [])
        self.size = 0

    def add(self, entry: Permission) -> None:
        receive = entry.subscribe if entry.receive is None else entry.receive
        for question, denied, allowed in (
            (_PUBLISH, entry.deny_publish, entry.publish),
            (_SUBSCRIBE, entry.deny_subscribe, entry.subscribe),
            (_RECEIVE, (*entry.deny_subscribe, *entry.deny_receive), receive),
        ):
            rules = self.questions[question]
            rules[0].extend(denied)
            rules[1].extend(allowed)
        self.size = max(len(no) + len(yes) for no, yes in self.questions)


class Permissions:
    """What users may do; without any entry everything is allowed.

    Args:
        entries: What is allowed and what is denied; the rest is forbidden.
        like_mosquitto: Go by entries as Mosquitto does by its ACL file: everybody may
            subscribe everything and gets of it what may be received; marks stand for
            something in entries for everybody alone; a `/` in a name is as good as any
            other character; and who has `+` or `#` in a name has no share in what
            everybody may.

    Attributes:
        has_entries: Whether anything is forbidden.
        most_rules: How many topic filters there are at most to compare with.

    Raises:
        ConfigError: So many filters for one user that each message would take long.
        UsageError: No list of permissions.
    """

    def __init__(
        self, entries: Sequence[Permission] = (), *, like_mosquitto: bool = False
    ) -> None:
        check_items("permissions", entries, Permission, write=_EXAMPLE)
        self.has_entries: bool = bool(entries)
        self._like_mosquitto = like_mosquitto
        self._everybody, self._anonymous = _Group(), _Group()
        self._of_user: dict[str, _Group] = {}
        for entry in entries:
            if entry.anonymous:
                group = self._anonymous
            elif entry.user is None:
                group = self._everybody
            else:
                group = self._of_user.setdefault(entry.user, _Group())
            group.add(entry)
        owned = [self._anonymous, *self._of_user.values()]
        most = max(one.size for one in owned)
        self.most_rules: int = most + self._everybody.size
        if self.most_rules > MOST_RULES:
            raise ConfigError(
                f"each message of a user may be compared with {self.most_rules} topic "
                f"filters, those of everybody included; {MOST_RULES} are the most"
            )

    @classmethod
    def read(cls, path: str | Path) -> Permissions:
        """Read a file of `[[permission]]` tables, or an ACL file of Mosquitto.

        It blocks, so call it in a thread.

        Raises:
            ConfigError: It cannot be read, or has something else in it, which is told.
            UsageError: No path.
        """
        check_argument("path", path, str, Path)
        entries, like_mosquitto = read_entries(Path(path))
        try:
            return cls(entries, like_mosquitto=like_mosquitto)
        except ConfigError as exc:
            raise ConfigError(f"{printable(str(path))}: {exc}") from None

    def count(self, user: str | None) -> int:
        """Give how many topic filters there are to compare with for a user."""
        return self._own(user).size + self._everybody.size

    def may_publish(self, user: str | None, client_id: str, topic: str) -> bool:
        """Tell whether a client may publish to a topic name."""
        return self._may(_PUBLISH, user, client_id, topic, fits)

    def may_subscribe(
        self, user: str | None, client_id: str, topic_filter: str
    ) -> bool:
        """Tell whether a filter may be subscribed."""
        if self._like_mosquitto:
            return True
        wanted = parse_shared(topic_filter)[1]
        return self._may(_SUBSCRIBE, user, client_id, wanted, _covers)

    def may_receive(self, user: str | None, client_id: str, topic: str) -> bool:
        """Tell whether a message of a topic may be handed to a client."""
        return self._may(_RECEIVE, user, client_id, topic, fits)

    def _own(self, user: str | None) -> _Group:
        return self._anonymous if user is None else self._of_user.get(user, _NO_RULES)

    def _may(
        self,
        question: int,
        user: str | None,
        client_id: str,
        topic: str,
        meets: Callable[[str, str], bool],
    ) -> bool:
        if not self.has_entries:
            return True
        is_acl = self._like_mosquitto
        for group in (self._own(user), self._everybody):
            is_own = group is not self._everybody
            if is_acl and not is_own and _has_wildcard(user, client_id):
                return False
            for is_allowed, patterns in enumerate(group.questions[question]):
                for pattern in patterns:
                    if "%" in pattern and not (is_acl and is_own):
                        filled = self._fill(pattern, user, client_id, is_allowed)
                    else:
                        filled = pattern
                    if meets(filled, topic):
                        return bool(is_allowed)
        return False

    def _fill(
        self, pattern: str, user: str | None, client_id: str, is_allowed: int
    ) -> str:
        texts = {"%u": user or "", "%c": client_id}
        barred = _WILDCARDS if self._like_mosquitto else _BARRED
        # A name with a wildcard or a slash in it would widen the pattern, and so would
        # one that begins like the broker's own topics. A denial may be wider.
        if is_allowed and any(
            not text or text.startswith("$") or barred.intersection(text)
            for text in map(texts.__getitem__, _MARK.findall(pattern))
        ):
            return NOTHING
        # In one go: what a name puts in is no mark.
        return _MARK.sub(lambda mark: texts[mark[0]], pattern)


def _has_wildcard(user: str | None, client_id: str) -> bool:
    return not _WILDCARDS.isdisjoint(f"{user or ''}{client_id}")


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


_NO_RULES = _Group()
