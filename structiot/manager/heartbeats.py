"""Asks devices in turn whether they are there, and tells of those that do not answer."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from random import Random
from typing import Final

import anyio

from structiot.manager.client import ManagerClient

__all__ = ["Heartbeats"]

# So that a fleet that came at once is not asked at once.
_JITTER: Final = 0.1


class Heartbeats:
    """One task for all devices; a device costs it a few words of memory.

    Args:
        rate_s: How often each is asked.
        reply_s: How long it may take to answer.
        on_silence: Told of one that has not answered.
        random: For the jitter.
    """

    def __init__(
        self,
        rate_s: float,
        reply_s: float,
        *,
        on_silence: Callable[[ManagerClient], None],
        random: Random,
    ) -> None:
        self.reply_s: float = reply_s
        self._rate_s = rate_s
        self._on_silence = on_silence
        self._random = random
        self._heap: list[tuple[float, int, ManagerClient]] = []
        self._asked: set[ManagerClient] = set()
        # When each has its next turn: to be asked, or to have answered.
        self._known: dict[ManagerClient, float] = {}
        self._numbers = itertools.count()
        self._changed = anyio.Event()

    @property
    def rate_s(self) -> float:
        """How often each is asked, in seconds; it may be changed at any time."""
        return self._rate_s

    @rate_s.setter
    def rate_s(self, rate_s: float) -> None:
        self._rate_s = rate_s
        self._heap.clear()
        for client in self._known:
            self._plan(client)

    def begin(self, client: ManagerClient) -> None:
        """A device has come."""
        self._plan(client)

    def end(self, client: ManagerClient) -> None:
        """A device has gone."""
        self._known.pop(client, None)
        self._asked.discard(client)

    def heard(self, client: ManagerClient) -> None:
        """A device has answered, or told something."""
        if client in self._asked:
            self._asked.discard(client)
            self._plan(client)

    async def run(self) -> None:
        """Ask whoever is due, until cancelled."""
        while True:
            now = anyio.current_time()
            while self._heap and self._heap[0][0] <= now:
                at, _, client = heapq.heappop(self._heap)
                if self._known.get(client) == at:
                    self._due(client, now)
            due = self._heap[0][0] if self._heap else math.inf
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=due):
                await self._changed.wait()

    def _due(self, client: ManagerClient, now: float) -> None:
        if client in self._asked:
            self._on_silence(client)
            return
        client.ask_alive()
        self._asked.add(client)
        self._push(client, now + self.reply_s)

    def _plan(self, client: ManagerClient) -> None:
        jitter = 1 + self._random.uniform(-_JITTER, _JITTER)
        self._push(client, anyio.current_time() + self._rate_s * jitter)

    def _push(self, client: ManagerClient, at: float) -> None:
        self._known[client] = at
        heapq.heappush(self._heap, (at, next(self._numbers), client))
        if self._heap[0][0] == at:
            self._changed.set()
