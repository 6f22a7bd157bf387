"""The broker's shell around one client: a reader, and a writer while there is need.

An idle client costs one task. What the broker writes collects in `protocol.out`; the
first byte starts a writer, which ends when everything is written.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ByteStream, TaskGroup

from structiot._kit.network import LOST
from structiot.mqtt.broker.core import Broker
from structiot.mqtt.broker.handle import Handle
from structiot.mqtt.wire.messages import Connect
from structiot.mqtt.wire.serving import ServerProtocol, ServerState

__all__ = ["ClientConnection"]

READ_BYTES = 65_536
LAST_WORDS_S = 1.0
# How long a publisher waits for slow subscribers before they begin to lose QoS 0.
CROWD_PATIENCE_S = 0.2

_log = logging.getLogger(__name__)


class ClientConnection:
    """One client's stream and its place in the broker."""

    __slots__ = (
        "_admit",
        "_broker",
        "_is_ending",
        "_is_writing",
        "_scope",
        "_stream",
        "_tasks",
        "_write_scope",
        "_written",
        "handle",
        "protocol",
    )

    def __init__(
        self,
        stream: ByteStream,
        broker: Broker,
        *,
        peer: str,
        is_local: bool,
        tasks: TaskGroup,
        admit: Callable[[Handle, Connect], Awaitable[None]],
    ) -> None:
        limits = broker.limits
        self.protocol = ServerProtocol(
            max_packet_bytes=limits.packet_bytes,
            topic_alias_maximum=limits.topic_alias_maximum,
        )
        self.handle = Handle(
            self.protocol, peer=peer, is_local=is_local, wake=self._wake, end=self._end
        )
        self._stream = stream
        self._broker = broker
        self._tasks = tasks
        self._admit = admit
        self._scope = anyio.CancelScope()
        self._write_scope: anyio.CancelScope | None = None
        self._written: anyio.Event | None = None
        self._is_writing = False
        self._is_ending = False

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        self._scope.deadline = anyio.current_time() + self._broker.limits.connect_s
        try:
            with self._scope:
                await self._read()
                await self._last_words()
        finally:
            self._broker.left(self.handle, anyio.current_time())
            self._broker.crowded.discard(self.handle)
            if self._write_scope is not None:
                self._write_scope.cancel()
            await anyio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        protocol, broker, handle = self.protocol, self._broker, self.handle
        while True:
            try:
                data = await self._stream.receive(READ_BYTES)
            except LOST:
                return
            now = anyio.current_time()
            for packet in protocol.receive(data, now):
                if isinstance(packet, Connect):
                    await self._admit(handle, packet)
                    if protocol.state is not ServerState.OPEN:
                        return
                    self._scope.deadline = float("inf")
                else:
                    broker.take(handle, packet, now)
            if protocol.violation is not None:
                _log.info("%s broke the protocol: %s", handle.peer, protocol.violation)
                return
            if protocol.out:
                self._wake()
            if protocol.state is ServerState.CLOSING:
                return
            if broker.crowded:
                await self._wait_for_the_crowd()

    async def _wait_for_the_crowd(self) -> None:
        waited_until = anyio.current_time() + CROWD_PATIENCE_S
        crowded = self._broker.crowded
        while crowded and anyio.current_time() < waited_until:
            patient = [one for one in crowded if one.stalled_since is not None]
            if not patient:
                return
            await anyio.sleep(0.001)

    async def _last_words(self) -> None:
        self._wake()
        if self._is_writing:
            self._written = anyio.Event()
            with anyio.move_on_after(LAST_WORDS_S):
                await self._written.wait()

    def _wake(self) -> None:
        if not self._is_writing and self.protocol.out:
            self._is_writing = True
            self._tasks.start_soon(self._write)

    def _end(self) -> None:
        """Write what is to be written, then close; bounded."""
        if self._is_ending:
            return
        self._is_ending = True
        self._wake()
        if self._is_writing:
            deadline = anyio.current_time() + LAST_WORDS_S
            self._scope.deadline = min(self._scope.deadline, deadline)
        else:
            self._scope.cancel()

    async def _write(self) -> None:
        handle, out = self.handle, self.protocol.out
        try:
            with anyio.CancelScope() as self._write_scope:
                while out:
                    data = bytes(out)
                    out.clear()
                    handle.stalled_since = anyio.current_time()
                    await self._stream.send(data)
                    self._broker.crowded.discard(handle)
                handle.stalled_since = None
        except LOST:
            self._scope.cancel()
        finally:
            self._is_writing = False
            self._write_scope = None
            if self._written is not None:
                self._written.set()
            elif self._is_ending:
                self._scope.cancel()
