"""What a service tells systemd: that it is ready, reloads, stops, and lives.

It is the protocol of sd_notify(3): datagrams of `NAME=value` lines to the unix socket that
`$NOTIFY_SOCKET` names. The watchdog is fed from the loop, and asks the gateway how it is each
time: where the loop hangs, or the gateway cannot say it, systemd kills it and starts it
again. A gateway of which one task has failed ends by itself.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

import anyio

from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text, printable

__all__ = ["ServiceManager"]

_STATUS_S = 10.0
# It is told of three times as often as it wants.
_OF_WATCHDOG = 3
_LONGEST = 300

_log = logging.getLogger(__name__)


class ServiceManager:
    """Whoever has started the program, if it is systemd; else nobody, who is told nothing.

    Args:
        environment: Variables, `NOTIFY_SOCKET` and `WATCHDOG_USEC` among them.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        place = environment.get("NOTIFY_SOCKET", "")
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        if place and not place.startswith(("/", "@")):
            _log.warning("systemd is told nothing: %s is no unix socket", place)
            self._place = ""
        self._watchdog_s = _watchdog_s(environment)
        self._has_failed = False
        self._failures = RareLines(_log, time.monotonic, logging.ERROR)

    @property
    def is_there(self) -> bool:
        """Whether anybody wants to be told."""
        return bool(self._place) and sys.platform != "win32"

    def tell(self, **fields: object) -> None:
        """Say something; what cannot be sent now is said in the log, once."""
        if not self.is_there:
            return
        lines = (f"{k}={printable(str(v), most=_LONGEST)}" for k, v in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto("\n".join(lines).encode(), self._place)
        except OSError as exc:
            if not self._has_failed:
                _log.warning("systemd cannot be told anything: %s", error_text(exc))
            self._has_failed = True
        else:
            self._has_failed = False

    async def follow(self, status: Callable[[], str]) -> None:
        """Tell that the program is ready, and that it lives, until cancelled.

        Args:
            status: Says how it is, in a line; while it raises, the watchdog is not fed.
        """
        if not self.is_there:
            return
        every_s = min(_STATUS_S, self._watchdog_s / _OF_WATCHDOG)
        feeds = self._watchdog_s < float("inf")
        told = {"READY": 1, "MAINPID": os.getpid()}
        try:
            while True:
                # Whatever is broken there: systemd starts the program again.
                try:
                    words = status()
                except Exception as exc:  # noqa: BLE001
                    self._failures.say("the watchdog is not fed", error=exc)
                else:
                    beat = {"WATCHDOG": 1} if feeds else {}
                    self.tell(**told, STATUS=words, **beat)
                    told = {}
                await anyio.sleep(every_s)
        finally:
            self.tell(STOPPING=1)

    async def reloading(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Reload, and tell that it begins and that it is over."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            await reload()
        finally:
            self.tell(READY=1)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Give after how much silence it kills the process; infinity if it does not."""
    given = environment.get("WATCHDOG_USEC", "")
    whose = environment.get("WATCHDOG_PID", "")
    is_ours = not whose or whose == str(os.getpid())
    if not (is_ours and given.isascii() and given.isdecimal() and int(given[:18])):
        return float("inf")
    return int(given[:18]) / 1_000_000
