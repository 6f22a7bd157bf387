"""Leaving in time, whatever a thread still waits for.

A thread that opens a pipe to which nobody writes, or asks for a name that nobody knows,
cannot be ended, and Python waits for it before it ends itself: Ctrl-C would do nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

__all__ = ["interrupts_end", "leave", "leave_at_once", "leave_soon", "own_process"]

# What the longest goodbye takes that is worth waiting for at a terminal.
_GOODBYE_S: Final = 2.0
_INTERRUPTED: Final = 130
_SHOW_CURSOR: Final = "\x1b[?25h"


def leave(status: int) -> int:
    """Give the status back, unless Python would wait for a thread: then end with it."""
    this = threading.current_thread()
    if any(not one.daemon and one is not this for one in threading.enumerate()):
        leave_at_once(status)
    return status


def leave_at_once(status: int) -> NoReturn:
    """End the process; its peers see their connections break."""
    with suppress(OSError, ValueError):
        if sys.stdout.isatty():
            sys.stdout.write(_SHOW_CURSOR)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def leave_soon(status: int) -> None:
    """End the process with this status if it has not ended by itself soon."""
    # Whoever runs a command inside of a program of their own has more to do.
    if _program.is_ours:
        # Not by `leave_at_once`: what is stuck may have the locks of the output.
        timer = threading.Timer(_GOODBYE_S, os._exit, [status])
        timer.daemon = True
        timer.start()


@contextmanager
def interrupts_end() -> Generator[None]:
    """Have Ctrl-C, in a running loop, end the process soon if the loop does not."""
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not _program.is_ours or not is_main or not callable(handler):
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        leave_soon(_INTERRUPTED)
        handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, handler)


class _Program:
    """Whether the process is the program `structiot`, and nothing else."""

    def __init__(self) -> None:
        self.is_ours = False


_program: Final = _Program()


def own_process() -> None:
    """Say that the process is the program and may be ended."""
    _program.is_ours = True
