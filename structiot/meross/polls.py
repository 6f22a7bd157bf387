"""What a device is asked with each poll: some of it each time, the rest now and then."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

import anyio

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError
from structiot.meross.features.feature import Poll, Request
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.system import ALL

__all__ = ["CLOUD_LIVE_S", "CLOUD_POLL_S", "LAN_POLL_S", "PollPlan", "check_poll_s"]

# Asked in the local network; a change made at the device is seen within half a minute.
LAN_POLL_S: Final = 10.0
# How often it is looked at what the cloud is to be asked for.
CLOUD_POLL_S: Final = 30.0

# What the cloud is asked for, a message each; the budget is 180 an hour.
CLOUD_LIVE_S: Final = 180.0
CLOUD_ALL_S: Final = 1_200.0
SLOW_S: Final = 600.0
# A counter of the day that stands still for longer looks broken.
COUNTING_S: Final = 60.0


def check_poll_s(poll_s: float) -> None:
    """Raise UsageError unless devices in the local network may be polled so often."""
    check_argument("poll_s", poll_s, float)
    if not 1 <= poll_s <= CLOUD_LIVE_S:
        message = f"poll_s is 1 to {CLOUD_LIVE_S:g} s, not {poll_s:g}"
        raise UsageError(message)


class PollPlan:
    """Remembers what was asked when; in the local network all that is live is due.

    Args:
        local_s: Time between two polls in the local network.

    Attributes:
        look_at: When something has to be asked besides, such as whether a door has
            arrived; infinite if nothing has to be.
    """

    def __init__(self, local_s: float = LAN_POLL_S) -> None:
        self.look_at: float = math.inf
        self._local_s = local_s
        self._asked_at: dict[str, float] = {}
        self._look_for: set[str] = set()

    def look_again(self, polls: Iterable[Poll], after_s: float) -> None:
        """Have the state asked for again, and what is live of a feature's polls."""
        self.look_at = min(self.look_at, anyio.current_time() + after_s)
        live = {poll.request.namespace for poll in polls if poll.pace == "live"}
        self._look_for |= {ALL, *live}

    def due(self, polls: Iterable[Poll], *, is_local: bool) -> list[Request]:
        """Give what is to be asked now: `System.All`, what is live, all else.

        Args:
            polls: What the device's features want to know.
            is_local: Whether it is asked in the local network.
        """
        requests: list[Request] = []
        if self._is_due(ALL, 0.0 if is_local else CLOUD_ALL_S):
            requests.append(Request(method=Method.GET, namespace=ALL))
        every_s = {
            "live": 0.0 if is_local else CLOUD_LIVE_S,
            "counting": COUNTING_S if is_local else SLOW_S,
            "slow": SLOW_S,
            "once": math.inf,
        }
        requests.extend(
            poll.request
            for poll in sorted(polls, key=lambda one: list(every_s).index(one.pace))
            if self._is_due(poll.request.namespace, every_s[poll.pace])
        )
        return requests

    def poll_s(self, *, is_local: bool) -> float:
        """Tell how often it is polled: there is less to ask through the cloud."""
        return self._local_s if is_local else CLOUD_POLL_S

    def all_every_s(self, *, is_local: bool) -> float:
        """Give how often `System.All` is asked."""
        return self._local_s if is_local else CLOUD_ALL_S

    def every_s(self, paces: Collection[str], *, is_local: bool) -> float:
        """Give how often something of these paces is asked; infinite if only told."""
        if "live" in paces:
            return self._local_s if is_local else CLOUD_LIVE_S
        if "counting" in paces and is_local:
            return max(COUNTING_S, self._local_s)
        return SLOW_S if {"counting", "slow"}.intersection(paces) else math.inf

    def answered(self, namespace: str) -> None:
        """Note that something was answered."""
        now = self._asked_at[namespace] = anyio.current_time()
        if now >= self.look_at:
            self._look_for.discard(namespace)
            if not self._look_for:
                self.look_at = math.inf

    def forget(self) -> None:
        """Have everything asked anew."""
        self._asked_at.clear()

    def _is_due(self, namespace: str, every_s: float) -> bool:
        now, asked_at = anyio.current_time(), self._asked_at.get(namespace, -math.inf)
        is_looked_for = namespace in self._look_for and now >= self.look_at
        return is_looked_for or now - asked_at >= every_s
