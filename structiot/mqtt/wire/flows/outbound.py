"""The sender's half of QoS 1 and 2, the same for client and server.

A `Flow` is one message on its way out. It waits in `Outgoing` until the window has
room, is then sent under a packet id, and ends with an acknowledgement or an error.
Flows outlive connections: `resume` sends again what the peer's session still knows,
`restart` begins anew when that session is gone.

Source of the rules: MQTT 5.0 sections 4.3, 4.4, 4.6 and 4.9 (3.1.1: 4.3, 4.4, 4.6).
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from structiot._kit.out_buffer import size_of
from structiot.errors import CommandRefused, StructiotError
from structiot.mqtt.wire.codec import encode, encode_publish_into, pubrel_bytes
from structiot.mqtt.wire.flows.flow import (
    MAX_PACKET_ID,
    PUBLISHED,
    RELEASED,
    STALE,
    WAITING,
    Flow,
    PacketIds,
    session_lost,
)
from structiot.mqtt.wire.flows.journal import Journal
from structiot.mqtt.wire.messages import DUP, Pubrel
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["MAX_PACKET_ID", "Flow", "Outgoing", "PacketIds", "Write"]

Write: TypeAlias = Callable[
    [bytearray, str, bytes, int, int, int, PublishProperties | None], None
]

# Nothing is ever added to it: who has something to withhold brings a set.
_NONE: Final[set[Flow]] = set()


class Outgoing:
    """All flows of one session.

    Attributes:
        ids: Shared with whatever else needs packet ids in this direction.
        inflight: Flows under a packet id: in the order of their first sending, but
            for the released ones, which come in the order of their PUBRECs.
        waiting: Accepted flows that have not been sent.
        window: Flows that may be under way at once on this connection.
        window_bytes: What they may weigh before the next one waits.
        held_bytes: The sizes of all flows.
        waiting_bytes: Those of the flows that wait.
        out_bytes: Nothing is added to an `out` that holds more; `pump` goes on once
            it has been written.
        withheld: Flows under a packet id that `resume` leaves out.
        unknown: Acknowledgements that belong to no flow.
        write: How a PUBLISH is written; a `PublishWriter` where the peer has limits.
        journal: Notes what changes, when a store is in use.
    """

    def __init__(self, ids: PacketIds, *, window: int = MAX_PACKET_ID) -> None:
        self.ids = ids
        self.window: int = window
        self.inflight: dict[int, Flow] = {}
        self.waiting: deque[Flow] = deque()
        self.window_bytes: int = sys.maxsize
        self.held_bytes: int = 0
        self.waiting_bytes: int = 0
        self.out_bytes: int = sys.maxsize
        self.withheld: set[Flow] = _NONE
        self.unknown: int = 0
        self.write: Write = encode_publish_into
        self.journal: Journal | None = None
        # The next one is the last; an empty deque would cost each session 760 bytes.
        self._resend: list[Flow] = []
        self._on_wire = 0
        self._is_open = False

    def __len__(self) -> int:
        return len(self.inflight) + len(self.waiting)

    def flows(self) -> list[Flow]:
        """All flows that are not done, in order."""
        return [*self.inflight.values(), *self.waiting]

    @property
    def on_wire(self) -> int:
        """How many were sent on this connection and are not finished."""
        return self._on_wire

    def under_way(self) -> list[Flow]:
        """These flows, in the order of their first sending; released ones last."""
        sent = [flow for flow in self.inflight.values() if flow not in self.withheld]
        published = [flow for flow in sent if flow.stage == PUBLISHED]
        return published + [flow for flow in sent if flow.stage == RELEASED]

    def submit(self, flow: Flow, out: bytearray, version: int) -> None:
        """Send a flow, or have it wait for its turn."""
        under_way_bytes = self.held_bytes
        self.held_bytes = under_way_bytes + flow.size
        if self.journal is not None:
            self.journal.flow(flow)
        if (
            self._is_open
            and not self.waiting
            and not self._resend
            and self._on_wire < self.window
            and under_way_bytes < self.window_bytes
            and size_of(out) < self.out_bytes
            and (packet_id := self.ids.take())
        ):
            flow.packet_id = packet_id
            self._send_new(flow, out, version)
        else:
            self.waiting.append(flow)
            self.waiting_bytes += flow.size

    def _send_new(self, flow: Flow, out: bytearray, version: int) -> None:
        try:
            self.write(
                out,
                flow.topic,
                flow.payload,
                flow.flags,
                flow.packet_id,
                version,
                flow.properties,
            )
        except StructiotError as exc:
            # This peer does not take it; it has cost nothing and ends here.
            self.ids.free(flow.packet_id)
            self._forget_payload(flow)
            flow.finish(exc)
            return
        flow.stage = PUBLISHED
        self.inflight[flow.packet_id] = flow
        self._on_wire += 1
        if self.journal is not None:
            self.journal.flow(flow)

    def pump(self, out: bytearray, version: int) -> None:
        """Send what the window has room for: resends first, then new flows."""
        if not self._is_open:
            return
        while self._resend and self._has_room(out):
            flow = self._resend.pop()
            if flow.stage == STALE:
                self._send_again(flow, out, version)
        while not self._resend and self.waiting and self._has_room(out):
            under_way_bytes = self.held_bytes - self.waiting_bytes
            if under_way_bytes >= self.window_bytes:
                return
            if not (packet_id := self.ids.take()):
                return
            flow = self.waiting.popleft()
            self.waiting_bytes -= flow.size
            flow.packet_id = packet_id
            self._send_new(flow, out, version)

    def _has_room(self, out: bytearray) -> bool:
        return self._on_wire < self.window and size_of(out) < self.out_bytes

    def _send_again(self, flow: Flow, out: bytearray, version: int) -> None:
        try:
            self.write(
                out,
                flow.topic,
                flow.payload,
                flow.flags | DUP,
                flow.packet_id,
                version,
                flow.properties,
            )
        except StructiotError as exc:
            # The peer's limits are lower than at the last connection.
            del self.inflight[flow.packet_id]
            self.ids.free(flow.packet_id)
            self._forget_payload(flow)
            flow.finish(exc)
            return
        flow.stage = PUBLISHED
        self._on_wire += 1

    def resume(self, out: bytearray, version: int, *, window: int) -> None:
        """Go on after a reconnect to a session that the peer has kept.

        PUBREL goes out again at once, in the order of the PUBRECs; then, within the
        window and before anything new, every unacknowledged PUBLISH (with DUP), same
        ids, in the original order.
        """
        self.window = window
        self._on_wire = 0
        self._resend.clear()
        for flow in self.inflight.values():
            if flow in self.withheld:
                if flow.stage != RELEASED:
                    flow.stage = STALE
            elif flow.stage == RELEASED:
                out += pubrel_bytes(flow.packet_id)
                self._on_wire += 1
            else:
                flow.stage = STALE
                self._resend.append(flow)
        self._resend.reverse()
        self._is_open = True
        self.pump(out, version)

    def restart(self, out: bytearray, version: int, *, window: int) -> None:
        """Begin anew when the peer has kept no session.

        QoS 1 flows are sent as new messages. A QoS 2 flow under way may or may not
        have been delivered and sending it again could deliver it twice: it fails
        with `MqttSessionLost`.
        """
        flows, self.inflight = self.inflight, {}
        kept: list[Flow] = []
        for packet_id, flow in flows.items():
            if flow in self.withheld and not flow.flags & 0x04:
                self.inflight[packet_id] = flow
                continue
            self.ids.free(packet_id)
            flow.packet_id = 0
            if flow.flags & 0x04:
                self._forget_payload(flow)
                flow.finish(session_lost(flow, version))
            else:
                flow.stage = WAITING
                self.waiting_bytes += flow.size
                kept.append(flow)
                if self.journal is not None:
                    self.journal.flow(flow)
        self.waiting.extendleft(reversed(kept))
        self.resume(out, version, window=window)

    def send_withheld(self, flow: Flow, out: bytearray, version: int) -> None:
        """Send a flow now that `resume` has left out."""
        self.withheld.discard(flow)
        if not self._is_open or flow.is_done:
            return
        if flow.stage == RELEASED:
            out += pubrel_bytes(flow.packet_id)
            self._on_wire += 1
        else:
            self._send_again(flow, out, version)

    def give_up(self, flow: Flow, error: StructiotError) -> None:
        """End a flow under way without an answer, between two connections."""
        self.withheld.discard(flow)
        del self.inflight[flow.packet_id]
        if not flow.flags & 0x04:
            # Of QoS 2 the peer may know the id; another message must not get it.
            self.ids.free(flow.packet_id)
        self._forget_payload(flow)
        flow.finish(error)

    def pause(self) -> None:
        """The connection is gone; flows wait for the next."""
        self._is_open = False
        self._resend.clear()
        self._on_wire = 0

    def restore(self, flow: Flow) -> None:
        """Put back a flow that a store has kept, in the order of acceptance."""
        self.held_bytes += flow.size
        if flow.stage == WAITING:
            self.waiting.append(flow)
            self.waiting_bytes += flow.size
        else:
            self.ids.used.add(flow.packet_id)
            self.inflight[flow.packet_id] = flow

    def withdraw(self, flow: Flow, error: StructiotError) -> None:
        """End a flow that waits, as if it had never been accepted."""
        self.waiting.remove(flow)
        self.waiting_bytes -= flow.size
        self._forget_payload(flow)
        flow.finish(error)

    def _forget_payload(self, flow: Flow) -> None:
        if self.journal is not None:
            self.journal.flow(flow)
        self.held_bytes -= flow.size
        flow.size = 0
        flow.payload = b""

    def _end(self, flow: Flow, out: bytearray, version: int) -> None:
        del self.inflight[flow.packet_id]
        self.ids.free(flow.packet_id)
        self.held_bytes -= flow.size
        if self.journal is not None:
            self.journal.flow(flow)
        # A peer may answer what it remembers before it has been sent again.
        if flow.stage != STALE and not (self.withheld and flow in self.withheld):
            self._on_wire -= 1
        if self.waiting or self._resend:
            self.pump(out, version)

    def on_puback(
        self, packet_id: int, reason: ReasonCode, out: bytearray, version: int
    ) -> bool:
        """Take a PUBACK; return False if it contradicts the flow's QoS."""
        flow = self.inflight.get(packet_id)
        if flow is None:
            self.unknown += 1
            return True
        if flow.flags & 0x04:
            if flow.stage != RELEASED:
                self._end_without_qos_2(flow, out, version)
            return False
        self._end(flow, out, version)
        if reason:
            self._settle(flow, reason)
        else:
            flow.finish()
        return True

    def _end_without_qos_2(self, flow: Flow, out: bytearray, version: int) -> None:
        # RabbitMQ 3 answers so, and would at each resend: for ever.
        self._end(flow, out, version)
        flow.finish(
            CommandRefused(
                f"the peer acknowledged a QoS 2 message to {flow.topic!r} as QoS 1; "
                "publish with QoS 1 to a peer that has no QoS 2"
            )
        )

    def on_pubrec(
        self, packet_id: int, reason: ReasonCode, out: bytearray, version: int
    ) -> bool:
        """Take a PUBREC; return False if it contradicts the flow's QoS."""
        flow = self.inflight.get(packet_id)
        if flow is None:
            self.unknown += 1
            if reason < 0x80 and version >= 5:
                code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
                out += encode(Pubrel(packet_id=packet_id, reason=code), version)
            elif reason < 0x80:
                out += pubrel_bytes(packet_id)
            return True
        if not flow.flags & 0x04:
            return False
        if reason >= 0x80:
            self._end(flow, out, version)
            self._settle(flow, reason)
            return True
        if flow.stage != RELEASED:
            if flow.stage == STALE:
                self._on_wire += 1
            flow.stage = RELEASED
            flow.reason = reason
            self._forget_payload(flow)
            # To the end: PUBRELs are repeated in the order of the PUBRECs.
            del self.inflight[packet_id]
            self.inflight[packet_id] = flow
        out += pubrel_bytes(packet_id)
        return True

    def on_pubcomp(self, packet_id: int, out: bytearray, version: int) -> bool:
        """Take a PUBCOMP; return False if it comes before its PUBREC."""
        flow = self.inflight.get(packet_id)
        if flow is None:
            self.unknown += 1
            return True
        if flow.stage != RELEASED:
            return False
        self._end(flow, out, version)
        flow.finish()
        return True

    def _settle(self, flow: Flow, reason: ReasonCode) -> None:
        flow.reason = reason
        if reason < 0x80:
            flow.finish()
        else:
            message = f"the peer refused a message to {flow.topic!r}: {reason.text}"
            flow.finish(CommandRefused(message, code=int(reason)))

    def fail_all(self, error: StructiotError) -> None:
        """End every flow with an error and forget them."""
        self.pause()
        flows = [*self.inflight.values(), *self.waiting]
        for packet_id in self.inflight:
            self.ids.free(packet_id)
        self.inflight = {}
        self.waiting.clear()
        self.held_bytes = self.waiting_bytes = 0
        for flow in flows:
            flow.abandon(error)
