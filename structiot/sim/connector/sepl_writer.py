"""What goes out on one connection to the SEPL platform, right or as a fault will have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, final

import anyio
from anyio.abc import TaskGroup

from structiot._kit.net.network import LOST, reason_of
from structiot._kit.websocket import WebSocket
from structiot.errors import LinkLost
from structiot.sim.connector.sepl_faults import SeplFaults
from structiot.sim.connector.sepl_frames import TEXT, frame, json_bytes
from structiot.sim.connector.sepl_wire import SeplWire
from structiot.sim.shared.faults import Fault, FaultKind, framed

__all__ = ["SeplWriter"]

_WRITE_LIMIT_S: Final = 40.0
_PIECES: Final = 20
_HONEST: Final = {None, FaultKind.REFUSE, FaultKind.DELAY}


@final
class SeplWriter:
    """Writes to one client; any task may.

    Args:
        wire: What is below the websocket.
        websocket: Itself.
        faults: What the platform gets wrong.
        tasks: For what is to come late; it ends with the connection.
    """

    def __init__(
        self,
        wire: SeplWire,
        websocket: WebSocket,
        faults: SeplFaults,
        tasks: TaskGroup,
    ) -> None:
        self._wire = wire
        self._websocket = websocket
        self._faults = faults
        self._tasks = tasks
        # In the middle of a frame there would be no close.
        self._turn = anyio.Lock()

    async def say(self, fault: Fault | None, message: Mapping[str, Any]) -> None:
        """Send a message as this fault will have it.

        Raises:
            LinkLost: The client is gone, takes nothing, or is hung up on.
        """
        kind = None if fault is None else fault.kind
        if kind is FaultKind.LOSE_REPLY:
            return
        if kind is FaultKind.HANG_UP:
            await self.hang_up()
        content = json_bytes(message)
        if delay_s := self._faults.delay_for(fault):
            self._tasks.start_soon(self._say_late, delay_s, fault, content)
        else:
            await self._say_now(fault, content)

    async def _say_late(
        self, delay_s: float, fault: Fault | None, content: bytes
    ) -> None:
        await anyio.sleep(delay_s)
        await self._say_now(fault, content)

    async def _say_now(self, fault: Fault | None, content: bytes) -> None:
        kind = None if fault is None else fault.kind
        if fault is None or kind in _HONEST:
            await self.write(content.decode())
            return
        data = framed(fault, content, lambda content: frame(TEXT, content))
        if kind is FaultKind.DUPLICATE:
            data *= 2
        if kind is FaultKind.TRICKLE:
            size = len(data) // _PIECES + 1
            for start in range(0, len(data), size):
                await self.write(data[start : start + size])
                await anyio.sleep(fault.delay_s / _PIECES)
            return
        await self.write(data)
        if kind is FaultKind.CUT:
            await self.hang_up()

    async def write(self, data: str | bytes) -> None:
        """Send a text, or bytes as they are below the websocket.

        Raises:
            LinkLost: The client is gone, or takes nothing.
        """
        # Who stands still runs out of no patience.
        await self._wire.thawed()
        with anyio.move_on_after(_WRITE_LIMIT_S) as patience:
            if isinstance(data, str):
                async with self._turn:
                    await self._websocket.send(data)
                return
            try:
                await self._wire.send(data)
            except LOST as exc:
                raise LinkLost(f"a client is gone: {reason_of(exc)}") from exc
        if patience.cancelled_caught:
            await self._wire.break_off()
            raise LinkLost(f"a client has taken nothing for {_WRITE_LIMIT_S:g} s")

    async def ping(self) -> None:
        """Send a ping.

        Raises:
            LinkLost: The client is gone.
        """
        async with self._turn:
            await self._websocket.ping()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the websocket in good order, and the connection with it."""
        async with self._turn:
            await self._websocket.aclose(code, reason)

    async def hang_up(self) -> NoReturn:
        """Break the connection off.

        Raises:
            LinkLost: In any case.
        """
        await self._wire.break_off()
        raise LinkLost("the platform breaks it off")
