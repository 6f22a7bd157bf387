"""A user's handler for commands: those of one device in turn, many devices at once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from structiot._kit.rare_lines import RareLines
from structiot.connector.command import Command
from structiot.errors import UsageError

__all__ = ["CommandHandler", "Serving"]

CommandHandler: TypeAlias = Callable[[Command], Awaitable[object]]

# What is held beside the commands that wait in the connector's queue.
_TAKEN: Final = 256
_TAKEN_BYTES: Final = 16_777_216

_log: Final = logging.getLogger("structiot.connector")


class Serving:
    """Runs a handler for commands.

    Args:
        handler: Is called with each command.
        limit: How many are handled at once.
        tasks: Where.
    """

    def __init__(self, handler: CommandHandler, limit: int, tasks: TaskGroup) -> None:
        self._handler = handler
        self._tasks = tasks
        self._places = anyio.Semaphore(limit)
        self._queues: dict[str, deque[Command]] = {}
        self._taken = self._taken_bytes = 0
        self._has_room = anyio.Event()
        self._failures = RareLines(_log, anyio.current_time, logging.ERROR)

    async def take(self, command: Command) -> None:
        """Handle a command when it is its turn; waits while too many do."""
        queue = self._queues.get(command.device_id)
        self._taken += 1
        self._taken_bytes += command.size_bytes
        if queue is not None:
            queue.append(command)
        else:
            self._queues[command.device_id] = deque([command])
            self._tasks.start_soon(self._handle_all_of, command.device_id)
        while self._taken >= _TAKEN or self._taken_bytes >= _TAKEN_BYTES:
            self._has_room = anyio.Event()
            await self._has_room.wait()

    async def _handle_all_of(self, device_id: str) -> None:
        queue = self._queues[device_id]
        while queue:
            async with self._places:
                command = queue.popleft()
                self._taken -= 1
                self._taken_bytes -= command.size_bytes
                self._has_room.set()
                await self._handle(command)
        del self._queues[device_id]

    async def _handle(self, command: Command) -> None:
        is_async = True
        try:
            async with command:
                done = self._handler(command)
                if is_async := isinstance(done, Awaitable):
                    await done
        except Exception as exc:  # noqa: BLE001 - a handler may raise anything
            self._failures.say("the handler of %r has failed", command, error=exc)
        if not is_async:
            raise UsageError(
                "handler is an async function: this one gives no awaitable"
            )
