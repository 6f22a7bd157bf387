"""Lines of a log that others bring about: each kind once, then counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["RareLines", "Repeats", "more_of"]

QUIET_S = 60.0
# Kinds that are told apart at once; what comes then counts as one of its text.
MOST_KINDS = 200


class Repeats:
    """Lets so many of each kind through in a minute, and counts the others.

    Args:
        now: Tells the time in seconds.
        most: How many of a kind are let through in a minute.
        most_kinds: How many kinds are told apart at once.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        most: int = 1,
        most_kinds: int = MOST_KINDS,
    ) -> None:
        self._now = now
        self._most = most
        self._most_kinds = most_kinds
        self._minutes: dict[Hashable, _Minute] = {}

    def passed(self, kind: Hashable, rough: Hashable) -> int | None:
        """Take one of a kind; give how many were not let through before, or None.

        Args:
            kind: What it is.
            rough: What it is where there are too many kinds.
        """
        now, minutes = self._now(), self._minutes
        if kind not in minutes and len(minutes) >= self._most_kinds:
            self._forget_old(now)
            kind = kind if len(self._minutes) < self._most_kinds else rough
        minute = self._minutes.get(kind)
        if minute is None or minute.ends_at <= now:
            self._minutes[kind] = _Minute(now + QUIET_S, 1)
            return 0 if minute is None else minute.unsaid
        if minute.said < self._most:
            minute.said += 1
            return 0
        minute.unsaid += 1
        return None

    def _forget_old(self, now: float) -> None:
        """Forget what may be said again, with how often it was not."""
        self._minutes = {
            kind: one for kind, one in self._minutes.items() if one.ends_at > now
        }


@dataclass(slots=True)
class _Minute:
    ends_at: float
    said: int
    unsaid: int = 0


def more_of(unsaid: int) -> str:
    """Say how many lines were left out since the last."""
    return f" (and {unsaid} more since the last such line)" if unsaid else ""


class RareLines:
    """Says each kind of trouble once a minute at most, and how often it was meanwhile.

    Who floods us does not flood the log.

    Args:
        log: Where it is told.
        now: Tells the time in seconds.
        level: How important it is.
    """

    def __init__(
        self,
        log: logging.Logger,
        now: Callable[[], float],
        level: int = logging.WARNING,
    ) -> None:
        self._log = log
        self._level = level
        self._repeats = Repeats(now)

    def say(
        self,
        text: str,
        *args: object,
        about: Hashable = None,
        error: BaseException | None = None,
    ) -> None:
        """Say it; the text without its arguments is the kind, so keep it a literal.

        Args:
            text: What is said.
            args: What is put into it.
            about: Tells kinds of the same text apart; what is large is cut before.
            error: Whose traceback follows the line; tells kinds apart by its class.
        """
        if error is not None:
            about = (about, type(error).__qualname__[:100])
        kind: Hashable = text if about is None else (text, about)
        unsaid = self._repeats.passed(kind, text)
        if unsaid is not None:
            said = text + more_of(unsaid)
            self._log.log(self._level, said, *args, exc_info=error)
