"""How a link ends: what is finished first, what is said, and in which order it closes.

    finishing what is under way --> goodbye     within `goodbye_s`
    --> the connection and all its tasks end
    --> the session is written down as it is then, everybody who waits is told
    --> the store is closed

The order is what matters: whatever a connection still did after the session has been
written down, the next process would not know.
"""

from __future__ import annotations

import anyio

from structiot._kit.flow.reconnecting import Reconnecting
from structiot.errors import LinkLost, StructiotError
from structiot.mqtt.link.broker_address import Address
from structiot.mqtt.link.connect_handshake import ConnectHandshake
from structiot.mqtt.link.connection import Connection
from structiot.mqtt.link.outbox import Outbox
from structiot.mqtt.link.stored_session import StoredSession
from structiot.mqtt.wire.properties import DisconnectProperties
from structiot.mqtt.wire.protocol import OPEN, ClientProtocol
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Leaving"]

# How long the tasks of a connection may take to end; they wait for nothing.
CLOSE_S = 5.0


class Leaving(Reconnecting):
    """The end of a `Link`; a base of it."""

    address: Address
    handshake: ConnectHandshake
    protocol: ClientProtocol
    outbox: Outbox
    stored_session: StoredSession | None
    _connection: Connection | None

    async def leave(
        self,
        goodbye_s: float,
        reason: ReasonCode = ReasonCode.NORMAL_DISCONNECTION,
        properties: DisconnectProperties | None = None,
    ) -> None:
        """Finish what is under way, say goodbye, close; bounded and shielded."""
        if self.is_leaving:
            return
        closed = LinkLost(
            f"the client of {self.address.uri} was closed", reason="closed"
        )
        self.retry_no_more(closed)
        try:
            with anyio.move_on_after(goodbye_s, shield=True):
                await self._say_goodbye(reason, properties)
        finally:
            self._drop_connection(closed)
            try:
                with anyio.move_on_after(CLOSE_S, shield=True):
                    await self.stopped()
            finally:
                self.end(closed)
            if self.stored_session is not None:
                with anyio.CancelScope(shield=True):
                    await self.stored_session.closed()

    async def _say_goodbye(
        self, reason: ReasonCode, properties: DisconnectProperties | None
    ) -> None:
        connection = self._connection
        if connection is None or self.protocol.state is not OPEN:
            return
        await self.outbox.emptied()
        await self.outbox.released()
        # What waits for the store comes before the last word, too.
        await connection.writer.flush()
        if self.protocol.state is OPEN:
            self.protocol.disconnect(reason, properties or self.handshake.goodbye())
            await connection.writer.flush()

    def _drop_connection(self, error: StructiotError) -> None:
        if self._connection is not None:
            self._connection.end(error)
        else:
            self.drop(error)
