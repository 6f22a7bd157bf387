"""The server's half of one MQTT connection as a machine without I/O.

The shell gives it bytes and gets packets that the broker has to decide on: CONNECT
first and once, then PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT and AUTH. Pings and
the flows of QoS 1 and 2 are dealt with here, on the session that `accept` attached.
`out` collects what is to be written.

States: WAITING (for CONNECT) -> DECIDING (CONNECT given to the broker; what the client
has sent behind it is kept) -> OPEN (CONNACK with success written) -> CLOSING (nothing
is read or written any more).

A client that breaks the protocol sets `violation`. What came before the fault is given
to the broker first; then `end_if_violated` writes the DISCONNECT of 5.0 that says why.
After CONNECT a client need not wait (section 3.1.4 of both versions), unless it has named
an authentication method (5.0 section 4.12).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.broken_connect import answer_to_broken_connect
from structiot.mqtt.wire.codec import (
    PINGRESP,
    Decoder,
    encode,
    encode_publish_into,
    puback_bytes,
    pubcomp_bytes,
    pubrec_bytes,
)
from structiot.mqtt.wire.codec.fields import USUAL_LIMITS, PacketLimits
from structiot.mqtt.wire.flows.aliases import resolve_alias
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, Outgoing, Write
from structiot.mqtt.wire.flows.writing import PublishWriter
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import AuthProperties, DisconnectProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["ServerProtocol", "ServerState"]

QOS_2 = 0x04
MAX_CONNECT_BYTES = 256 * 1024
# A silent client is one that sends no packets. Only so much at once of an unfinished
# one shows that it is alive; a byte now and then does not.
PROGRESS_BYTES = 256


class ServerState(Enum):
    """Where a connection is."""

    WAITING = "waiting for CONNECT"
    DECIDING = "deciding about a CONNECT"
    OPEN = "open"
    CLOSING = "closing"


# As in `wire.protocol`: for what is asked with each message.
OPEN: Final = ServerState.OPEN


class ServerProtocol:
    """One client's connection, seen from the server.

    Args:
        max_packet_bytes: Longest packet taken; a longer one is refused from its header.
        max_connect_bytes: Longest packet other than PUBLISH.
        topic_alias_maximum: Topic aliases that either side may use.
        receive_maximum: QoS 2 messages that a client of 5.0 may have open.
        packet_limits: What is counted in a packet.

    Attributes:
        out: Bytes to write.
        state: Where the connection is.
        version: 4 or 5, known from the CONNECT.
        connect: The CONNECT; None before it came.
        violation: Set when the client broke the protocol.
        write_publish: How a PUBLISH is written to this client.
        last_received_at: When a packet or a good part of one came, for the keep-alive.
        decoder: Tells how much of an unfinished packet has come.
        decoded: How many packets the last bytes have completed.
    """

    __slots__ = (
        "_alias_maximum",
        "_aliases",
        "_later",
        "_outgoing",
        "_receive_maximum",
        "_received",
        "connect",
        "decoded",
        "decoder",
        "last_received_at",
        "out",
        "state",
        "version",
        "violation",
        "write_publish",
    )

    # Both are the session's, from `accept` on.
    _outgoing: Outgoing
    _received: set[int]

    def __init__(
        self,
        *,
        max_packet_bytes: int,
        max_connect_bytes: int = MAX_CONNECT_BYTES,
        topic_alias_maximum: int = 0,
        receive_maximum: int = MAX_PACKET_ID,
        packet_limits: PacketLimits = USUAL_LIMITS,
    ) -> None:
        self.out: bytearray = bytearray()
        self.state: ServerState = ServerState.WAITING
        self.version: int = 4
        self.connect: Connect | None = None
        self.violation: ProtocolViolation | None = None
        self.write_publish: Write = encode_publish_into
        self.last_received_at: float = 0.0
        self.decoded: int = 0
        self.decoder: Decoder = Decoder(
            role="server",
            max_packet_bytes=max_packet_bytes,
            max_first_bytes=max_connect_bytes,
            max_other_bytes=max_connect_bytes,
            limits=packet_limits,
        )
        self._alias_maximum = topic_alias_maximum
        self._receive_maximum = receive_maximum
        self._aliases: dict[int, str] | None = None
        # What was decoded and not dealt with yet.
        self._later: Iterator[Packet] = iter(())

    def receive(self, data: bytes, now: float) -> Iterator[Packet]:
        """Take bytes; give the packets that the broker has to deal with, in order.

        Nothing has happened yet to a packet that has not been taken from the iterator.
        Whoever stops early, or has accepted a CONNECT, calls again with no data.
        """
        packets = self.decoder.feed(data)
        self.decoded = len(packets)
        if packets or len(data) >= PROGRESS_BYTES:
            self.last_received_at = now
        if packets:
            self._later = iter((*self._later, *packets))
        return self._sort() if self.state is OPEN else self._begin()

    def _sort(self) -> Iterator[Packet]:
        for packet in self._later:
            if type(packet) is Message:
                if packet.flags & QOS_2 or packet.properties is not None:
                    if self._is_for_broker(packet):
                        yield packet
                else:
                    yield packet
            elif self._take(packet):
                yield packet
            if self.violation is not None or self.state is not OPEN:
                self._later = iter(())
                return
        self._look_for_fault()

    def _begin(self) -> Iterator[Packet]:
        """Give the CONNECT, or an AUTH while it is decided on; keep what is behind."""
        is_deciding = self.state is ServerState.DECIDING and self._method is None
        if is_deciding or self.state is ServerState.CLOSING:
            return
        for packet in self._later:
            is_first = self.state is ServerState.WAITING
            if self._is_connect(packet) if is_first else self._is_of_exchange(packet):
                yield packet
            return
        self._look_for_fault()

    def _is_connect(self, packet: Packet) -> bool:
        if not isinstance(packet, Connect):
            self._fault(f"{type(packet).__name__.upper()} before CONNECT")
            return False
        self.version, self.connect = packet.version, packet
        self.state = ServerState.DECIDING
        return True

    def _is_of_exchange(self, packet: Packet) -> bool:
        if isinstance(packet, Disconnect):
            self.state = ServerState.CLOSING
        elif not isinstance(packet, Auth):
            self._fault(f"{type(packet).__name__.upper()} before the CONNACK")
        else:
            return self._is_of_method(packet)
        return False

    def _look_for_fault(self) -> None:
        fault = self.decoder.violation
        if fault is not None and self.state is not ServerState.CLOSING:
            if self.state is ServerState.WAITING:
                self.out += answer_to_broken_connect(fault, self.decoder.peer_level)
            self.violation = fault

    def _is_for_broker(self, message: Message) -> bool:
        if message.properties is not None:
            if self._aliases is None:
                self._aliases = {}
            try:
                resolve_alias(message, self._aliases, self._alias_maximum)
            except ProtocolViolation as exc:
                self._fault(str(exc), ReasonCode.TOPIC_ALIAS_INVALID)
                return False
        received = self._received
        if not message.flags & QOS_2:
            return True
        if message.packet_id in received:
            self.out += pubrec_bytes(message.packet_id)
            return False
        if self.version >= 5 and len(received) >= self._receive_maximum:
            text = f"more than {self._receive_maximum} messages are open"
            self._fault(text, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
            return False
        received.add(message.packet_id)
        return True

    def _take(self, packet: Packet) -> bool:
        """Deal with a packet other than PUBLISH; True if the broker has to."""
        outgoing = self._outgoing
        is_for_broker = False
        if isinstance(packet, Puback):
            is_fitting = outgoing.on_puback(
                packet.packet_id, packet.reason, self.out, self.version
            )
        elif isinstance(packet, Pubrec):
            is_fitting = outgoing.on_pubrec(
                packet.packet_id, packet.reason, self.out, self.version
            )
        elif isinstance(packet, Pubcomp):
            is_fitting = outgoing.on_pubcomp(packet.packet_id, self.out, self.version)
        elif isinstance(packet, Pubrel):
            self._release(packet.packet_id)
            return False
        elif isinstance(packet, Pingreq):
            self.out += PINGRESP
            return False
        else:
            is_for_broker = self._is_request(packet)
            is_fitting = self.violation is not None or is_for_broker
        if not is_fitting:
            name = type(packet).__name__.upper()
            self._fault(f"a {name} that does not fit what went before it")
        return is_for_broker

    def _is_request(self, packet: Packet) -> bool:
        if isinstance(packet, Subscribe | Unsubscribe):
            return True
        if isinstance(packet, Auth):
            return self._is_of_method(packet)
        if isinstance(packet, Disconnect):
            was_to_last = self.connect and self.connect.properties.session_expiry_s
            if was_to_last or not packet.properties.session_expiry_s:
                self.state = ServerState.CLOSING
                return True
            self._fault("DISCONNECT makes a session last that was not to")
        return False

    def _release(self, packet_id: int) -> None:
        received = self._received
        if packet_id in received:
            received.discard(packet_id)
            self.out += pubcomp_bytes(packet_id)
        elif self.version < 5:
            self.out += pubcomp_bytes(packet_id)
        else:
            reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
            self.out += encode(Pubcomp(packet_id=packet_id, reason=reason), 5)

    @property
    def _method(self) -> str | None:
        connect = self.connect
        return None if connect is None else connect.properties.authentication_method

    def _is_of_method(self, packet: Auth) -> bool:
        method = packet.properties.authentication_method
        is_ours = method is not None and method == self._method
        if not is_ours:
            self._fault("AUTH of another method than CONNECT's")
        return is_ours

    def accept(
        self,
        connack: Connack,
        outgoing: Outgoing,
        received: set[int],
        *,
        window: int = MAX_PACKET_ID,
    ) -> None:
        """Welcome the client with this session; what it still lacks is sent at once.

        `received` are the ids of the session's open messages of QoS 2; `window` bounds
        the deliveries under way, if the client does not allow fewer.
        """
        connect = self.connect
        if connect is None or self.state is not ServerState.DECIDING:
            return
        properties = connect.properties
        if properties.topic_alias_maximum or properties.maximum_packet_bytes:
            self.write_publish = PublishWriter(
                alias_maximum=min(
                    properties.topic_alias_maximum or 0, self._alias_maximum
                ),
                maximum_packet_bytes=properties.maximum_packet_bytes,
            ).write
        self.decoder.connected()
        self._outgoing, self._received = outgoing, received
        outgoing.write = self.write_publish
        self.state = ServerState.OPEN
        self.reply(connack)
        allowed = properties.receive_maximum or MAX_PACKET_ID
        outgoing.resume(self.out, self.version, window=min(window, allowed))

    def reply(self, packet: Packet) -> None:
        """Write a packet, unless it is longer than the client takes."""
        data = encode(packet, self.version)
        if self._takes(data):
            self.out += data
        else:
            self._fault("an answer would be too long", ReasonCode.PACKET_TOO_LARGE)

    def _takes(self, data: bytes) -> bool:
        connect = self.connect
        limit = None if connect is None else connect.properties.maximum_packet_bytes
        return limit is None or len(data) <= limit

    def acknowledge(self, message: Message, reason: ReasonCode) -> None:
        """Answer a PUBLISH of QoS 1 or 2; 3.1.1 knows no reasons."""
        packet_id = message.packet_id
        is_qos_2 = message.flags & QOS_2
        if is_qos_2 and self.version >= 5 and reason.is_failure:
            self._received.discard(packet_id)
        if self.state is not OPEN:
            return
        if reason and self.version >= 5:
            cls = Pubrec if is_qos_2 else Puback
            self.reply(cls(packet_id=packet_id, reason=reason))
        elif is_qos_2:
            self.out += pubrec_bytes(packet_id)
        else:
            self.out += puback_bytes(packet_id)

    def challenge(self, reason: ReasonCode, data: bytes | None) -> None:
        """Send AUTH: another step, or the end of authenticating again."""
        properties = AuthProperties(
            authentication_method=self._method, authentication_data=data
        )
        self.reply(Auth(reason=reason, properties=properties))

    def refuse(self, connack: Connack) -> None:
        """Turn the client away."""
        if self.state is ServerState.DECIDING:
            self.reply(connack)
        self.state = ServerState.CLOSING

    def disconnect(self, reason: ReasonCode, text: str | None = None) -> None:
        """End the connection; in 5.0 the client is told why."""
        if self.state is OPEN and self.version >= 5:
            properties = DisconnectProperties(reason_string=text)
            data = encode(Disconnect(reason=reason, properties=properties), 5)
            short = encode(Disconnect(reason=reason), 5)
            self.out += data if self._takes(data) else short
        self.state = ServerState.CLOSING

    def _fault(self, text: str, code: int = ReasonCode.PROTOCOL_ERROR) -> None:
        if self.violation is None:
            self.violation = ProtocolViolation(text, code=int(code))

    def end_if_violated(self) -> bool:
        """Tell a client that has broken the protocol, once all before it is done."""
        fault = self.violation
        if fault is not None and self.state is not ServerState.CLOSING:
            code = ReasonCode(fault.code or ReasonCode.MALFORMED_PACKET)
            if code is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
                # A second CONNECT; DISCONNECT may not carry CONNACK's code.
                code = ReasonCode.PROTOCOL_ERROR
            self.disconnect(code, str(fault))
        return fault is not None
