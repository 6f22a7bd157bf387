"""Pings on request: who waits for a sign of life is told, or told that it will not come."""

from __future__ import annotations

from copy import copy

import anyio

from structiot.errors import LinkLost, StructiotError
from structiot.mqtt.link.connection import Connection
from structiot.mqtt.link.receipts import finished
from structiot.mqtt.wire.flows.outbound import Flow
from structiot.mqtt.wire.keep_alive import KeepAlive
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["Pings", "finished_within"]


async def finished_within(patience_s: float, flow: Flow, keep_alive: KeepAlive) -> bool:
    """Wait for what the peer is to answer; time in which we do not read does not count.

    Returns:
        Whether there was an end.
    """
    pauses = -1
    while not flow.is_done and (keep_alive.is_paused or pauses != keep_alive.pauses):
        pauses = keep_alive.pauses
        with anyio.move_on_after(patience_s):
            await finished(flow)
    return flow.is_done


class Pings:
    """Everybody who waits shares the answer to one PINGREQ."""

    def __init__(self, protocol: ClientProtocol, peer: str) -> None:
        self._protocol = protocol
        self._peer = peer
        self._answer = _answer()

    async def ask(self, connection: Connection) -> None:
        """Ping and wait; a peer that does not answer in time has lost the connection.

        Raises:
            LinkLost: The connection ended, by itself or for want of an answer.
        """
        answer = self._answer
        self._protocol.ping(anyio.current_time())
        connection.writer.wake()
        keep_alive = self._protocol.keep_alive
        patience_s = keep_alive.reply_s
        if not await finished_within(patience_s, answer, keep_alive):
            message = f"{self._peer} did not answer a ping for {patience_s:g} s"
            answer.error = LinkLost(message, reason="no PINGRESP")
            connection.end(answer.error)
        if answer.error is not None:
            raise copy(answer.error)

    def answered(self) -> None:
        """The PINGRESP is there."""
        self._end(None)

    def connection_lost(self) -> None:
        """It will not come."""
        self._end(LinkLost(f"connection to {self._peer} lost during a ping"))

    def _end(self, error: StructiotError | None) -> None:
        answer, self._answer = self._answer, _answer()
        answer.finish(error)


def _answer() -> Flow:
    # Nothing is sent by it; it is what somebody waits for and what may fail.
    return Flow("", b"", 0)
