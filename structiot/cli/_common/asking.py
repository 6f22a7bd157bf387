"""Asking for passwords: at a terminal, or not at all."""

from __future__ import annotations

import getpass
import signal
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import asyncclick as click

__all__ = ["ask_secret", "at_a_terminal", "interruptible"]


@contextmanager
def interruptible() -> Generator[None]:
    """Have Ctrl-C end the wait for somebody who types.

    A loop hears of signals when it goes on, which it does not before there is an answer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def at_a_terminal(instead: str) -> Generator[None]:
    """Have a password that is asked for in the block be typed without being shown.

    Args:
        instead: What to do where nobody can be asked.

    Raises:
        click.UsageError: There is no terminal.
    """
    with warnings.catch_warnings(), interruptible():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            yield
        except (getpass.GetPassWarning, EOFError) as exc:
            text = f"there is no terminal to ask for the password; {instead}"
            raise click.UsageError(text) from exc


async def ask_secret(what: str, *, instead: str, is_repeated: bool = False) -> str:
    """Ask for something that nobody else shall see.

    Args:
        what: What it is.
        instead: What to do where nobody can be asked.
        is_repeated: Whether it has to be typed twice.

    Raises:
        click.UsageError: There is no terminal.
    """
    with at_a_terminal(instead):
        text: str = await click.prompt(
            what, hide_input=True, confirmation_prompt=is_repeated, err=True
        )
    return text
