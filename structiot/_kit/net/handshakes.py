"""TLS handshakes of clients that dial in: one step at a time, the addresses in turn.

A signature takes milliseconds of a processor. Where hundreds of clients say hello at the
same moment, everybody else has a turn between two of them; and who says nothing, or says
it slowly, holds up nobody.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple

import anyio.lowlevel
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from structiot._kit.flow.fair_queue import FairQueue
from structiot._kit.net.network import LOST
from structiot._kit.net.record_stream import RecordStream

__all__ = ["Handshakes"]

P = TypeVarTuple("P")
T = TypeVar("T")


class Handshakes:
    """The handshakes of one server."""

    def __init__(self) -> None:
        self._waiting = FairQueue()
        self._is_busy = False

    async def wrap(
        self, stream: ByteStream, context: ssl.SSLContext, network: str
    ) -> TLSStream:
        """Make a client's TLS stream, when its address has its turn."""
        steps = _Steps(stream, self, network)
        try:
            tls = await _ServerStream.wrap(
                steps, server_side=True, ssl_context=context, standard_compatible=False
            )
        finally:
            steps.end()
        # From now on it takes no turns.
        tls.transport_stream = stream
        return tls

    async def begin(self, network: str) -> None:
        """Wait for a turn."""
        if not self._is_busy:
            self._is_busy = True
            return
        turn = self._waiting.add(network)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.end()
            else:
                self._waiting.remove(network, turn)
            raise

    def end(self) -> None:
        """A turn is over."""
        self._is_busy = self._waiting.pass_on()


class _ServerStream(RecordStream):
    """Sends the alert that says why a handshake has failed; anyio's own keeps it."""

    async def _call_sslobject_method(self, func: Callable[[*P], T], *args: *P) -> T:
        try:
            return await super()._call_sslobject_method(func, *args)
        except ssl.SSLError:
            with suppress(*LOST):
                # Who is cancelled meanwhile needs no reason.
                await self._flush_write_bio()  # noqa: ASYNC120
            raise


class _Steps(ByteStream):
    """A stream below TLS: what it has received is worked at in turn."""

    def __init__(self, stream: ByteStream, turns: Handshakes, network: str) -> None:
        self._stream = stream
        self._turns = turns
        self._network = network
        self._has_turn = False

    def end(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.end()

    async def _pause(self) -> None:
        if self._has_turn:
            # It took long, perhaps: everybody else first.
            await anyio.lowlevel.checkpoint()
            self.end()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await self._pause()
        data = await self._stream.receive(max_bytes)
        await self._turns.begin(self._network)
        self._has_turn = True
        return data

    async def send(self, item: bytes) -> None:
        await self._pause()
        await self._stream.send(item)

    async def send_eof(self) -> None:
        self.end()
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.end()
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes
