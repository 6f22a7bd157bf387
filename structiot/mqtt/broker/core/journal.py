"""What of the broker has changed since it was last written down.

Only keys are noted; what has become of them is read when a batch is cut. So a message
that was queued and acknowledged in between costs nothing, and a session that changes
ten times is written once. Sessions that end with their connection are not written.

A client is *bound* when something that it has caused or is to be sent was noted: what
it is told meanwhile (`protocol.kept`) waits until that has been written. Others do not
wait, whatever the store does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from structiot.mqtt.broker.core.cutting import Body, Changes, Cut, FlowRow
from structiot.mqtt.broker.core.retained import RetainedStore
from structiot.mqtt.broker.core.sessions import Session
from structiot.mqtt.wire.flows.flow import RELEASED, Flow
from structiot.mqtt.wire.flows.journal import Journal

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.connected_client import ConnectedClient

__all__ = ["BrokerJournal", "ReceivedIds", "SessionRecord"]

# A name that is noted counts once more for each so many characters.
NAME_CHARS = 100


class SessionRecord(Journal):
    """What the store has of one session; takes note of its deliveries."""

    def __init__(self, journal: BrokerJournal, number: int, session: Session) -> None:
        super().__init__()
        self.number = number
        self.session = session
        self.is_written = False
        self.rows: dict[Flow, FlowRow] = {}
        self.changed: dict[Flow, None] = {}
        self.filters: dict[str, None] = {}
        self.ids: dict[int, None] = {}
        self._journal = journal

    def flow(self, flow: Flow) -> None:
        """A delivery was accepted, sent, released or ended."""
        row = self.rows.get(flow)
        journal = self._journal
        if row is None:
            body = journal.body_of(flow)
            self.rows[flow] = FlowRow(journal.next_position(), body)
        elif flow.stage == RELEASED and row.body is not None:
            # PUBRELs are repeated in the order of the PUBRECs, behind all PUBLISHes.
            journal.let_go(row)
            row.position = journal.next_position()
        self.changed[flow] = None
        journal.touch(self)

    def touch_id(self, packet_id: int) -> None:
        """A QoS 2 message was taken, or released."""
        self.ids[packet_id] = None
        self._journal.touch(self)

    def touch_filter(self, topic_filter: str) -> None:
        """A subscription has changed."""
        self.filters[topic_filter] = None
        self._journal.touch(self, 1 + len(topic_filter) // NAME_CHARS)


class ReceivedIds(set[int]):
    """The open QoS 2 messages of a session that is written down."""

    def __init__(self, record: SessionRecord, ids: Iterable[int]) -> None:
        super().__init__(ids)
        self._record = record

    def add(self, packet_id: int) -> None:
        """Note a message that was taken."""
        super().add(packet_id)
        self._record.touch_id(packet_id)

    def discard(self, packet_id: object) -> None:
        """Note a message that was released."""
        super().discard(packet_id)
        if isinstance(packet_id, int):
            self._record.touch_id(packet_id)


class BrokerJournal:
    """Collects changes until a batch is cut.

    Attributes:
        changes: How much has been noted since the last batch, for who must bound it.
        bound: Clients that have to wait for the next batch.
    """

    def __init__(self, retained: RetainedStore) -> None:
        self.changes: int = 0
        self.bound: dict[ConnectedClient, None] = {}
        self._retained = retained
        self._records: dict[Session, SessionRecord] = {}
        self._changed = Changes()
        self._last_session = 0
        self._last_position = 0
        self._last_body = 0
        self._body: Body | None = None

    def __bool__(self) -> bool:
        return self.changes > 0

    # -- what the broker notes -----------------------------------------------------

    def session(self, session: Session) -> None:
        """A session was begun, resumed or left, or its will has changed."""
        record = self._records.get(session)
        if record is None:
            if session.expiry_s == 0:
                return
            record = self.adopt(session, self._last_session + 1)
        self.touch(record)
        self._changed.sessions[record] = None

    def adopt(self, session: Session, number: int) -> SessionRecord:
        """Take note of a session from now on."""
        self._last_session = max(self._last_session, number)
        record = self._records[session] = SessionRecord(self, number, session)
        session.outgoing.journal = record
        session.received = ReceivedIds(record, session.received)
        return record

    def leaves(self, session: Session) -> None:
        """A session is over, and what it leaves to others is handed on yet."""
        record = self._records.get(session)
        if record is not None:
            self.touch(record)
            self._changed.sessions[record] = None

    def ended(self, session: Session) -> None:
        """A session is over."""
        record = self._records.pop(session, None)
        if record is None:
            return
        # Nothing of it refers to another part any more, so that it goes at once.
        session.outgoing.journal = None
        session.received = set()
        for row in record.rows.values():
            self.let_go(row)
        record.rows.clear()
        self._changed.records.pop(record, None)
        self._changed.sessions.pop(record, None)
        if record.is_written:
            self.changes += 1
            self._changed.ended.append(record.number)

    def subscription(self, session: Session, topic_filter: str) -> None:
        """A session's subscription was made, changed or removed."""
        record = self._records.get(session)
        if record is not None:
            record.touch_filter(topic_filter)

    def given_out(self, session: Session, packet_id: int) -> None:
        """A message of QoS 2 has reached all whom it is for."""
        record = self._records.get(session)
        if record is not None:
            record.touch_id(packet_id)

    def retained(self, topic: str) -> None:
        """The retained message of a topic has changed."""
        self.changes += 1 + len(topic) // NAME_CHARS
        self._changed.topics[topic] = None

    def touch(self, record: SessionRecord, count: int = 1) -> None:
        """Something of a session has changed."""
        self.changes += count
        self._changed.records[record] = None
        client = record.session.client
        if client is not None:
            self.bind(client)

    def bind(self, client: ConnectedClient) -> None:
        """Have a client wait until all that was noted so far is written."""
        self.bound[client] = None
        client.is_bound = True

    def gone(self, client: ConnectedClient) -> None:
        """A client will never be told anything any more."""
        self.bound.pop(client, None)

    def take_bound(self) -> list[tuple[ConnectedClient, int]]:
        """Give the clients that wait for the batch that is cut now, and how much does."""
        bound, self.bound = self.bound, {}
        return [(client, len(client.protocol.kept)) for client in bound]

    # -- bodies and positions ------------------------------------------------------

    def next_position(self) -> int:
        """Give the place behind all others."""
        self._last_position += 1
        return self._last_position

    def body_of(self, flow: Flow) -> Body:
        """Give the body of a delivery; all of one message have the same."""
        body = self._body
        if body is None or body.payload is not flow.payload or body.topic != flow.topic:
            self._last_body += 1
            body = self._body = Body(self._last_body, flow.topic, flow.payload)
        body.users += 1
        return body

    def adopt_body(self, number: int, topic: str, payload: bytes) -> Body:
        """Know a body that is written down already."""
        self._last_body = max(self._last_body, number)
        return Body(number, topic, payload, is_written=True)

    def adopt_flow(self, session: Session, flow: Flow, row: FlowRow) -> None:
        """Know a delivery that is written down already."""
        self._last_position = max(self._last_position, row.position)
        self._records[session].rows[flow] = row
        if row.body is not None:
            row.body.users += 1

    def drop_unused(self, bodies: Iterable[Body]) -> None:
        """Have those removed that no delivery needs any more."""
        unused = [body.number for body in bodies if not body.users]
        self._changed.bodies += unused
        self.changes += len(unused)

    def let_go(self, row: FlowRow) -> None:
        """A delivery does not need its body any more."""
        unused = self.last_use(row)
        if unused is not None:
            self._changed.bodies.append(unused)

    def last_use(self, row: FlowRow) -> int | None:
        """Do the same; give the number of the body if the store is to forget it."""
        body, row.body = row.body, None
        if body is None:
            return None
        body.users -= 1
        if body.users:
            return None
        if self._body is body:
            self._body = None
        was_written, body.is_written = body.is_written, False
        return body.number if was_written else None

    def forget_later(self, bodies: list[int]) -> None:
        """Have bodies forgotten with the next batch."""
        if bodies:
            self.changes += 1
            self._changed.bodies += bodies

    def is_known(self, record: SessionRecord) -> bool:
        """Whether a session is not over yet."""
        return self._records.get(record.session) is record

    # -- cutting a batch -----------------------------------------------------------

    def recount(self) -> None:
        """Count what changes again and again once only, as it is written once only."""
        changed = self._changed
        self.changes = len(changed.records) + len(changed.ended) + len(changed.bodies)
        self.changes += sum(1 + len(one) // NAME_CHARS for one in changed.topics)
        for record in changed.records:
            self.changes += len(record.changed) + len(record.ids)
            self.changes += sum(1 + len(one) // NAME_CHARS for one in record.filters)

    def cut(self, offset_s: float) -> Cut:
        """Begin a batch of all that has changed.

        Args:
            offset_s: What makes an instant of the broker's clock one of the store's.
        """
        changed, self._changed = self._changed, Changes()
        self.changes = 0
        return Cut(self, changed, self._retained, offset_s)
