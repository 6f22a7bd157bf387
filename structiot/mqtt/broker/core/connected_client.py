"""What the broker's logic sees of a client that is connected."""

from __future__ import annotations

from abc import ABC, abstractmethod

from structiot.mqtt.broker.core.sessions import Session
from structiot.mqtt.broker.core.slow_consumers import PATIENCE_S
from structiot.mqtt.broker.core.work import Job
from structiot.mqtt.wire.messages import Auth
from structiot.mqtt.wire.server_protocol import ServerProtocol

__all__ = ["ConnectedClient"]


class ConnectedClient(ABC):
    """One connection: its protocol, its session, and a way to write or end it.

    Attributes:
        protocol: The machine without I/O.
        peer: Address of the client, for the log.
        is_local: Whether the client is on this machine.
        session: The session, once the client was accepted.
        keep_alive_s: Longest silence allowed, times one and a half; 0 for none.
        is_dirty: Whether the broker will call `flush`.
        is_behind: Whether not all that it has sent is dealt with: `Broker.receive` is to
            be called again, with no data.
        job: What its last packet asks for, while that is being done.
        is_slow: Whether there is much to write; publishers wait a little.
        patience_s: How long they would wait, after a calm since `calm_since`.
        patient_until: Until when they wait while it is slow.
    """

    __slots__ = (
        "calm_since",
        "is_behind",
        "is_dirty",
        "is_local",
        "is_slow",
        "job",
        "keep_alive_s",
        "patience_s",
        "patient_until",
        "peer",
        "protocol",
        "session",
    )

    def __init__(self, protocol: ServerProtocol, *, peer: str, is_local: bool) -> None:
        self.protocol: ServerProtocol = protocol
        self.peer: str = peer
        self.is_local: bool = is_local
        self.session: Session | None = None
        self.keep_alive_s: int = 0
        self.is_dirty: bool = False
        self.is_behind: bool = False
        self.job: Job | None = None
        self.is_slow: bool = False
        self.patience_s: float = PATIENCE_S
        self.calm_since: float = 0.0
        self.patient_until: float = 0.0

    @property
    def has_more(self) -> bool:
        """Whether something waits for room in `protocol.out`."""
        session = self.session
        return session is not None and (self.is_slow or session.backlog is not None)

    @abstractmethod
    def flush(self) -> None:
        """Write what `protocol.out` holds, as far as it may leave; never waits."""

    @abstractmethod
    def mark(self) -> int:
        """Tell how many bytes will have left when what is in `protocol.out` now has."""

    @abstractmethod
    def release(self, mark: int) -> None:
        """Write what stands before a mark: it is safe in the store."""

    @abstractmethod
    def take_auth(self, packet: Auth) -> None:
        """Go on with an authentication, or begin another."""

    @abstractmethod
    def end(self) -> None:
        """Write what is to be written and close the connection."""
