"""Who looks on while clients come, publish and go."""

from __future__ import annotations

from typing import Protocol

from structiot.mqtt.wire.messages import Message

__all__ = ["Onlooker"]


class Onlooker(Protocol):
    """Is told by a `Broker`, and may keep messages back; put it in `Broker.onlooker`.

    It is called in the middle of the broker's work, so that it calls nothing of the
    broker: what it has to publish or to end comes later.
    """

    def joined(self, client_id: str, username: str | None) -> None:
        """A client is connected."""
        ...

    def left(self, client_id: str, username: str | None) -> None:
        """A client's connection is gone."""
        ...

    def lets_pass(self, client_id: str, username: str | None, message: Message) -> bool:
        """Tell whether a message that a client may publish goes to its subscribers.

        What does not is acknowledged all the same.
        """
        ...
