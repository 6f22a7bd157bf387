"""Asks devices in turn whether they are there, and tells of those that do not answer."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from random import Random
from typing import Final

import anyio
import anyio.lowlevel

from structiot.manager.client import ManagerClient

__all__ = ["Heartbeats"]

# So that a fleet that came at once is not asked at once.
_JITTER: Final = 0.1
# Devices come and go by the thousand between two heartbeats.
_MOST_PASSED_OVER: Final = 1024
# A fleet that is due at once, after a machine has slept: then others have a turn.
_AT_ONCE: Final = 256


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
        # When each turn is, and which: to be asked, or to have answered. A turn whose
        # device is gone, or has another, is passed over; it holds nobody.
        self._heap: list[tuple[float, int]] = []
        self._turns: dict[int, ManagerClient] = {}
        self._known: dict[ManagerClient, int] = {}
        self._asked: set[ManagerClient] = set()
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
        for client in list(self._known):
            self._plan(client)

    def begin(self, client: ManagerClient) -> None:
        """A device has come."""
        self._plan(client)

    def end(self, client: ManagerClient) -> None:
        """A device has gone."""
        self._forget_turn(client)
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
            for number in itertools.count(1):
                if not self._heap or self._heap[0][0] > now:
                    break
                _, turn = heapq.heappop(self._heap)
                client = self._turns.get(turn)
                if client is not None:
                    self._due(client, now)
                if number % _AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
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
        self._forget_turn(client)
        turn = next(self._numbers)
        self._known[client], self._turns[turn] = turn, client
        heapq.heappush(self._heap, (at, turn))
        if self._heap[0][1] == turn:
            self._changed.set()

    def _forget_turn(self, client: ManagerClient) -> None:
        turn = self._known.pop(client, None)
        self._turns.pop(-1 if turn is None else turn, None)
        if len(self._heap) > _MOST_PASSED_OVER + 2 * len(self._turns):
            self._heap = [one for one in self._heap if one[1] in self._turns]
            heapq.heapify(self._heap)
