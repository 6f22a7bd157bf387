"""A user's handler for each device: what it raises costs that device alone."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from anyio.abc import TaskGroup

from structiot._kit.rare_lines import RareLines
from structiot.errors import UsageError
from structiot.manager.client import ManagerClient
from structiot.manager.errors import ConnectionEnd
from structiot.manager.events import ClientConnected, ClientDisconnected, ManagerEvent

__all__ = ["Handler", "Handling"]

Handler: TypeAlias = Callable[[ManagerClient], Awaitable[object]]

_log = logging.getLogger("structiot.manager")


class Handling:
    """Is told what happens at a manager, and runs the handler of those that are there.

    Args:
        handler: Is called with each device that is connected to this node.
        wanted: Only of this type; None is any.
        tasks: Where handlers run.
    """

    def __init__(self, handler: Handler, wanted: str | None, tasks: TaskGroup) -> None:
        self.closed: anyio.Event = anyio.Event()
        self._handler = handler
        self._wanted = wanted
        self._tasks = tasks
        self._scopes: dict[ManagerClient, anyio.CancelScope] = {}
        self._failures = RareLines(_log, anyio.current_time, logging.ERROR)

    def tell(self, event: ManagerEvent, of_type: str | None) -> None:
        """Take an event of a device of a type."""
        match event:
            case ClientConnected(client=ManagerClient() as client):
                if self._wanted in {None, of_type}:
                    self.begin(client)
            case ClientDisconnected(client=ManagerClient() as client):
                if (scope := self._scopes.pop(client, None)) is not None:
                    scope.cancel()

    def begin(self, client: ManagerClient) -> None:
        """Run the handler for a device."""
        self._scopes[client] = scope = anyio.CancelScope()
        name = f"structiot.manager handler of {client.uuid}"
        self._tasks.start_soon(self._handle, client, scope, name=name)

    def close(self) -> None:
        """There is nothing more to be told."""
        self.closed.set()

    async def _handle(self, client: ManagerClient, scope: anyio.CancelScope) -> None:
        is_async = True
        try:
            with scope:
                done = self._handler(client)
                if is_async := isinstance(done, Awaitable):
                    await done
        except ConnectionEnd:
            # That is how a handler learns of it.
            pass
        except Exception as exc:  # noqa: BLE001 - a handler may raise anything
            self._failures.say("the handler of %s has failed", client.uuid, error=exc)
            # The device is told that much: what it was is nobody's business there.
            client.end_now("its handler has failed")
        finally:
            self._scopes.pop(client, None)
        if not is_async:
            raise UsageError(
                "handler is an async function: this one gives no awaitable"
            )
