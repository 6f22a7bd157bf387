"""How many messages may still go to devices through the cloud, so that nobody is banned.

    async with open_budget(path, environment=environment) as budget:
        await budget.spend(call, is_command=True, longest_wait_s=10)

A message waits until there is room for it, commands before polls, and is dropped where
that would take too long or too many wait already. What was sent outlasts the process: a
file says so before it is sent. The local network costs nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn

import anyio
import anyio.to_thread

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.private_file import replace_file
from structiot.errors import ProtocolViolation
from structiot.meross.errors import CallDropped
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.sent_messages import AN_HOUR_S, SentMessages
from structiot.meross.stats import Call, Stats

__all__ = ["Budget", "DeviceBudget", "open_budget"]

A_MINUTE_S: Final = 60.0
# The share of each minute and hour that polls leave to commands.
_FOR_COMMANDS: Final = 0.2
# How many messages to a device are announced to the file at once.
_AHEAD: Final = 10
_MAX_FILE_BYTES: Final = 16_777_216
# How long polls wait where tokens are used up; somebody waits for commands.
_BACKOFFS: Final = {
    "device": Backoff(first_s=0.5, cap_s=30.0),
    "global": Backoff(first_s=0.5, cap_s=10.0),
}
_COMMAND_BACKOFF: Final = Backoff(first_s=0.1, cap_s=2.0)

_log = logging.getLogger(__name__)


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
    """Lets messages to devices through, or not; made by `open_budget`.

    Args:
        path: The file that outlasts the process; None keeps it in memory.
        rate_limiter: See `Budget.rate_limiter`.
        stats: Is told of what had to wait and what was dropped.
        environment: Tells the time and draws waiting times.
    """

    def __init__(
        self,
        path: Path | None,
        rate_limiter: RateLimitChecker | None,
        stats: Stats,
        environment: Environment,
    ) -> None:
        self._path = path
        self._rate_limiter = rate_limiter
        self._stats = stats
        self._environment = environment
        self._sent = SentMessages()
        self._ahead: dict[str, int] = {}
        self._queues: dict[str, list[_Turn]] = {}
        self._writing = anyio.Lock()
        self._trouble = ""

    @property
    def rate_limiter(self) -> RateLimitChecker | None:
        """What limits messages; None lets all of them through, at your own risk.

        It may be replaced at any time, and those who wait are asked again.
        """
        return self._rate_limiter

    @rate_limiter.setter
    def rate_limiter(self, rate_limiter: RateLimitChecker | None) -> None:
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
        # What is on its way counts, whatever becomes of it.
        async with self._writing:
            left = self._ahead.get(call.device, 0)
            self._ahead[call.device] = left - 1 if left else _AHEAD
            if not left:
                await self._write()

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
                break
            may_wait = limiter is None or limiter.max_queue > 0
            if turn.is_dropped or again_s > left_s or left_s <= 0 or not may_wait:
                self._drop(call, again_s)
            has_waited = True
            await turn.wait(min(wait_s, left_s))
        self._sent.note(call.device, now_s)
        if has_waited:
            self._stats.delayed(call)

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
            f"{call.method} {call.namespace} of {call.device} was not sent: too many "
            "messages through the cloud may have the account blocked"
        )
        raise CallDropped(message, retry_after_s=retry_after_s or None)

    # ------------------------------------------------------------ the file

    async def read(self) -> None:
        """Read what was sent before this process began."""
        if self._path is None:
            return
        try:
            data = await anyio.to_thread.run_sync(_content_of, self._path)
            wall_s = self._environment.now_utc().timestamp()
            if data is not None:
                self._sent = SentMessages.read(data, anyio.current_time(), wall_s)
        except (OSError, ProtocolViolation) as exc:
            _log.warning(
                "%s cannot be read, so little is sent at first: %s", self._path, exc
            )
            self._sent.assume_the_worst(anyio.current_time())

    async def leave(self) -> None:
        """Write down what was sent, and that nothing more will be."""
        with anyio.CancelScope(shield=True):
            async with self._writing:
                if self._ahead:
                    self._ahead.clear()
                    await self._write()

    async def _write(self) -> None:
        """Write the file; a disk that is full is said once, and stops nobody."""
        if self._path is None:
            return
        wall_s = self._environment.now_utc().timestamp()
        data = self._sent.written(anyio.current_time(), wall_s, self._ahead)
        try:
            await anyio.to_thread.run_sync(replace_file, self._path, data)
        except OSError as exc:
            if self._trouble != str(exc):
                self._trouble = str(exc)
                _log.warning("what was sent cannot be kept for a restart: %s", exc)
        else:
            self._trouble = ""


@asynccontextmanager
async def open_budget(
    path: Path | None = None,
    *,
    rate_limiter: RateLimitChecker | None,
    stats: Stats | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Budget]:
    """Keep a budget for the length of the block.

    Args:
        path: A file in a folder that exists, which one program uses at a time; None
            keeps the budget in memory. One that cannot be read is taken to have said
            that nearly all was spent.
        rate_limiter: What limits messages; `RateLimitChecker()` is safe, None lets all
            of them through, at your own risk.
        stats: Is told of what had to wait and what was dropped.
        environment: Tells the time and draws waiting times.

    Yields:
        The budget.
    """
    budget = Budget(path, rate_limiter, stats or Stats(), environment)
    await budget.read()
    try:
        yield budget
    finally:
        await budget.leave()  # noqa: ASYNC102 - it shields itself


def _content_of(path: Path) -> bytes | None:
    """Read a file; None if there is none.

    Raises:
        OSError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > _MAX_FILE_BYTES:
        raise OSError("it is too large")
    return data
