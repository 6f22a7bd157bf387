"""How many messages may still go to devices through the cloud, so that nobody is banned.

    await budget.spend(call, is_command=True, longest_wait_s=10)

A message waits until there is room for it, commands before polls, and is dropped where
that would take too long or too many wait already. What was sent outlasts the program, see
`AccountState`: it is written down before it is sent, and counts for every program that
uses the same file. The local network costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.backoff import Backoff
from structiot.meross.account_state import AN_HOUR_S, AccountState
from structiot.meross.errors import CallDropped
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.sent_messages import SentMessages
from structiot.meross.stats import Call, Stats

__all__ = ["Budget", "DeviceBudget"]

A_MINUTE_S: Final = 60.0
# The share of each minute and hour that polls leave to commands.
_FOR_COMMANDS: Final = 0.2
# How long polls wait where tokens are used up; somebody waits for commands.
_BACKOFFS: Final = {
    "device": Backoff(first_s=0.5, cap_s=30.0),
    "global": Backoff(first_s=0.5, cap_s=10.0),
}
_COMMAND_BACKOFF: Final = Backoff(first_s=0.1, cap_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBudget:
    """What one device may be sent through the cloud.

    Attributes:
        used: Messages in the last hour.
        left: How many more fit into an hour that ends now; None if nothing limits it.
        next_at: When the next command may be sent; None if it may be sent now.
    """

    used: int
    left: int | None
    next_at: datetime | None


class _Turn:
    """One message that waits for its turn."""

    def __init__(self, *, is_command: bool) -> None:
        self.is_command = is_command
        self.is_dropped = False
        self._event = anyio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, most_s: float) -> None:
        with anyio.move_on_after(most_s):
            await self._event.wait()
        if self._event.is_set():
            self._event = anyio.Event()


class Budget:
    """Lets messages to devices through, or not.

    Args:
        state: Where it is written down what was sent.
        rate_limiter: See `Budget.rate_limiter`.
        stats: Is told of what had to wait and what was dropped.
        environment: Tells the time and draws waiting times.
    """

    def __init__(
        self,
        state: AccountState,
        rate_limiter: RateLimitChecker | None,
        stats: Stats | None = None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self._state = state
        self._rate_limiter = rate_limiter
        self._stats = stats or Stats()
        self._environment = environment
        self._sent = SentMessages()
        self._queues: dict[str, list[_Turn]] = {}

    async def begin(self) -> None:
        """Read what was sent before this program began."""
        earlier = await self._state.sent_earlier()
        self._sent.note_earlier(earlier, anyio.current_time())

    @property
    def rate_limiter(self) -> RateLimitChecker | None:
        """What limits messages; None lets all of them through, at your own risk.

        It may be replaced at any time, and those who wait are asked again.
        """
        return self._rate_limiter

    @rate_limiter.setter
    def rate_limiter(self, rate_limiter: RateLimitChecker | None) -> None:
        check_argument("rate_limiter", rate_limiter, RateLimitChecker, None)
        self._rate_limiter = rate_limiter
        for queue in self._queues.values():
            for turn in queue:
                turn.wake()

    def of(self, device: str) -> DeviceBudget:
        """Tell what a device may be sent, by its uuid."""
        now_s = anyio.current_time()
        limiter = self._rate_limiter
        used = self._sent.count(device, now_s)
        left = None
        if limiter is not None and limiter.per_hour is not None:
            left = max(0, limiter.per_hour - used)
        wait_s = self._room_in_s(device, now_s, is_command=True)
        next_at = self._environment.now_utc() + timedelta(seconds=wait_s)
        return DeviceBudget(used=used, left=left, next_at=next_at if wait_s else None)

    @property
    def devices(self) -> Mapping[str, DeviceBudget]:
        """What the devices may be sent that were sent something in the last hour."""
        return {
            name: self.of(name) for name in self._sent.devices(anyio.current_time())
        }

    async def spend(
        self, call: Call, *, is_command: bool, longest_wait_s: float
    ) -> None:
        """Wait until a message may be sent; it counts as sent from then on.

        Cancelling the wait costs nothing. Whoever is cancelled later has spent it.

        Args:
            call: What is to be sent.
            is_command: Whether somebody waits for it; polls leave the room to these.
            longest_wait_s: What would take longer is dropped.

        Raises:
            CallDropped: It is not to be sent, for now.
        """
        await anyio.lowlevel.checkpoint()
        with self._turn_of(call, is_command=is_command) as turn:
            await self._admitted(call, turn, longest_wait_s)

    @contextmanager
    def _turn_of(self, call: Call, *, is_command: bool) -> Generator[_Turn]:
        """Stand in the device's queue, commands before polls, for the block's length."""
        queue = self._queues.setdefault(call.device, [])
        limiter = self._rate_limiter
        if queue and limiter is not None and len(queue) >= limiter.max_queue:
            last = queue[-1]
            if not is_command or last.is_command:
                self._drop(call, self._room_of(call, is_command=is_command))
            queue.pop()
            last.is_dropped = True
            last.wake()
        turn = _Turn(is_command=is_command)
        ahead = sum(one.is_command for one in queue) if is_command else len(queue)
        queue.insert(ahead, turn)
        try:
            yield turn
        finally:
            if turn in queue:
                queue.remove(turn)
            if queue:
                queue[0].wake()
            elif self._queues.get(call.device) is queue:
                del self._queues[call.device]

    async def _admitted(self, call: Call, turn: _Turn, longest_wait_s: float) -> None:
        random = self._environment.random
        delays = {
            by: (_COMMAND_BACKOFF if turn.is_command else backoff).start(random)
            for by, backoff in _BACKOFFS.items()
        }
        begun_at = anyio.current_time()
        has_waited = False
        while True:
            now_s = anyio.current_time()
            left_s = begun_at + longest_wait_s - now_s
            limiter = self._rate_limiter
            wait_s = again_s = self._room_of(call, is_command=turn.is_command)
            if limiter is None or turn.is_dropped:
                pass
            elif self._queues[call.device][0] is not turn:
                wait_s = math.inf
            elif not wait_s and (limited := limiter.check(call.device, now_s)):
                again_s = limited.next_in_s
                wait_s = max(again_s, delays[limited.by].next_delay_s() or 0.0)
            if not wait_s and not turn.is_dropped:
                if await self._written_down(call, turn):
                    break
                continue
            may_wait = limiter is None or limiter.max_queue > 0
            if turn.is_dropped or again_s > left_s or left_s <= 0 or not may_wait:
                self._drop(call, again_s)
            has_waited = True
            await turn.wait(min(wait_s, left_s))
        if has_waited:
            self._stats.delayed(call)

    async def _written_down(self, call: Call, turn: _Turn) -> bool:
        """Count a message as sent, unless others have taken the room meanwhile."""
        sent_at = anyio.current_time()
        self._sent.note(call.device, sent_at)
        number, earlier = await self._state.note(call.device)
        if not earlier:
            return True
        self._sent.forget(call.device, sent_at)
        self._sent.note_earlier(earlier, anyio.current_time())
        if self._room_of(call, is_command=turn.is_command):
            await self._state.take_back(number)
            return False
        self._sent.note(call.device, sent_at)
        return True

    def _room_of(self, call: Call, *, is_command: bool) -> float:
        now_s = anyio.current_time()
        return self._room_in_s(call.device, now_s, is_command=is_command)

    def _room_in_s(self, device: str, now_s: float, *, is_command: bool) -> float:
        """Tell when the minute and the hour have room."""
        limiter = self._rate_limiter
        if limiter is None:
            return 0.0
        waits = [0.0]
        for most, window_s in (
            (limiter.per_minute, A_MINUTE_S),
            (limiter.per_hour, AN_HOUR_S),
        ):
            if most is not None:
                kept = (
                    0 if is_command else min(most - 1, math.ceil(most * _FOR_COMMANDS))
                )
                waits.append(self._sent.room_in_s(device, now_s, window_s, most - kept))
        return max(waits)

    def _drop(self, call: Call, retry_after_s: float) -> NoReturn:
        self._stats.dropped(call)
        message = (
            f"{call.method} {call.namespace} of {call.label or call.device} was not sent: too many "
            "messages through the cloud may have the account blocked"
        )
        raise CallDropped(message, retry_after_s=retry_after_s or None)
