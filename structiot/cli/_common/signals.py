"""Running until somebody says stop (SIGINT, SIGTERM, Ctrl-C), with as many files."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from structiot._kit.flow.tasks import service_group

if sys.platform != "win32":
    import resource

__all__ = ["allow_open_files", "run_until_stopped"]

_SHOW_CURSOR = "\x1b[?25h"


def allow_open_files(wanted: int) -> None:
    """Let the process open so many files and sockets, as far as the system lets it."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run_until_stopped(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it ends or a signal asks for it; then it is cancelled.

    While it says its goodbyes a second signal ends the process at once, with the
    status that shells give for that signal (130 for Ctrl-C).
    """
    if sys.platform == "win32":
        await work()
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with service_group() as tg:
            scope = anyio.CancelScope()
            tg.start_soon(_watch, signals, scope, name="structiot.cli._common.signals")
            with scope:
                await work()


async def _watch(
    signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
) -> None:
    async for number in signals:
        if scope.cancel_called:
            _leave_at_once(128 + number)
        scope.cancel()


def _leave_at_once(status: int) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(_SHOW_CURSOR)
    sys.stdout.flush()
    sys.stderr.flush()
    # The broker sees the connection break and publishes the gateway's will.
    os._exit(status)
