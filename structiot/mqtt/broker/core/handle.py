"""What the broker's logic sees of a connection."""

from __future__ import annotations

from abc import ABC, abstractmethod

from structiot.mqtt.broker.core.sessions import Session
from structiot.mqtt.broker.core.slow_consumers import PATIENCE_S
from structiot.mqtt.wire.messages import Auth
from structiot.mqtt.wire.server_protocol import ServerProtocol

__all__ = ["Handle"]


class Handle(ABC):
    """One connection: its protocol, its session, and a way to write or end it.

    Attributes:
        protocol: The machine without I/O.
        peer: Address of the client, for the log.
        is_local: Whether the client is on this machine.
        session: The session, once the client was accepted.
        keep_alive_s: Longest silence allowed, times one and a half; 0 for none.
        is_dirty: Whether the broker will call `flush`.
        is_crowded: Whether there is much to write; publishers wait a little.
        patience_s: How long they would wait, after a calm since `calm_since`.
        patient_until: Until when they wait while it is crowded.
        stalled_since: Since when the client has taken nothing; None if it does.
        written: Bytes that have been taken out of `protocol.out`.
        writable: How many bytes may have been taken out; more are not safe in the
            store yet.
    """

    __slots__ = (
        "calm_since",
        "is_crowded",
        "is_dirty",
        "is_local",
        "keep_alive_s",
        "patience_s",
        "patient_until",
        "peer",
        "protocol",
        "session",
        "stalled_since",
        "writable",
        "written",
    )

    def __init__(self, protocol: ServerProtocol, *, peer: str, is_local: bool) -> None:
        self.protocol: ServerProtocol = protocol
        self.peer: str = peer
        self.is_local: bool = is_local
        self.session: Session | None = None
        self.keep_alive_s: int = 0
        self.is_dirty: bool = False
        self.is_crowded: bool = False
        self.patience_s: float = PATIENCE_S
        self.calm_since: float = 0.0
        self.patient_until: float = 0.0
        self.stalled_since: float | None = None
        self.written: int = 0
        self.writable: int = 0

    @property
    def has_more(self) -> bool:
        """Whether something waits for room in `protocol.out`."""
        session = self.session
        return session is not None and (self.is_crowded or session.backlog is not None)

    @abstractmethod
    def flush(self) -> None:
        """Write what `protocol.out` holds up to `writable`; never waits."""

    @abstractmethod
    def take_auth(self, packet: Auth) -> None:
        """Go on with an authentication, or begin another."""

    @abstractmethod
    def end(self) -> None:
        """Write what is to be written and close the connection."""
