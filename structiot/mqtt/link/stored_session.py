"""What a link remembers beyond its process, if it was given a store."""

from __future__ import annotations

import logging

import anyio

from structiot.mqtt.link.store import SqliteStore
from structiot.mqtt.wire.flows.expiring import ExpiringFlow
from structiot.mqtt.wire.flows.flow import WAITING, Flow
from structiot.mqtt.wire.flows.journal import Changes, Journal, StoredFlow
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["StoredSession"]

_log = logging.getLogger(__name__)


class StoredSession:
    """Writes one session down, and reads it at the start.

    Attributes:
        restored: Own messages that an earlier process had left unfinished.
    """

    def __init__(
        self, store: SqliteStore, client_id: str, protocol: ClientProtocol
    ) -> None:
        self.restored: list[Flow] = []
        self._store = store
        self._client_id = client_id
        self._protocol = protocol
        self._journal = Journal()
        self._frozen: Changes | None = None
        self._one_at_a_time = anyio.Lock()

    async def load(self) -> None:
        """Read the session of an earlier process, before the first connection.

        Raises:
            ConfigError: The store cannot be opened.
        """
        outgoing, incoming = self._protocol.outgoing, self._protocol.incoming
        await self._store.open()
        if self._store.set_aside is not None:
            _log.warning("a damaged store was moved to %s", self._store.set_aside)
        flows, received = await self._store.load(self._client_id)
        for stored in flows:
            flow = self._flow_of(stored)
            self._journal.adopt(flow, stored.number)
            outgoing.restore(flow)
            self.restored.append(flow)
        incoming.restore(received)
        outgoing.journal = incoming.journal = self._journal

    def _flow_of(self, stored: StoredFlow) -> Flow:
        properties = stored.properties
        if (
            stored.stage == WAITING
            and properties is not None
            and properties.message_expiry_s is not None
        ):
            # How long nobody was there to count is not known.
            expiring = ExpiringFlow(
                stored.topic,
                stored.payload,
                stored.flags,
                properties,
                anyio.current_time(),
            )
            self._protocol.expiring.watch(expiring)
            return expiring
        flow = Flow(stored.topic, stored.payload, stored.flags, properties)
        flow.stage = stored.stage
        flow.packet_id = stored.packet_id
        return flow

    async def save(self) -> None:
        """Return when everything that has changed so far is safe.

        Raises:
            UsageError: The store cannot be written any more.
        """
        async with self._one_at_a_time:
            changes, self._frozen = self._frozen or self._journal.take(), None
            if changes:
                # Half a batch of changes would be worse than a late cancellation.
                with anyio.CancelScope(shield=True):
                    await self._store.apply(self._client_id, changes)

    def freeze(self) -> None:
        """Keep the session as it is now, whatever becomes of its flows in here."""
        outgoing, incoming = self._protocol.outgoing, self._protocol.incoming
        if outgoing.journal is not None:
            self._frozen = self._journal.take()
            outgoing.journal = incoming.journal = None

    async def close(self) -> None:
        """Write the rest down and close the store."""
        self.freeze()
        try:
            await self.save()
        finally:
            with anyio.CancelScope(shield=True):
                await self._store.close()
