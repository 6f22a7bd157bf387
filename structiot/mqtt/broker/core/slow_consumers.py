"""Clients with too much to write, and how long publishers wait for them.

A subscriber that reads more slowly than a publisher writes would lose messages of QoS 0
as soon as its buffer is full. So publishers pause while one is crowded, but no client
may be a burden to the others: each has patience for half a second, and that comes back
in ten times as long. A client that takes nothing at all has used it up at once; from
then on only its own messages are lost. Many that take turns are not waited for longer
than two seconds at first, and a fifth of the time after that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.connected_client import ConnectedClient

__all__ = ["SlowConsumers"]

PATIENCE_S = 0.5
PATIENCE_REGAINED = 0.1
# For all together.
POOL_S = 2.0
POOL_REGAINED = 0.2


class SlowConsumers:
    """The clients that publishers may have to wait for.

    Attributes:
        clients: All of them.
        asked: How often one was to be given something that it had no room for.
        on_relief: Called when one of them has less to write again.
    """

    def __init__(self) -> None:
        self.on_relief: Callable[[], object] = lambda: None
        self.clients: set[ConnectedClient] = set()
        self.asked: int = 0
        self._pool_s = POOL_S
        self._since = 0.0  # when the pool was that full
        self._until = 0.0  # when the present wait, if there is one, ends

    def __bool__(self) -> bool:
        return bool(self.clients)

    def __len__(self) -> int:
        return len(self.clients)

    def add(self, client: ConnectedClient, now: float) -> bool:
        """Note that a client has too much to write; False if that is known."""
        self.asked += 1
        if client.is_slow:
            return False
        client.is_slow = True
        regained_s = (now - client.calm_since) * PATIENCE_REGAINED
        client.patience_s = min(PATIENCE_S, client.patience_s + regained_s)
        client.patient_until = now + client.patience_s
        self.clients.add(client)
        self._settle(now)
        return True

    def remove(self, client: ConnectedClient, now: float) -> None:
        """Note that a client has little to write, or has gone."""
        if client.is_slow:
            client.is_slow = False
            client.patience_s = max(0.0, client.patient_until - now)
            client.calm_since = now
            self.clients.discard(client)
            self._settle(now)
            self.on_relief()

    def _settle(self, now: float) -> None:
        """Take from the pool what has been waited, and begin to count anew."""
        waited_s = max(0.0, min(now, self._until) - self._since)
        rested_s = now - self._since - waited_s
        left_s = max(0.0, self._pool_s - waited_s)
        self._pool_s = min(POOL_S, left_s + rested_s * POOL_REGAINED)
        self._since = now
        wanted = max((one.patient_until for one in self.clients), default=now)
        self._until = min(wanted, now + self._pool_s)

    def patient_until(self, now: float) -> float | None:
        """Tell until when a publisher waits at most; None if it need not."""
        return self._until if self._until > now else None
