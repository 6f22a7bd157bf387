"""A store on paper, and what two brokers have to agree on if one was restored."""

from __future__ import annotations

from typing import Any

from structiot.mqtt.broker import BrokerLimits, Permissions
from structiot.mqtt.broker.core import Broker
from structiot.mqtt.broker.core.cutting import Cut
from structiot.mqtt.broker.core.journal import BrokerJournal
from structiot.mqtt.broker.core.records import Batch, Snapshot, will_from
from structiot.mqtt.broker.core.restoring import restore
from structiot.mqtt.broker.core.sessions import Delivery, Session
from structiot.mqtt.wire.flows.flow import RELEASED, WAITING
from tests.wire.broker.clients import House

OFFSET_S = 1_700_000_000.0


class PaperStore:
    """Does with a batch what a store has to do."""

    def __init__(self) -> None:
        self.sessions: dict[int, Any] = {}
        self.subscriptions: dict[tuple[int, str], Any] = {}
        self.messages: dict[int, Any] = {}
        self.deliveries: dict[int, Any] = {}
        self.received: dict[Any, Any] = {}
        self.retained: dict[str, Any] = {}

    def apply(self, batch: Batch) -> None:
        for number in batch.ended_sessions:
            del self.sessions[number]
            for table in (self.subscriptions, self.received):
                for key in [key for key in table if key[0] == number]:
                    del table[key]
            rows = self.deliveries.values()
            for position in [row.position for row in rows if row.session == number]:
                del self.deliveries[position]
        for subscription in batch.ended_subscriptions:
            self.subscriptions.pop(subscription, None)
        for position in batch.ended_deliveries:
            del self.deliveries[position]
        for number in batch.ended_messages:
            del self.messages[number]
        for released in batch.released:
            self.received.pop(released, None)
        for topic in batch.erased:
            self.retained.pop(topic, None)
        self.sessions.update((row.number, row) for row in batch.sessions)
        self.subscriptions.update((row[:2], row) for row in batch.subscriptions)
        self.messages.update((row.number, row) for row in batch.messages)
        self.deliveries.update((row.position, row) for row in batch.deliveries)
        self.received.update((row, row) for row in batch.received)
        self.retained.update((row.topic, row) for row in batch.retained)
        self.check()

    def check(self) -> None:
        """Nothing refers to what is not there, and nothing is there for nobody."""
        ids = [row.client_id for row in self.sessions.values()]
        assert len(ids) == len(set(ids))
        for table in (self.subscriptions, self.deliveries, self.received):
            assert {row.session for row in table.values()} <= self.sessions.keys()
        wanted = {row.message for row in self.deliveries.values()} - {None}
        assert wanted <= self.messages.keys()

    def load(self) -> Snapshot:
        return Snapshot(
            sessions=sorted(self.sessions.values()),
            subscriptions=sorted(self.subscriptions.values(), key=lambda row: row[:2]),
            messages=[row for _, row in sorted(self.messages.items())],
            deliveries=[row for _, row in sorted(self.deliveries.items())],
            received=sorted(self.received.values()),
            retained=[row for _, row in sorted(self.retained.items())],
        )


class KeptHouse(House):
    """A broker that is written down on request, and killed on request."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.limits = limits
        self.paper = PaperStore()
        self.cut: Cut | None = None
        self.journal = self._restored(Snapshot([], [], [], [], [], []))

    def _restored(self, snapshot: Snapshot) -> BrokerJournal:
        return restore(self.core, snapshot, self.now, OFFSET_S)

    def commit(self) -> None:
        if self.cut is None:
            self.begin_commit()
        assert self.cut is not None
        self.paper.apply(self.cut.finish())
        self.cut = None

    def begin_commit(self) -> None:
        """Take down what is taken down at once; the rest follows in steps."""
        if self.cut is None:
            self.cut = self.journal.cut(OFFSET_S)

    def step(self) -> None:
        """Take down the next portion, if a commit is under way."""
        if self.cut is not None:
            next(self.cut.portions, None)

    def restart(self) -> None:
        """End without a word and go on with what was written down."""
        self.cut = None
        self.core = Broker(BrokerLimits(**self.limits), Permissions())
        self.journal = self._restored(self.paper.load())

    def check(self) -> None:
        """What was written down is what there is."""
        snapshot = self.paper.load()
        wills = {row.client_id: will_from(row.will) for row in snapshot.sessions}
        # A restored broker publishes the wills of who was connected; not this one.
        snapshot.sessions = [row._replace(will=None) for row in snapshot.sessions]
        twin = Broker(BrokerLimits(**self.limits), Permissions())
        restore(twin, snapshot, self.now, OFFSET_S)
        found, expected = state_of(twin), state_of(self.core)
        for name, session in expected["sessions"].items():
            if session["expires_at"] is None:
                # Who is connected here has just left there.
                session["expires_at"] = self.now + session["expiry_s"]
            assert session.pop("will") == wills[name]
            found["sessions"][name].pop("will")
        assert found == expected


def state_of(broker: Broker) -> dict[str, Any]:
    """Tell what of a broker is to be kept, in plain values."""
    return {
        "sessions": {
            name: _session(session)
            for name, session in broker.sessions.items()
            if session.expiry_s > 0
        },
        "retained": {
            item.topic: item
            for item in broker.retained
            if not item.topic.startswith("$")
        },
    }


def _session(session: Session) -> dict[str, Any]:
    flows = [
        (
            flow.stage if flow.stage in {WAITING, RELEASED} else "published",
            flow.packet_id,
            flow.flags,
            "" if flow.stage == RELEASED else flow.topic,
            flow.payload,
            flow.properties,
            flow.expires_at if isinstance(flow, Delivery) else None,
        )
        # PUBRELs are repeated first; the order is that of each kind.
        for flow in sorted(
            session.outgoing.flows(), key=lambda flow: flow.stage != RELEASED
        )
    ]
    return {
        "username": session.username,
        "expiry_s": session.expiry_s,
        "expires_at": session.expires_at,
        "subscriptions": {
            name: (one.request, one.subscription_id)
            for name, one in session.subscriptions.items()
        },
        "flows": flows,
        "held": session.outgoing.held_bytes,
        "received": set(session.received),
        "will": session.will,
    }
