"""One connection: a reader, a writer and a timer, and the reason why they ended."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVarTuple, Unpack

import anyio
from anyio.abc import ByteStream, TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.native_loop import clock
from structiot._kit.net.network import LOST
from structiot._kit.net.sockets import Filling, SocketStream, receive_filling
from structiot._kit.text import printable
from structiot.errors import (
    AuthRefused,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.mqtt.link.ledger import Ledger
from structiot.mqtt.link.writing import LAST_WORDS_S, Writer
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.protocol import ClientProtocol, Event

__all__ = ["Connection"]

Arguments = TypeVarTuple("Arguments")

READ_BYTES = 524_288
# As much is read where a long message may begin: the rest is received where it stays.
FEW_BYTES = 16_384
# How the answer of a web server begins.
HTTP = b"HTTP/"
# Others run after so many packets at the latest; what was read counts as some, for there
# are streams that give a byte at a time without waiting.
TURN_PACKETS = 5_000
READ_PACKETS = 20
# A peer that takes none of the answers to so many packets, and there is so much for it,
# is not listened to until it does.
UNANSWERED_PACKETS = 250_000
UNWRITTEN_BYTES = 1_048_576

_log = logging.getLogger(__name__)


class Connection:
    """Moves bytes between a stream and the protocol until something ends it.

    Attributes:
        error: Why it ended.
        writer: Takes what is to be written.
    """

    def __init__(
        self,
        stream: ByteStream,
        protocol: ClientProtocol,
        *,
        peer: str,
        on_events: Callable[[list[Event], int], list[Event]],
        on_others: Callable[[list[Event]], None],
        drop: Callable[[StructiotError], None],
        ledger: Ledger,
        save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.error: StructiotError | None = None
        self._stream = stream
        self._socket = stream if isinstance(stream, SocketStream) else None
        self._filling = stream if isinstance(stream, Filling) else None
        self._protocol = protocol
        self._peer = peer
        self._on_events = on_events
        self._on_others = on_others
        self._drop = drop
        self._ledger = ledger
        self._save = save
        self._opened = anyio.Event()
        self._now = clock()
        self.writer: Writer = Writer(
            stream,
            protocol,
            on_lost=lambda exc: self.end(self._lost(exc)),
            on_unsaved=self.end,
            save=save,
        )
        # What has come that needs a task.
        self._others: list[Event] = []
        self._first_bytes = b""
        # Packets that have come since others could run.
        self._turn = 0
        self._held_up_by: Ack | None = None
        self._has_warned = False
        self._tasks: TaskGroup | None = None

    async def run(self, *, connack_by: float, connect_s: float) -> None:
        """Serve the connection until `end` has it dropped, and close the stream."""
        try:
            async with service_group() as tg:
                self._tasks = tg
                tg.start_soon(self.writer.run)
                if self._save is not None:
                    tg.start_soon(self.writer.run_flows, self._save)
                tg.start_soon(self._keep_alive, connack_by, connect_s)
                await self._read()
        finally:
            self.writer.close()
            await anyio.aclose_forcefully(self._stream)

    def start(
        self,
        function: Callable[[Unpack[Arguments]], Coroutine[Any, Any, None]],
        *arguments: *Arguments,
    ) -> None:
        """Have something done that ends with the connection."""
        if self._tasks is not None:
            self._tasks.start_soon(function, *arguments)

    def end(self, error: StructiotError) -> None:
        """End the connection; the first reason counts."""
        if self.error is None:
            self.error = error
        self.writer.is_ended = True
        self._protocol.close()
        self._drop(error)

    def opened(self) -> None:
        """The broker has accepted us; the keep-alive begins."""
        self._opened.set()

    async def _read(self) -> None:
        protocol = self._protocol
        while True:
            try:
                await self._receive()
            except LOST as exc:
                self.end(self._lost(exc))
                return
            while not self._is_calm:
                others, self._others = self._others, []
                if others:
                    self._on_others(others)
                    self.writer.is_held = False
                    self.writer.wake()
                if protocol.violation is not None:
                    # The broker gets to know why, if it listens at all.
                    with anyio.move_on_after(LAST_WORDS_S):
                        await self.writer.flush()
                    self.end(self._violated(protocol.violation))
                    return
                if self._turn >= TURN_PACKETS or self._ledger.is_full:
                    await self._let_others()
                if not protocol.has_more:
                    break
                self._take(b"", 0)

    async def _receive(self) -> None:
        """Receive until something has come that is to be dealt with here."""
        decoder = self._protocol.input.decoder
        if decoder.long is not None and self._filling is not None:
            size = await receive_filling(self._filling, decoder)
            self._turn += READ_PACKETS
            self._take(b"", size)
            return
        most = FEW_BYTES if decoder.expects_long else READ_BYTES
        if self._socket is not None:
            await self._socket.hand_to(self._take_more, most)
        else:
            self._take_more(await self._stream.receive(most))

    def _take_more(self, data: bytes) -> bool:
        """Deal with what came; False if there is something left to do in a task."""
        if len(self._first_bytes) < len(HTTP):
            self._first_bytes += data[: len(HTTP)]
        self._turn += READ_PACKETS
        self._take(data, len(data))
        return self._is_calm

    @property
    def _is_calm(self) -> bool:
        """Whether there is nothing to do but to receive more, in the same way."""
        protocol = self._protocol
        decoder = protocol.input.decoder
        return not (
            self._others
            or protocol.violation
            or decoder.has_rest
            or decoder.expects_long
            or decoder.long
            or self._turn >= TURN_PACKETS
            or self._ledger.is_full
        )

    def _take(self, data: bytes, size: int) -> None:
        protocol = self._protocol
        self._others = self._on_events(protocol.receive(data, self._now()), size)
        # Subscriptions that follow a CONNACK go before the messages that have waited.
        self.writer.is_held = bool(self._others)
        self.writer.may_answer = True
        if protocol.out or protocol.flow_out:
            self.writer.wake()
        self._turn += protocol.input.work
        self.writer.unanswered += protocol.input.count

    async def _let_others(self) -> None:
        """Let others run, or wait for them: subscribers, or a peer that does not read."""
        self._turn = 0
        await anyio.lowlevel.checkpoint()
        if self._ledger.is_full:
            await self._ledger.room()
        if (
            self.writer.unanswered >= UNANSWERED_PACKETS
            and self._protocol.out.size >= UNWRITTEN_BYTES
        ):
            await self.writer.drain()

    async def _keep_alive(self, connack_by: float, connect_s: float) -> None:
        protocol = self._protocol
        with anyio.CancelScope(deadline=connack_by):
            await self._opened.wait()
        if not self._opened.is_set():
            message = f"{self._peer} accepted the connection and sent no CONNACK"
            self.end(
                ReplyTimeout(
                    f"{message} within {connect_s:g} s",
                    request="CONNECT",
                    after_s=connect_s,
                )
            )
            return
        while (deadline := protocol.next_deadline()) is not None:
            # An answer to a ping brings the next one forward.
            patience_s = protocol.keep_alive.after_s or protocol.keep_alive.reply_s
            await anyio.sleep_until(min(deadline, anyio.current_time() + patience_s))
            if not protocol.tick(anyio.current_time()):
                message = f"{self._peer} did not answer a ping for {protocol.keep_alive.reply_s:g} s"
                self.end(LinkLost(message, reason="no PINGRESP"))
                return
            self._look_for_a_jam()
            self.writer.wake()

    def _look_for_a_jam(self) -> None:
        """Say so, once, when a message that nobody takes holds up the others."""
        before, first = self._held_up_by, self._protocol.incoming.holding_up
        self._held_up_by = first
        if first is not None and first is before and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "%s: a message on '%s' waits to be taken, and with it the acknowledgements "
                "of those that came later; the broker may send no more",
                self._peer,
                "" if first.message is None else printable(first.message.topic),
            )

    def _violated(self, violation: ProtocolViolation) -> ProtocolViolation:
        # Who begins with a CONNACK speaks it, however that was cut.
        if self._first_bytes.startswith(b"\x20"):
            text = f"{self._peer} broke the protocol: {violation}"
        else:
            is_web = self._first_bytes.startswith(HTTP)
            who = "an HTTP server" if is_web else "something else"
            text = f"{self._peer} does not speak MQTT, {who} answers: {violation}"
        error = ProtocolViolation(
            text, data=violation.data, offset=violation.offset, code=violation.code
        )
        error.__cause__ = violation
        return error

    def _lost(self, exc: BaseException) -> StructiotError:
        cause = exc.__cause__
        if isinstance(cause, AuthRefused):
            return AuthRefused(f"{self._peer}: {cause}")
        if isinstance(cause, StructiotError):
            # A transport with a protocol of its own knows better.
            reason = str(cause)
        elif isinstance(exc, anyio.EndOfStream):
            reason = "closed by the broker"
        else:
            reason = "connection reset"
        message = f"connection to {self._peer} lost: {reason}"
        if not self._opened.is_set():
            message += ", before any answer; look at the port, and who wants TLS there"
        error = LinkLost(message, reason=reason, since_s=anyio.current_time())
        error.__cause__ = exc
        return error
