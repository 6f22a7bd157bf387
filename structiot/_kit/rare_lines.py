"""Lines of a log that others bring about: each kind once, then counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

__all__ = ["RareLines"]

QUIET_S = 60.0
# Kinds that are told apart at once; what comes then counts as one of its text.
MOST_KINDS = 200


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
        self._now = now
        self._level = level
        self._quiet_until: dict[Hashable, float] = {}
        self._unsaid: dict[Hashable, int] = {}

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
        now = self._now()
        if error is not None:
            about = (about, type(error).__qualname__[:100])
        kind: Hashable = text if about is None else (text, about)
        if kind not in self._quiet_until and len(self._quiet_until) >= MOST_KINDS:
            self._forget_old(now)
            if len(self._quiet_until) >= MOST_KINDS:
                kind = text
        if now < self._quiet_until.get(kind, now):
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._quiet_until[kind] = now + QUIET_S
        unsaid = self._unsaid.pop(kind, 0)
        suffix = f" (and {unsaid} more since the last such line)" if unsaid else ""
        self._log.log(self._level, text + suffix, *args, exc_info=error)

    def _forget_old(self, now: float) -> None:
        """Forget what may be said again and would have nothing to add."""
        for kind in [one for one, until in self._quiet_until.items() if until <= now]:
            del self._quiet_until[kind]
            self._unsaid.pop(kind, None)
