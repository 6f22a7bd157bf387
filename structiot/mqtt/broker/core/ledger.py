"""One account of all that clients make the broker hold, in bytes.

Each session is charged with its subscriptions, its deliveries, the ids of unreleased
messages, its will and, while it is connected, what its connection holds; retained
messages are charged to all. What has ended is credited at once.

    held_bytes      who gets more
    0               everybody
    crowded (3/4)   who holds less than LITTLE_BYTES
    pressing (7/8)  the same, and sessions that are away end, the heaviest first
    full            nobody

So who hoards loses, and nobody else does. A payload that many sessions wait for counts
for each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot.mqtt.broker.memory_accounting import (
    CONNECTION_BYTES,
    RECEIVED_ID_BYTES,
)

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.sessions import Session

__all__ = ["LITTLE_BYTES", "Ledger"]

LITTLE_BYTES = 65_536


class Ledger:
    """What all clients hold together.

    Attributes:
        held_bytes: As of the last `settle` of each session.
        most_bytes: What it may become.
        crowded_bytes: From where on only those who hold little get more.
    """

    __slots__ = ("_pressing_bytes", "crowded_bytes", "held_bytes", "most_bytes")

    def __init__(self, most_bytes: int) -> None:
        self.held_bytes: int = 0
        self.most_bytes: int = most_bytes
        self.crowded_bytes: int = most_bytes - most_bytes // 4
        self._pressing_bytes = most_bytes - most_bytes // 8

    def settle(self, session: Session) -> bool:
        """Charge what a session holds now; tell whether it is crowded."""
        # Once for each read, most of which change nothing here.
        queued_bytes = session.outgoing.held_bytes
        other_bytes = session.own_bytes + session.subscribed_bytes
        if session.received:
            other_bytes += len(session.received) * RECEIVED_ID_BYTES
        client = session.client
        if client is not None:
            other_bytes += (
                CONNECTION_BYTES + client.undealt_bytes + client.protocol.weigh()
            )
        if queued_bytes != session.charged_queue_bytes:
            self.held_bytes += queued_bytes - session.charged_queue_bytes
            session.charged_queue_bytes = queued_bytes
        if other_bytes != session.charged_bytes:
            self.held_bytes += other_bytes - session.charged_bytes
            session.charged_bytes = other_bytes
        return self.held_bytes >= self.crowded_bytes

    def settle_deliveries(self, session: Session) -> None:
        """Charge what the deliveries of a session hold now; all else as it was."""
        queued_bytes = session.outgoing.held_bytes
        self.held_bytes += queued_bytes - session.charged_queue_bytes
        session.charged_queue_bytes = queued_bytes

    def forget(self, session: Session) -> None:
        """Credit a session that has ended."""
        self.held_bytes -= session.charged_bytes + session.charged_queue_bytes
        session.charged_bytes = session.charged_queue_bytes = 0

    def charge(self, size: int) -> None:
        """Charge what belongs to nobody in particular; credit what is negative."""
        self.held_bytes += size

    @property
    def is_crowded(self) -> bool:
        """Whether only those who hold little get more."""
        return self.held_bytes >= self.crowded_bytes

    @property
    def is_pressing(self) -> bool:
        """Whether sessions that are away have to end."""
        return self.held_bytes >= self._pressing_bytes

    @property
    def is_full(self) -> bool:
        """Whether nobody gets more."""
        return self.held_bytes >= self.most_bytes

    def has_room(self, session: Session) -> bool:
        """Tell whether a session may hold more."""
        held_bytes = self.held_bytes
        return held_bytes < self.crowded_bytes or (
            held_bytes < self.most_bytes
            and session.charged_queue_bytes + session.charged_bytes < LITTLE_BYTES
        )
