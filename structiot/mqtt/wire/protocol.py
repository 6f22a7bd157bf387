"""The client's half of MQTT as a machine without I/O.

The shell gives it bytes and the time and takes events and bytes back:

* `connect(now)` begins a connection: a CONNECT stands in `out`.
* `receive(data, now)` takes what came and gives messages and packets, of a portion of
  it: while there `has_more`, the shell lets others run and calls it with nothing. After
  each, it looks at `violation`: when it is set, the peer has broken the protocol, `out`
  holds the DISCONNECT that says why (5.0), and the connection is to be closed.
* `tick(now)`, at `next_deadline()`, sends PINGREQ or says that the peer is dead.
* `connection_lost()` ends a connection; the session lives as long as this object.

`out` has all that is written, and one writer empties it. With a store, flows and
acknowledgements go to `flow_out`, and from there when what they depend on is safe.

States: CLOSED -> CONNECTING (CONNECT sent) -> OPEN (CONNACK taken) -> CLOSING
(DISCONNECT sent or violation seen) -> CLOSED. All documented (OASIS MQTT 3.1.1, 5.0).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from structiot._kit.out_buffer import OutBuffer
from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import PINGREQ, encode, encode_publish_into
from structiot.mqtt.wire.enhanced_auth import EnhancedAuth
from structiot.mqtt.wire.flows.aliases import resolve_alias
from structiot.mqtt.wire.flows.expiring import Expiring
from structiot.mqtt.wire.flows.inbound import Ack as OwedAck
from structiot.mqtt.wire.flows.inbound import Incoming
from structiot.mqtt.wire.flows.outbound import (
    MAX_PACKET_ID,
    Flow,
    Outgoing,
    PacketIds,
    Write,
)
from structiot.mqtt.wire.flows.writing import writer_for
from structiot.mqtt.wire.keep_alive import KeepAlive
from structiot.mqtt.wire.messages import (
    ACKS,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Suback,
    SubscriptionRequest,
    Unsuback,
)
from structiot.mqtt.wire.pending_requests import REQUEST_IDS, PendingRequests
from structiot.mqtt.wire.portions import Portions
from structiot.mqtt.wire.properties import (
    ConnackProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
)
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["OPEN", "ClientProtocol", "Event", "State"]

Event: TypeAlias = Message | Connack | Suback | Unsuback | Disconnect | Auth | Pingresp


class State(Enum):
    """Where a connection is."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"


# Looked up once: the member of an enumeration costs as much as a call each time.
OPEN: Final = State.OPEN


