"""Running until somebody says stop (SIGINT, SIGTERM, Ctrl-C), with as many files.

What can read its settings again does so at SIGHUP. A terminal that goes away sends the same
signal to what was started on it: that ends it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.hangups import had_terminal, let_hangups_go
from structiot.cli._common.leaving import leave_at_once, leave_soon

if sys.platform != "win32":
    import resource

__all__ = ["allow_open_files", "run_until_stopped"]


def allow_open_files(wanted: int) -> None:
    """Let the process open so many files and sockets, as far as the system lets it."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run_until_stopped(
    work: Callable[[], Awaitable[None]],
    reload: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run `work` until it ends or a signal asks for it; then it is cancelled.

    While it says its goodbyes a second signal ends the process at once, with the
    status that shells give for that signal (130 for Ctrl-C).

    Args:
        work: What is run.
        reload: What is done at SIGHUP, once more for those that come meanwhile; without,
            that signal is left alone.
    """
    if sys.platform == "win32":
        await work()
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if reload is not None:
        numbers.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*numbers) as signals:
        async with service_group() as tg:
            asked = _Asked()
            let_hangups_go()
            if reload is not None:
                tg.start_soon(asked.follow, reload, name="structiot.cli.reload")
            name = "structiot.cli._common.signals"
            tg.start_soon(_watch, signals, asked, name=name)
            with asked.scope:
                await work()
            if asked.scope.cancel_called:
                leave_soon(0)


class _Asked:
    """What was asked for by signals."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self._had_terminal = had_terminal()
        self._reload_scope = anyio.CancelScope()
        self._again = anyio.Event()

    def hang_up(self) -> None:
        if self._had_terminal and not os.isatty(0):
            self.stop()
        else:
            self._again.set()

    def stop(self) -> None:
        """Have it say its goodbyes: it takes no other settings meanwhile."""
        self.scope.cancel()
        self._reload_scope.cancel()

    async def follow(self, reload: Callable[[], Awaitable[None]]) -> None:
        with self._reload_scope:
            while True:
                await self._again.wait()
                self._again = anyio.Event()
                await reload()


async def _watch(signals: AsyncIterator[signal.Signals], asked: _Asked) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            asked.hang_up()
            continue
        if asked.scope.cancel_called:
            # The broker publishes the gateway's will.
            leave_at_once(128 + number)
        asked.stop()
