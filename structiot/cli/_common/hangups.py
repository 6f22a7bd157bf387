"""SIGHUP before anybody can answer it: kept until then, for its default is the end.

A program takes a second to import what it needs and to open what it serves. It imports
nothing itself, so that it is there first.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["had_terminal", "hold_hangups", "let_hangups_go"]


class _Held:
    """Whether the signal is kept back, and whether there was a terminal before."""

    def __init__(self) -> None:
        self.is_on = False
        self.had_terminal: bool | None = None


_held = _Held()


def hold_hangups() -> None:
    """Keep the signal back; it comes when it is let go."""
    if sys.platform != "win32":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        _held.is_on = signal.SIGHUP not in before
        _held.had_terminal = os.isatty(0)


def let_hangups_go() -> None:
    """Take the signal from now on, and one that came meanwhile."""
    if sys.platform != "win32" and _held.is_on:
        _held.is_on = False
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def had_terminal() -> bool:
    """Tell whether the program was started on a terminal, as far as that is known."""
    return os.isatty(0) if _held.had_terminal is None else _held.had_terminal
