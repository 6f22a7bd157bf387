"""What a manager tells the other nodes of a backplane, and what it knows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from structiot.manager.base_client import BaseClient
from structiot.manager.client import ManagerClient

__all__ = ["Sharing"]


class Sharing(Protocol):
    """What other nodes of the manager are told of this one; nothing here waits."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The other nodes that are there."""
        ...

    @property
    def have_told(self) -> bool:
        """Whether all of them have listed what they have."""
        ...

    def came(self, client: ManagerClient, former: BaseClient | None) -> None:
        """A device has connected here."""
        ...

    def changed(self, client: ManagerClient) -> None:
        """A device says something else of itself."""
        ...

    def went(self, client: ManagerClient) -> None:
        """A device is not connected here any more."""
        ...

    def took(
        self,
        client: ManagerClient,
        data: bytes,
        message_id: int,
        then: Callable[[], None],
    ) -> bool:
        """Share a message, `then` do what follows; tell whether there was room."""
        ...
