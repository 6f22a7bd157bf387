"""When the devices of an account are listed, and what becomes of a cloud that is away.

The list is asked for each day and whenever something makes it doubtful. While the cloud does
not give it, it is asked for again, later each time, and at once when a broker can be
reached: the devices are those of before then. Who refuses us is not asked again.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from random import Random
from typing import Final

import anyio

from structiot._kit.flow.backoff import Backoff
from structiot._kit.text import error_text
from structiot.errors import (
    AuthRefused,
    PeerError,
    StructiotError,
    TransportError,
    UsageError,
)
from structiot.meross.link.brokers import Brokers

__all__ = ["LIST_EVERY_S", "LIST_PAUSE_S", "Listing", "with_the_cloud_or_without"]

# The list is asked for again: a rename reaches us by no push.
LIST_EVERY_S: Final = 86_400.0
# Whoever may bind devices may not have it asked for without a pause.
LIST_PAUSE_S: Final = 60.0
# On top of the pause.
_AGAIN: Final = Backoff(first_s=1.0, cap_s=900.0)
# How often a broker is tried again that has refused us, as over a ban that was lifted.
_REFUSED_S: Final = 3_600.0

_log = logging.getLogger("structiot.meross")


class Listing:
    """Asks for the list of devices; `run` is its background task.

    Args:
        list_devices: Asks the cloud, and takes what it says.
        random: Draws how long to wait after a failure.

    Attributes:
        error: Why there was none when it was asked for last; None if there was.
    """

    def __init__(
        self, list_devices: Callable[[], Awaitable[None]], random: Random
    ) -> None:
        self.error: StructiotError | None = None
        self._list_devices = list_devices
        self._random = random
        self._wanted = anyio.Event()
        self._has_asked = anyio.Event()
        self._said = ""

    def want(self) -> None:
        """Have it asked for soon."""
        self._wanted.set()

    def can_be_asked(self) -> None:
        """Take it that the cloud may be there again."""
        if self.error is not None:
            self.want()

    async def ask(self) -> None:
        """Ask for it now.

        Raises:
            StructiotError: Why there is none.
        """
        try:
            await self._list_devices()
        except AuthRefused:
            # It ends the account, which nobody shall be given before that.
            raise
        except (TransportError, PeerError) as exc:
            self.error = copy.copy(exc)
            self._has_asked.set()
            raise
        self.error, self._said = None, ""
        self._has_asked.set()

    async def is_there(self, *, within_s: float) -> bool:
        """Wait until it was asked for once; tell whether there was one."""
        with anyio.move_on_after(within_s):
            await self._has_asked.wait()
        return self._has_asked.is_set() and self.error is None

    async def run(self, brokers: Brokers) -> None:
        """Ask for it whenever it is due, until cancelled.

        Raises:
            AuthRefused: The cloud refuses us.
        """
        delays, unparked_at = _AGAIN.start(self._random), -math.inf
        while True:
            wait_s = _REFUSED_S if brokers.is_refused else LIST_EVERY_S
            if self.error is None:
                delays = _AGAIN.start(self._random)
            else:
                wait_s = delays.next_delay_s() or wait_s
            with anyio.move_on_after(wait_s):
                await self._wanted.wait()
            self._wanted = anyio.Event()
            with with_the_cloud_or_without("the list of devices", but_not=self._said):
                await self.ask()
            self._said = error_text(self.error) if self.error else ""
            if anyio.current_time() >= unparked_at + _REFUSED_S:
                unparked_at = anyio.current_time()
                brokers.unpark()
            await anyio.sleep(LIST_PAUSE_S)


@contextmanager
def with_the_cloud_or_without(what: str, *, but_not: str = "") -> Generator[None]:
    """Go on where the cloud does not answer; one that refuses us ends the account.

    Args:
        what: What it is asked for, for the log.
        but_not: Why it did not answer before, which was said.
    """
    try:
        yield
    except AuthRefused:
        raise
    except (TransportError, PeerError) as exc:
        level = logging.DEBUG if error_text(exc) == but_not else logging.WARNING
        _log.log(level, "%s: %s", what, error_text(exc))
    except UsageError as exc:
        # Whoever has logged out may use the devices to the end of the block.
        _log.info("%s: %s", what, error_text(exc))
