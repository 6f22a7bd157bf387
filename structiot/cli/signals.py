"""Running until somebody says stop: SIGINT, SIGTERM, or Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from structiot._kit.tasks import service_group

__all__ = ["run_until_stopped"]

_SHOW_CURSOR = "\x1b[?25h"


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
            tg.start_soon(_watch, signals, scope, name="structiot.cli.signals")
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
