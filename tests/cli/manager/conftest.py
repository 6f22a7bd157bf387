"""Two managers and the broker between them in a thread, and the program that is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from structiot.manager import Manager, open_backplane, open_manager
from structiot.mqtt.broker import open_broker
from structiot.sim import DialInFleet, sim_devices

Call: TypeAlias = Callable[..., str]


class House:
    """Managers on real sockets, living in another thread."""

    def __init__(self, portal: BlockingPortal, stack: ExitStack) -> None:
        self._portal = portal
        self._stack = stack
        self.uri: str = self._open(open_broker("mqtt://127.0.0.1:0")).uri
        self.managers: list[Manager] = []

    def serve(self, node: str, **options: Any) -> Manager:
        """Add a manager."""
        client = self._open(open_backplane(self.uri, node=node))
        manager: Manager = self._open(open_manager(port=0, backplane=client, **options))
        self.managers.append(manager)
        return manager

    def dial_in(self, manager: Manager, count: int = 1, **options: Any) -> DialInFleet:
        """Have devices dial in, and wait until they have."""
        fleet: DialInFleet = self._open(
            sim_devices(count, port=manager.port, **options)
        )
        self._portal.call(self._connected, manager, {one.uuid for one in fleet})
        return fleet

    async def _connected(self, manager: Manager, uuids: set[str]) -> None:
        async with manager.events() as events:
            while not uuids <= manager.clients.keys():
                await anext(events)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so in the other thread."""

        async def wait() -> None:
            with anyio.fail_after(15):
                while not condition():  # noqa: ASYNC110 - nothing tells of it
                    await anyio.sleep(0.01)

        self._portal.call(wait)

    def _open(self, manager: Any) -> Any:
        return self._stack.enter_context(
            self._portal.wrap_async_context_manager(manager)
        )


@pytest.fixture(autouse=True)
def no_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program know of no broker but ours."""
    monkeypatch.delenv("STRUCTIOT_MANAGER_URI", raising=False)


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        yield House(portal, stack)


@pytest.fixture
def call(call_of: Callable[[str], Call]) -> Call:
    return call_of("manager")