class ClientProtocol:
    """One client's session and its present connection.

    Args:
        max_packet_bytes: Longest packet taken; a longer one is refused from its header.
        send_window: Own messages of QoS 1 and 2 under way at once.
        uses_aliases: Whether topics are written as aliases that the server takes.
        is_written_down: Whether flows wait in `flow_out` until they are safe.
        ping_delay_s: When an idle client pings, before the end of the keep-alive.
        ping_reply_s: How long PINGRESP may take when there is no keep-alive.

    Attributes:
        out: Bytes to write.
        flow_out: What waits until it is safe; the same as `out` without a store.
        state: Where the connection is.
        violation: Set when the server broke the protocol.
        input: What comes, and what it costs.
        keep_alive: When to ping, and when the server is dead.
        limits: What the server announced in the CONNACK.
        ids: Packet ids in use.
        outgoing: Our flows of QoS 1 and 2.
        incoming: The server's flows of QoS 1 and 2.
        expiring: Those of our flows that wait and do not live for ever.
    """

    def __init__(
        self,
        *,
        max_packet_bytes: int,
        send_window: int = MAX_PACKET_ID,
        uses_aliases: bool = True,
        is_written_down: bool = False,
        ping_delay_s: float = 1.0,
        ping_reply_s: float = 10.0,
    ) -> None:
        self.max_packet_bytes = max_packet_bytes
        self.send_window: int = min(send_window, MAX_PACKET_ID - REQUEST_IDS)
        self.keep_alive: KeepAlive = KeepAlive(
            ping_delay_s=ping_delay_s, ping_reply_s=ping_reply_s
        )
        self._uses_aliases = uses_aliases
        self.out: OutBuffer = OutBuffer()
        self.flow_out: bytearray = bytearray() if is_written_down else self.out
        self.state: State = State.CLOSED
        self.version: int = 4
        self.violation: ProtocolViolation | None = None
        self.limits: ConnackProperties = ConnackProperties()
        self.ids: PacketIds = PacketIds()
        self.outgoing: Outgoing = Outgoing(self.ids, window=self.send_window)
        self.expiring: Expiring = Expiring(self.outgoing)
        self.incoming: Incoming = Incoming()
        self._requests = PendingRequests(self.ids)
        self._clean_start = True
        self._enhanced_auth = EnhancedAuth(None)
        self._write_publish: Write = encode_publish_into
        self._aliases_in: dict[int, str] = {}
        self._alias_maximum_in = 0
        self.input: Portions = Portions(self.version, max_packet_bytes)

    # -- connection ---------------------------------------------------------------

    def connect(self, connect: Connect, now: float) -> None:
        """Begin a connection with this CONNECT."""
        self.version = connect.version
        self.state = State.CONNECTING
        self.violation = None
        self._clean_start = connect.clean_start
        self._enhanced_auth = EnhancedAuth(connect.properties.authentication_method)
        self._aliases_in = {}
        self._alias_maximum_in = connect.properties.topic_alias_maximum or 0
        # A server of 3.1.1 cannot be told, so it cannot exceed it either.
        self.incoming.window = connect.properties.receive_maximum or MAX_PACKET_ID
        self.input = Portions(connect.version, self.max_packet_bytes)
        self.out.clear()
        self.flow_out.clear()
        self.out += encode(connect, connect.version)
        self.keep_alive.start(connect.keep_alive_s, now)

    def disconnect(
        self,
        reason: ReasonCode = ReasonCode.NORMAL_DISCONNECTION,
        properties: DisconnectProperties | None = None,
    ) -> None:
        """Say goodbye; nothing is written after it."""
        if self.state in {State.OPEN, State.CONNECTING}:
            said = properties or DisconnectProperties()
            self.out += encode(Disconnect(reason=reason, properties=said), self.version)
        self.close()

    def close(self) -> None:
        """Write nothing any more: the connection is about to end."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSING
            self.outgoing.pause()

    def connection_lost(self) -> None:
        """The connection is gone; the session waits for the next."""
        self.state = State.CLOSED
        self.outgoing.pause()
        self.incoming.pause()
        self._requests.connection_lost()
        self.out.clear()
        self.flow_out.clear()

    # -- receiving ----------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the server; give what the shell has to deal with."""
        self.keep_alive.last_received_at = now
        if self.expiring.flows:
            self.expiring.sweep(now)
        if self.state is State.CLOSING:
            # What crosses our goodbye on its way is of no use any more.
            return []
        packets = self.input.feed(data)
        events: list[Event] = []
        add = events.append
        is_open = self.state is OPEN
        for packet in packets:
            # What comes by the hundred thousand takes a quick way: QoS 0 without an
            # alias, and acknowledgements.
            if type(packet) is Message:
                if (
                    is_open
                    and not packet.flags & 6
                    and (packet.properties is None or not packet.properties.topic_alias)
                ) or self._take_message(packet):
                    add(packet)
            elif is_open and isinstance(packet, ACKS):
                self._take_ack(packet)
            else:
                self._take(packet, events)
                is_open = self.state is OPEN
                if isinstance(packet, Disconnect):
                    return events
            if self.violation is not None:
                return events
        if (fault := self.input.decoder.violation) is not None:
            self._end(fault, fault.code or ReasonCode.MALFORMED_PACKET)
        return events

    @property
    def has_more(self) -> bool:
        """Whether a portion is left of what came: `receive` nothing to go on."""
        return self.input.has_rest and self.state is not State.CLOSING

    def _take_message(self, message: Message) -> bool:
        if self.state is not OPEN:
            self._violate("a PUBLISH came before the CONNACK")
            return False
        try:
            resolve_alias(message, self._aliases_in, self._alias_maximum_in)
            return not message.flags & 6 or self.incoming.arrive(message, self.flow_out)
        except ProtocolViolation as exc:
            self._end(exc, exc.code or ReasonCode.PROTOCOL_ERROR)
            return False

    def _take(self, packet: Packet, events: list[Event]) -> None:
        """Deal with all other packets; sets `violation` when the peer erred."""
        event: Event | None = None
        if isinstance(packet, Auth):
            is_open = self.state is OPEN
            if not self._object(self._enhanced_auth.take(packet, is_open=is_open)):
                event = packet
        elif isinstance(packet, Disconnect):
            event = packet
            # Nothing counts that comes after a goodbye.
            self.close()
        elif self.state is State.CONNECTING:
            if isinstance(packet, Connack):
                self._take_connack(packet)
                event = packet
            else:
                self._violate(f"{type(packet).__name__} came before the CONNACK")
        else:
            event = self._take_answer(packet)
        if event is not None:
            events.append(event)

    def _take_answer(self, packet: Packet) -> Event | None:
        if isinstance(packet, Suback | Unsuback):
            if not self._requests.answered(packet.packet_id):
                self.outgoing.unknown += 1
                return None
            self.outgoing.pump(self.flow_out, self.version)
            return packet
        if isinstance(packet, Pingresp):
            return packet if self.keep_alive.pong() else None
        self._violate(f"an unexpected {type(packet).__name__}")
        return None

    def _take_ack(self, packet: Ack) -> None:
        packet_id, out, version = packet.packet_id, self.flow_out, self.version
        kind, is_fitting = type(packet), True
        if kind is Puback:
            is_fitting = self.outgoing.on_puback(packet_id, packet.reason, out, version)
        elif kind is Pubrec:
            is_fitting = self.outgoing.on_pubrec(packet_id, packet.reason, out, version)
        elif kind is Pubcomp:
            is_fitting = self.outgoing.on_pubcomp(packet_id, out, version)
        else:
            self.incoming.on_pubrel(packet_id, out, version)
        if not is_fitting:
            self._violate(
                f"{kind.__name__.upper()} {packet_id} does not fit the message's QoS"
            )

    def _take_connack(self, connack: Connack) -> None:
        if connack.reason.is_failure:
            return
        if connack.session_present and self._clean_start:
            self._violate("the server kept a session that was to be clean")
            return
        if self._object(self._enhanced_auth.accepted(connack)):
            return
        limits = self.limits = connack.properties
        self.state = State.OPEN
        if limits.server_keep_alive_s is not None:
            self.keep_alive.agree(limits.server_keep_alive_s)
        write = writer_for(limits, uses_aliases=self._uses_aliases)
        self._write_publish = self.outgoing.write = write
        self._requests.maximum_packet_bytes = limits.maximum_packet_bytes
        window = min(self.send_window, limits.receive_maximum or MAX_PACKET_ID)
        if connack.session_present:
            self.outgoing.resume(self.flow_out, self.version, window=window)
        else:
            self.incoming.forget()
            self.outgoing.restart(self.flow_out, self.version, window=window)

    def _object(self, fault: str | None) -> bool:
        if fault is not None:
            self._violate(fault)
        return fault is not None

    def _violate(self, message: str, code: int = ReasonCode.PROTOCOL_ERROR) -> None:
        self._end(ProtocolViolation(message, code=int(code)), code)

    def _end(self, violation: ProtocolViolation, code: int) -> None:
        self.violation = violation
        if self.version >= 5 and self.state is OPEN:
            self.disconnect(ReasonCode(code))
        self.close()

    # -- sending ------------------------------------------------------------------

    def authenticate(self, data: bytes | None, *, again: bool = False) -> None:
        """Write an AUTH: the answer to the server's, or the first of another exchange."""
        auth = self._enhanced_auth
        packet = auth.begin_again(data) if again else auth.answer(data)
        if self.state in {State.CONNECTING, State.OPEN}:
            self.out += encode(packet, self.version)

    def publish(
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties | None = None,
    ) -> None:
        """Write a QoS 0 message."""
        write, out = self._write_publish, self.out
        write(out, topic, payload, flags, 0, self.version, properties)

    def submit(self, flow: Flow) -> None:
        """Send a QoS 1 or 2 message now, or when the window and the link allow."""
        self.outgoing.submit(flow, self.flow_out, self.version)

    def settle(self, ack: OwedAck) -> bool:
        """Acknowledge a delivery that was taken; True if there is something to write."""
        if self.state is OPEN:
            return self.incoming.settle(ack, self.flow_out)
        self.incoming.settle_away(ack)
        return False

    def abandon(self, ack: OwedAck) -> None:
        """Leave a delivery unacknowledged; the server will repeat it."""
        self.incoming.abandon(ack, self.flow_out)

    def subscribe(
        self,
        requests: tuple[SubscriptionRequest, ...],
        properties: SubscribeProperties | None = None,
    ) -> int:
        """Write a SUBSCRIBE; give its packet id, or 0 when none is free.

        Raises:
            UsageError: The standard does not let us send this.
            CommandRefused: The packet is longer than the server takes.
        """
        return self._requests.subscribe(self.out, self.version, requests, properties)

    def unsubscribe(self, topic_filters: tuple[str, ...]) -> int:
        """Write an UNSUBSCRIBE, as `subscribe` does."""
        return self._requests.unsubscribe(self.out, self.version, topic_filters)

    # -- keep-alive ---------------------------------------------------------------

    def ping(self, now: float) -> None:
        """Write a PINGREQ, unless one is unanswered already."""
        if self.keep_alive.ping(now):
            self.out += PINGREQ

    def next_deadline(self) -> float | None:
        """Give the time at which `tick` has something to do."""
        return self.keep_alive.next_deadline() if self.state is OPEN else None

    def tick(self, now: float) -> bool:
        """Ping an idle peer; return False when it is dead."""
        if (deadline := self.next_deadline()) is None or now < deadline:
            return True
        if self.keep_alive.is_waiting:
            return False
        self.ping(now)
        return True
