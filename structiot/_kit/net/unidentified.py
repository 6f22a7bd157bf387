"""Clients that have not said who they are, by the addresses that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structiot._kit.net.client_stream import ClientStream

__all__ = ["Unidentified"]


class Unidentified:
    """Thousands of them come and go in a moment: nothing here looks at all of them."""

    def __init__(self) -> None:
        self._by_network: dict[str, dict[ClientStream, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ClientStream]:
        for clients in self._by_network.values():
            yield from clients

    def add(self, client: ClientStream) -> None:
        """One has come."""
        self._by_network.setdefault(client.network, {})[client] = None
        self._count += 1

    def discard(self, client: ClientStream) -> None:
        """One has gone, or has said who it is; again and again is no harm."""
        clients = self._by_network.get(client.network, {})
        if client in clients:
            del clients[client]
            self._count -= 1
            if not clients:
                del self._by_network[client.network]

    def pop(self) -> ClientStream:
        """Take out the oldest of the address that has most of them."""
        most = max(self._by_network.values(), key=len)
        oldest = next(iter(most))
        self.discard(oldest)
        return oldest
