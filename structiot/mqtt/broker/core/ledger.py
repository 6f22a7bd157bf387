"""One account of all that clients make the broker hold, in bytes.

Each session is charged with its subscriptions, its deliveries, the ids of unreleased
messages, its will and, while it is connected, what its connection holds; who has no
session yet with what has come of a CONNECT. Whatever belongs to the clients of one
address, what they had retained included, stands in one `Account`, which pays for it.
What has ended is credited at once.

    held_bytes      who gets more
    0               everybody
    crowded (3/4)   who holds less than LITTLE_BYTES, or half of what the heaviest holds
    pressing (7/8)  the same, and of the heaviest address the heaviest sessions end
    full            nobody

So who hoards loses, and nobody else does. A payload that many sessions wait for counts
for each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from structiot.mqtt.broker.memory_accounting import (
    CONNECTION_BYTES,
    RECEIVED_ID_BYTES,
    SESSION_BYTES,
)

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.connected_client import ConnectedClient
    from structiot.mqtt.broker.core.sessions import Session

__all__ = ["LITTLE_BYTES", "Account", "Ledger", "weight"]

LITTLE_BYTES = 65_536
PLAIN_BYTES = SESSION_BYTES + CONNECTION_BYTES


class Account:
    """What the clients of one address hold together; gone with the last of them.

    Attributes:
        name: The address, or the network of a house that has many.
        held_bytes: All of it.
        retained_bytes: What they had retained, of that.
        unfinished_bytes: What has come of their CONNECTs, of that.
        sessions: Theirs.
        away: Those without a connection, the longest away first.
        idle: Those of them of which nobody would miss anything.
    """

    __slots__ = (
        "__weakref__",
        "away",
        "held_bytes",
        "idle",
        "name",
        "retained_bytes",
        "sessions",
        "unfinished_bytes",
    )

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.held_bytes: int = 0
        self.retained_bytes: int = 0
        self.unfinished_bytes: int = 0
        self.sessions: set[Session] = set()
        self.away: dict[Session, None] = {}
        self.idle: dict[Session, None] = {}

    @property
    def excess_bytes(self) -> int:
        """What they hold beyond being there: many that want little are no hoarders."""
        return self.held_bytes - len(self.sessions) * PLAIN_BYTES

    def left(self, session: Session) -> None:
        """A session is without a connection now."""
        self.away[session] = None
        if session.is_idle:
            self.idle[session] = None

    def back(self, session: Session) -> None:
        """A session has a connection again, or has ended."""
        self.away.pop(session, None)
        self.idle.pop(session, None)


class Ledger:
    """What all clients hold together.

    Attributes:
        held_bytes: As of the last `settle` of each session.
        most_bytes: What it may become.
        crowded_bytes: From where on only those who hold little get more.
        accounts: Who holds it, by address.
        newcomers: Clients without a session of which something is held.
        unfinished_bytes: What newcomers hold together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.held_bytes: int = 0
        self.most_bytes: int = most_bytes
        self.crowded_bytes: int = most_bytes - most_bytes // 4
        self.accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self.newcomers: dict[ConnectedClient, int] = {}
        self.unfinished_bytes: int = 0
        self._pressing_bytes = most_bytes - most_bytes // 8
        # As of when so much was held; who holds most is not looked up each time.
        self._looked_at_bytes = 0
        self._heaviest_account_bytes = 0
        self._heaviest_session_bytes = 0

    def account(self, name: str) -> Account:
        """Give the account of an address, or of the network that it counts as."""
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(name)
        return account

    # -- charging ------------------------------------------------------------------

    def settle(self, session: Session) -> bool:
        """Charge what a session holds now; tell whether it is crowded."""
        # Once for each read that leaves something.
        if session.is_over:
            # Some work for it may still come to its end; it pays for nothing any more.
            return self.is_crowded
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
            change = queued_bytes - session.charged_queue_bytes
            self.held_bytes += change
            session.account.held_bytes += change
            session.charged_queue_bytes = queued_bytes
        if other_bytes != session.charged_bytes:
            change = other_bytes - session.charged_bytes
            self.held_bytes += change
            session.account.held_bytes += change
            session.charged_bytes = other_bytes
        return self.held_bytes >= self.crowded_bytes

    def settle_deliveries(self, session: Session) -> None:
        """Charge what the deliveries of a session hold now; all else as it was."""
        if session.is_over:
            return
        queued_bytes = session.outgoing.held_bytes
        change = queued_bytes - session.charged_queue_bytes
        self.held_bytes += change
        session.account.held_bytes += change
        session.charged_queue_bytes = queued_bytes

    def settle_newcomer(self, client: ConnectedClient) -> None:
        """Charge what a client holds that has no session; forget it with nothing."""
        size = client.undealt_bytes + client.protocol.hoarded_bytes
        known = self.newcomers.pop(client, 0)
        if size:
            self.newcomers[client] = size
        if size != known:
            account = client.account = client.account or self.account(client.network)
            account.unfinished_bytes += size - known
            self.unfinished_bytes += size - known
            self.charge(size - known, account)

    def forget_newcomer(self, client: ConnectedClient) -> None:
        """Credit a client that has a session now, or is gone."""
        size = self.newcomers.pop(client, 0)
        if size and client.account is not None:
            client.account.unfinished_bytes -= size
            self.unfinished_bytes -= size
            self.charge(-size, client.account)

    def charge(self, size: int, account: Account | None) -> None:
        """Charge what belongs to no session; credit what is negative."""
        self.held_bytes += size
        if account is not None:
            account.held_bytes += size

    def charge_session(self, session: Session, size: int) -> None:
        """Charge a session with something more, before it is settled."""
        if session.is_over:
            return
        session.charged_bytes += size
        self.charge(size, session.account)

    def open(self, session: Session, account: Account) -> None:
        """Have another account pay for a session, from now on."""
        size = weight(session)
        session.account.sessions.discard(session)
        session.account.back(session)
        session.account.held_bytes -= size
        session.account = account
        account.held_bytes += size
        account.sessions.add(session)

    def forget(self, session: Session) -> None:
        """Credit a session that has ended."""
        self.charge(-weight(session), session.account)
        session.charged_bytes = session.charged_queue_bytes = 0
        session.account.sessions.discard(session)
        session.account.back(session)

    # -- who gets more, and who pays -----------------------------------------------

    @property
    def is_crowded(self) -> bool:
        """Whether only those who hold little get more."""
        return self.held_bytes >= self.crowded_bytes

    @property
    def is_pressing(self) -> bool:
        """Whether sessions have to end."""
        return self.held_bytes >= self._pressing_bytes

    @property
    def is_full(self) -> bool:
        """Whether nobody gets more."""
        return self.held_bytes >= self.most_bytes

    def has_room(self, session: Session) -> bool:
        """Tell whether a session may hold more."""
        if self.held_bytes < self.crowded_bytes:
            return True
        if self.held_bytes >= self.most_bytes:
            return False
        size = weight(session)
        return size < LITTLE_BYTES or self._is_light(session.account, size)

    def has_room_to_retain(self, account: Account | None) -> bool:
        """Tell whether more may be retained for an account; None is the broker's own."""
        if self.held_bytes < self.crowded_bytes:
            return True
        is_modest = account is None or account.retained_bytes < self.share_bytes
        return is_modest and not self.is_full

    @property
    def share_bytes(self) -> int:
        """What an address may hold without anybody looking at its small things."""
        return self.most_bytes // 8

    def _is_light(self, account: Account, size: int) -> bool:
        """Tell whether somebody who holds something is far from who holds most."""
        if abs(self.held_bytes - self._looked_at_bytes) > self.most_bytes // 64:
            self._look()
        heaviest = max(self._heaviest_account_bytes, account.held_bytes)
        self._heaviest_account_bytes = heaviest
        self._heaviest_session_bytes = max(self._heaviest_session_bytes, size)
        return (
            account.held_bytes * 2 <= heaviest
            or size * 2 <= self._heaviest_session_bytes
        )

    def _look(self) -> None:
        self._looked_at_bytes = self.held_bytes
        self._heaviest_account_bytes = self._heaviest_session_bytes = 0
        for account in self.accounts.values():
            heaviest = max(self._heaviest_account_bytes, account.held_bytes)
            self._heaviest_account_bytes = heaviest
            heaviest = max(map(weight, account.sessions), default=0)
            self._heaviest_session_bytes = max(self._heaviest_session_bytes, heaviest)

    def heaviest(self, besides: Iterable[Account]) -> tuple[Account | None, int]:
        """Give the account that holds most, and what the next one holds."""
        found: Account | None = None
        next_bytes = -sys.maxsize
        left_out = set(besides)
        for account in self.accounts.values():
            if account in left_out:
                continue
            if found is None or account.excess_bytes > found.excess_bytes:
                if found is not None:
                    next_bytes = found.excess_bytes
                found = account
            else:
                next_bytes = max(next_bytes, account.excess_bytes)
        return found, next_bytes


def weight(session: Session) -> int:
    """What a session is charged with."""
    return session.charged_queue_bytes + session.charged_bytes
