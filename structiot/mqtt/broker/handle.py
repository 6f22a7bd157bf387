"""What the broker's logic sees of a connection."""

from __future__ import annotations

from collections.abc import Callable

from structiot.mqtt.broker.sessions import Session
from structiot.mqtt.wire.serving import ServerProtocol

__all__ = ["Handle"]


class Handle:
    """One connection: its protocol, its session, and a way to have it written or ended.

    Attributes:
        protocol: The machine without I/O.
        peer: Address of the client, for the log.
        session: The session, once the client was accepted.
        keep_alive_s: Longest silence allowed, times one and a half; 0 for none.
        has_left: Whether the client has said goodbye; its will is then void.
    """

    __slots__ = (
        "_end",
        "_wake",
        "has_left",
        "is_local",
        "keep_alive_s",
        "peer",
        "protocol",
        "session",
        "stalled_since",
    )

    def __init__(
        self,
        protocol: ServerProtocol,
        *,
        peer: str,
        is_local: bool,
        wake: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self.protocol = protocol
        self.peer = peer
        self.is_local = is_local
        self.session: Session | None = None
        self.keep_alive_s = 0
        self.has_left = False
        self.stalled_since: float | None = None
        self._wake = wake
        self._end = end

    def wake(self) -> None:
        """There is something to write."""
        self._wake()

    def end(self) -> None:
        """Write what is to be written and close the connection."""
        self._end()
