"""What the broker's logic sees of a client that is connected."""

from __future__ import annotations

from abc import ABC, abstractmethod

from structiot._kit.net.network import network_of
from structiot.mqtt.broker.core.ledger import Account
from structiot.mqtt.broker.core.sessions import Session
from structiot.mqtt.broker.core.slow_consumers import PATIENCE_S
from structiot.mqtt.broker.core.work import Job
from structiot.mqtt.wire.messages import Auth
from structiot.mqtt.wire.server_protocol import ServerProtocol
from structiot.mqtt.wire.server_state import ServerState

__all__ = ["ConnectedClient"]


class ConnectedClient(ABC):
    """One connection: its protocol, its session, and a way to write or end it.

    Attributes:
        protocol: The machine without I/O.
        peer: Address of the client, for the log.
        network: What that counts as where addresses take turns, or pay.
        is_local: Whether the client is on this machine.
        session: The session, once the client was accepted.
        account: Who pays for what it sends before that.
        keep_alive_s: Longest silence allowed, times one and a half; 0 for none.
        is_dirty: Whether the broker will call `flush`.
        is_bound: Whether what is in `protocol.kept` waits for the store.
        is_welcomed: Whether its CONNACK has been let go; nothing leaves before.
        is_behind: Whether not all that it has sent is dealt with: `Broker.receive` is to
            be called again, with no data.
        is_held_up: Whether it is not read because of us; its silence means nothing.
        undealt_bytes: What it has sent that waits for its turn.
        job: What its last packet asks for, while that is being done.
        is_slow: Whether there is much to write; publishers wait a little.
        patience_s: How long they would wait, after a calm since `calm_since`.
        patient_until: Until when they wait while it is slow.
    """

    __slots__ = (
        "_answered_at",
        "_let_go_bytes",
        "account",
        "calm_since",
        "is_behind",
        "is_bound",
        "is_dirty",
        "is_held_up",
        "is_local",
        "is_slow",
        "is_welcomed",
        "job",
        "keep_alive_s",
        "network",
        "patience_s",
        "patient_until",
        "peer",
        "protocol",
        "session",
        "undealt_bytes",
    )

    def __init__(self, protocol: ServerProtocol, *, peer: str, is_local: bool) -> None:
        self.protocol: ServerProtocol = protocol
        self.peer: str = peer
        self.network: str = network_of(peer)
        self.is_local: bool = is_local
        self.session: Session | None = None
        self.account: Account | None = None
        self.keep_alive_s: int = 0
        self.is_dirty: bool = False
        self.is_bound: bool = False
        self.is_welcomed: bool = False
        self._let_go_bytes = 0
        self._answered_at = 0
        self.is_behind: bool = False
        self.is_held_up: bool = False
        self.undealt_bytes: int = 0
        self.job: Job | None = None
        self.is_slow: bool = False
        self.patience_s: float = PATIENCE_S
        self.calm_since: float = 0.0
        self.patient_until: float = 0.0

    @property
    def unwritten_bytes(self) -> int:
        """What waits to be written, for the client or for the store."""
        out, kept = self.protocol.out, self.protocol.kept
        size = len(out) + out.large_bytes
        return size if kept is out else size + len(kept)

    def release(self, size: int, *, is_free: bool) -> None:
        """Write so much of what was kept: it is safe; all of it, if nothing is bound."""
        kept = self.protocol.kept
        self.is_bound = not is_free
        self.let_go(len(kept) if is_free else size)
        self.flush()

    def let_go(self, size: int) -> None:
        """Have so much written of what was kept for the store."""
        protocol = self.protocol
        out, kept = protocol.out, protocol.kept
        if self.is_welcomed:
            out += kept[:size]
        else:
            out.prepend(kept[:size])
            self.is_welcomed = protocol.state in {ServerState.OPEN, ServerState.CLOSING}
        self._let_go_bytes += size
        del kept[:size]

    def mark_answer(self) -> None:
        """The answer to a SUBSCRIBE is the last of what is kept."""
        if self.protocol.kept is not self.protocol.out:
            self._answered_at = self._let_go_bytes + len(self.protocol.kept)

    @property
    def is_answered(self) -> bool:
        """Whether the last SUBSCRIBE has its answer; retained messages come behind it."""
        return self.job is None and self._let_go_bytes >= self._answered_at

    @abstractmethod
    def flush(self) -> None:
        """Write what the protocol holds, as far as it may leave; never waits."""

    @abstractmethod
    def take_auth(self, packet: Auth) -> None:
        """Go on with an authentication, or begin another."""

    @abstractmethod
    def end(self) -> None:
        """Write what is to be written and close the connection."""
