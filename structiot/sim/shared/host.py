"""A simulated device or service on the network: plugged in, gone, somewhere else.

A simulator derives from `SimHost` and says in `start` which sockets it has:

    class PlugSim(SimHost[Faults]):
        async def start(self, sockets: Sockets) -> None:
            self.http_port = await sockets.listen(self.http_port, self._http.serve)

    async with PlugSim("10.0.0.7", Faults()) as plug:
        await plug.power_cut(60)

It is on the network from the beginning of the block to its end, but for the time that it
is unplugged: then its sockets and connections are closed and its tasks cancelled.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

import anyio
from anyio.abc import ByteStream, TaskGroup, TaskStatus

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.host_names import check_host
from structiot._kit.net.network import LOST, Network, UdpSocket, reason_of
from structiot.errors import TransportError, UsageError
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.fault_names import HOST_FAULTS, REQUEST_FAULTS, FaultNames
from structiot.sim.shared.faults import Faults

__all__ = ["SimHost", "Sockets"]

_log = logging.getLogger(__name__)

FaultsT = TypeVar("FaultsT", bound=Faults)


class Sockets:
    """What a simulator opens on the network, closed when it leaves; made by `SimHost`.

    Attributes:
        host: The address it has.
        tasks: For its tasks, which end before its sockets are closed.
    """

    def __init__(
        self, host: str, network: Network, stack: AsyncExitStack, tasks: TaskGroup
    ) -> None:
        self.host = host
        self.tasks = tasks
        self._network = network
        self._stack = stack

    async def listen(
        self, port: int, serve: Callable[[ByteStream], Coroutine[Any, Any, None]]
    ) -> int:
        """Serve each TCP connection in a task of its own; give the port that is bound.

        A peer that hangs up ends its connection, and so does anything else that
        `serve` raises, which is logged with where it came from; the others go on.
        When `serve` is over the connection is closed.

        Raises:
            ConnectFailed: The address or the port is taken.
        """
        listener = await self._stack.enter_async_context(
            self._network.listen_tcp(self.host, port)
        )

        async def serve_one(stream: ByteStream) -> None:
            await self._serve(serve, stream)

        self.tasks.start_soon(listener.serve, serve_one)
        return listener.address[1]

    async def _serve(
        self,
        serve: Callable[[ByteStream], Coroutine[Any, Any, None]],
        stream: ByteStream,
    ) -> None:
        try:
            await serve(stream)
        except (TransportError, *LOST) as exc:
            _log.info("%s: a client has gone: %s", self.host, reason_of(exc))
        # What one client brings about costs itself alone.
        except Exception as exc:  # noqa: BLE001
            if isinstance(exc, ExceptionGroup) and exc.split(LOST)[1] is None:
                _log.info("%s: a client has gone", self.host)
            else:
                _log.exception("%s: a client is cut off", self.host)
        finally:
            await anyio.aclose_forcefully(stream)

    async def open_udp(self, port: int) -> UdpSocket:
        """Bind a UDP socket.

        Raises:
            ConnectFailed: The address or the port is taken.
        """
        return await self._stack.enter_async_context(
            self._network.open_udp(self.host, port)
        )


class SimHost(anyio.AsyncContextManagerMixin, ABC, Generic[FaultsT]):
    """A simulated device or service; an `async with` puts it on the network.

    Args:
        host: Address it has.
        faults: What it gets wrong.
        clock: The clock it lives by; that of the environment by default.
        environment: Where its sockets are, and which time it is; the system's by default.

    Raises:
        UsageError: The host is none, or the environment is none.

    Attributes:
        host: Its address.
        faults: What it gets wrong.
        clock: The clock it lives by.
        environment: Where its sockets are.
        named_faults: What it can get wrong, by name.
    """

    named_faults: ClassVar[FaultNames] = FaultNames({**REQUEST_FAULTS, **HOST_FAULTS})

    def __init__(
        self,
        host: str,
        faults: FaultsT,
        *,
        clock: SimClock | None = None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        check_host("host", host, port_goes_to="an argument of its own")
        check_argument("environment", environment, Environment)
        self.host: str = host
        self.faults: FaultsT = faults
        self.clock: SimClock = clock or SimClock(environment.now_utc())
        self.environment: Environment = environment
        self._tasks: TaskGroup | None = None
        self._scope: anyio.CancelScope | None = None
        self._is_started = False
        self._is_off = anyio.Event()
        self._outage = anyio.Lock()

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with service_group() as self._tasks:
                await self.plug_in()
                yield self
        finally:
            self._tasks = None

    @abstractmethod
    async def start(self, sockets: Sockets) -> None:
        """Open the sockets and start the tasks; called whenever it is plugged in.

        Ports that were taken freely are to be remembered, so that it comes back there.
        """

    def set_mains(self, *, is_on: bool) -> None:
        """Be without mains, or have it again; called while it is off the network."""

    def lose_clock(self) -> None:
        """Set its own clock as of a device whose clock does without a battery."""

    @property
    def label(self) -> str:
        """What it is called in messages, and its task in a debugger."""
        return f"{type(self).__name__} {self.host}"

    @property
    def is_plugged_in(self) -> bool:
        """Whether it is on the network."""
        return self._is_started

    async def unplug(self) -> None:
        """Take it off the network; returns when its sockets are closed."""
        if self._scope is not None:
            self._scope.cancel()
            self._is_started = False
            await self._is_off.wait()

    async def plug_in(self, host: str | None = None) -> None:
        """Put it back on the network, at its old ports and at this address.

        Raises:
            ConnectFailed: The address or a port is taken.
            UsageError: It is plugged in, or its block has not begun.
        """
        if self._scope is not None or self._tasks is None:
            is_not = "is not open" if self._tasks is None else "is plugged in"
            raise UsageError(f"{self.label} {is_not}")
        self.host = self.host if host is None else host
        await self._tasks.start(self._run, name=f"structiot.sim {self.label}")

    async def move(self, host: str) -> None:
        """Be at another address from now on, at the same ports.

        Raises:
            ConnectFailed: The address or a port is taken.
        """
        async with self._outage:
            await self.unplug()
            await self.plug_in(host)

    async def reboot(self, down_s: float = 3.0) -> None:
        """Be off the network for a while, with everything plugged in as it was.

        Outages take turns: one that is called for during another follows it.
        """
        async with self._outage:
            await self.unplug()
            await anyio.sleep(down_s)
            await self.plug_in()

    async def power_cut(self, down_s: float, *, loses_clock: bool = True) -> None:
        """Be without mains for a while: neither there nor drawing anything.

        Every relay is then as it was. A clock without a battery is not.
        """
        async with self._outage:
            await self.unplug()
            self.set_mains(is_on=False)
            await anyio.sleep(down_s)
            self.set_mains(is_on=True)
            if loses_clock:
                self.lose_clock()
            await self.plug_in()

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        self._is_off = anyio.Event()
        try:
            with anyio.CancelScope() as self._scope:
                async with AsyncExitStack() as stack, service_group() as tasks:
                    network = self.environment.network
                    await self.start(Sockets(self.host, network, stack, tasks))
                    self._is_started = True
                    task_status.started()
                    await anyio.sleep_forever()
        finally:
            self._scope, self._is_started = None, False
            self._is_off.set()
