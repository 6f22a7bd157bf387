"""What the log is told of limits that were reached: each kind once, then counted."""

from __future__ import annotations

import logging

from structiot.mqtt.broker.core.deadlines import Clock

__all__ = ["Warnings"]

QUIET_S = 60.0

_log = logging.getLogger(__name__)


class Warnings:
    """Says each kind of trouble once a minute at most, and how often it was meanwhile.

    Who floods the broker does not flood its log.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, text: str, *args: object) -> None:
        """Warn; the text without its arguments is the kind, so keep it a literal."""
        now = self._clock.now
        if now < self._quiet_until.get(text, now):
            self._unsaid[text] = self._unsaid.get(text, 0) + 1
            return
        self._quiet_until[text] = now + QUIET_S
        unsaid = self._unsaid.pop(text, 0)
        suffix = f" (and {unsaid} more since the last such line)" if unsaid else ""
        _log.warning(text + suffix, *args)
