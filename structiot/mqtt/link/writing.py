"""What one connection writes: from the loop's own turn where it can, else by a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from structiot._kit.native_loop import clock, native_loop
from structiot._kit.net.network import LOST
from structiot._kit.net.pieces import send_pieces
from structiot._kit.net.record_stream import prompt
from structiot._kit.out_buffer import OutBuffer
from structiot.errors import StructiotError
from structiot.mqtt.wire.protocol import OPEN, ClientProtocol

__all__ = ["HIGH_WATER_BYTES", "LARGE_HIGH_WATER_BYTES", "Writer", "is_much"]

# So long is waited for what the peer may have said before the connection was lost.
LAST_WORDS_S = 1.0
# Publishers of QoS 0 wait while this much is to be written.
HIGH_WATER_BYTES = 65_536
# The same of what is not copied: it costs a turn of the loop each time.
LARGE_HIGH_WATER_BYTES = 524_288


def is_much(out: OutBuffer) -> bool:
    """Whether so much is to be written that publishers of QoS 0 wait."""
    return len(out) >= HIGH_WATER_BYTES or out.large_bytes >= LARGE_HIGH_WATER_BYTES


class Writer:
    """Empties what the protocol has written into the stream of one connection.

    To a socket it is written when those have run who are ready, by the loop itself where
    that calls back. A task does it to other streams, and when the kernel takes no more.

    Args:
        stream: Where it goes.
        protocol: Has it.
        on_lost: Is called when the stream takes no more, with what it raised.
        on_unsaved: Is called when `save` has failed.
        save: Makes safe what flows depend on; None: they depend on nothing.

    Attributes:
        may_answer: Something has come since anything was written because of it.
        unanswered: Packets that have come since something was taken to be written.
        is_ended: Whether there is a reason to end the connection.
        is_held: Something is to be written before all that stands there: it waits.
    """

    def __init__(
        self,
        stream: ByteStream,
        protocol: ClientProtocol,
        *,
        on_lost: Callable[[BaseException], None],
        on_unsaved: Callable[[StructiotError], None],
        save: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self.may_answer: bool = False
        self.unanswered: int = 0
        self.is_ended: bool = False
        self.is_held: bool = False
        self._stream = stream
        self._socket = prompt(stream)
        self._protocol = protocol
        self._on_lost = on_lost
        self._on_unsaved = on_unsaved
        self._save = save
        self._wakeup: anyio.Event | None = None
        self._flows_wakeup: anyio.Event | None = None
        self._drained: anyio.Event | None = None
        self._idle: anyio.Event | None = None
        self._now = clock()
        loop = native_loop() if self._socket is not None else None
        self._call_soon = None if loop is None else loop.call_soon
        self._is_due = False
        self._is_over = False

    def close(self) -> None:
        """The connection is over: nobody waits for the writer any more."""
        self._is_over = True
        self._release()

    def wake(self) -> None:
        """There is something to write."""
        if self._wakeup is None:
            return
        if self._call_soon is None:
            self._wake_writer()
        elif not self._is_due:
            self._is_due = True
            self._call_soon(self._write_due)

    def _wake_writer(self) -> None:
        wakeup = self._wakeup
        if wakeup is not None and not self.is_held:
            self._wakeup = None
            wakeup.set()

    def _write_due(self) -> None:
        self._is_due = False
        if not self._is_over:
            self.write_now()

    def write_now(self) -> None:
        """Write what the kernel takes at once, if the writer waits: it need not wake up."""
        if self.is_held:
            return
        socket, protocol = self._socket, self._protocol
        out = protocol.out
        if socket is None or self._wakeup is None or protocol.flow_out is not out:
            self._wake_writer()
            return
        try:
            if out.large_bytes:
                out.drop(socket.send_some_now(out.pieces()))
            elif out:
                del out[: socket.send_now(out)]
            else:
                return
        except LOST:
            pass  # the writer finds it, too, and says why
        else:
            protocol.keep_alive.last_sent_at = self._now()
            self.unanswered = 0
        if out or out.large_bytes or socket.is_behind:
            self._wake_writer()
        else:
            # Who has begun to wait while it was held has woken nobody.
            self._release()

    def answer(self) -> None:
        """There is something to write, and if it answers what came, it is urgent."""
        # Who has more under way goes on with more, which is better written together.
        if self.may_answer and self._protocol.outgoing.on_wire <= 1:
            self.may_answer = False
            self.write_now()
        else:
            self.wake()

    def settled(self) -> None:
        """There are acknowledgements to write, of all deliveries or of the first."""
        if self._call_soon is not None or len(self._protocol.incoming):
            # What its taker says next may go with it.
            self.wake()
        else:
            self.write_now()

    async def drain(self) -> None:
        """Wait until what is to be written has been taken by the writer."""
        if self._is_over:
            await anyio.lowlevel.checkpoint()
            return
        self._wake_writer()
        if self._drained is None:
            self._drained = anyio.Event()
        await self._drained.wait()

    async def flush(self) -> None:
        """Wait until everything has been handed to the stream, or the connection ends."""
        while self._has_to_write:
            if self._is_over or self.is_ended:
                return
            self._wake_writer()
            if self._idle is None:
                self._idle = anyio.Event()
            await self._idle.wait()

    @property
    def _has_to_write(self) -> bool:
        protocol = self._protocol
        is_saving = self._save is not None and self._flows_wakeup is None
        return bool(
            protocol.out.size or self._wakeup is None or protocol.flow_out or is_saving
        )

    def _release(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        if self._idle is not None and (self._is_over or not self._has_to_write):
            self._idle.set()
            self._idle = None

    async def run(self) -> None:
        """Write what waits for a task, until the stream takes no more."""
        protocol, socket = self._protocol, self._socket
        out = protocol.out
        send = self._stream.send
        while True:
            if self._flows_wakeup is not None and protocol.flow_out:
                self._flows_wakeup.set()
                self._flows_wakeup = None
            is_empty = not (out or out.large_bytes or (socket and socket.is_behind))
            # Held, it may have been about to go on with more.
            if self.is_held or is_empty:
                self._wakeup = wakeup = anyio.Event()
                self._release()
                await wakeup.wait()
                continue
            if out.large_bytes:
                pieces = out.take()
                data = b""
            else:
                pieces = None
                data = bytes(out)
                out.clear()
            self.unanswered = 0
            if self._drained is not None:
                self._drained.set()
                self._drained = None
            protocol.keep_alive.last_sent_at = self._now()
            try:
                if pieces is None:
                    await send(data)
                else:
                    await send_pieces(self._stream, pieces)
            except LOST as exc:
                # The reader may find why: an alert or a DISCONNECT that came before.
                await anyio.sleep(LAST_WORDS_S)
                self._on_lost(exc)
                return

    async def run_flows(self, save: Callable[[], Awaitable[None]]) -> None:
        """Let flows follow what they depend on: first the store, then the peer."""
        protocol = self._protocol
        waiting = protocol.flow_out
        while True:
            if not waiting:
                self._flows_wakeup = wakeup = anyio.Event()
                self._release()
                await wakeup.wait()
                continue
            data = bytes(waiting)
            waiting.clear()
            try:
                await save()
            except StructiotError as exc:
                self._on_unsaved(exc)
                return
            if protocol.state is OPEN:
                protocol.out += data
                self.wake()
