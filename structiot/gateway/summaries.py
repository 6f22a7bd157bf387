"""What is made of many values at once, published once for each burst of their changes."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel

__all__ = ["Summaries"]

# Whoever changes all the time is summed up five times a second.
_BURST_S = 0.2
_A_TURN = 8


class Summaries:
    """Publishes what has changed, a moment after the first of its changes.

    What is not published yet when the gateway ends, is not any more.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[], None]] = {}
        self._wake = anyio.Event()

    def soon(self, topic: str, publish: Callable[[], None]) -> None:
        """Have a summary published soon; one that waits already, once."""
        self._waiting[topic] = publish
        self._wake.set()

    def forget(self, topic: str) -> None:
        """Have it not published."""
        self._waiting.pop(topic, None)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await anyio.sleep(_BURST_S)
            for number in range(1, len(self._waiting) + 1):
                if not self._waiting:
                    break
                topic = next(iter(self._waiting))
                self._waiting.pop(topic)()
                if number % _A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
