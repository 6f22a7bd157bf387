"""The server's half of one MQTT connection as a machine without I/O.

The shell gives it bytes and gets packets that the broker has to decide on: CONNECT
first and once, then PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT and AUTH. Pings and
the flows of QoS 1 and 2 are dealt with here, on the session that `accept` attached.

A client that breaks the protocol sets `violation`. What came before the fault is given
to the broker first; then `end_if_violated` writes the DISCONNECT of 5.0 that says why.
After CONNECT a client need not wait (3.1.4), unless it has named a method (5.0 4.12).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import length_hint

from structiot._kit.out_buffer import OutBuffer
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
from structiot.mqtt.wire.codec.remembered import KnownTopics
from structiot.mqtt.wire.flows.aliases import CountedAliases, resolve_alias
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, Outgoing, PacketIds, Write
from structiot.mqtt.wire.flows.writing import writers_for
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
from structiot.mqtt.wire.portions import PORTION_BYTES
from structiot.mqtt.wire.properties import AuthProperties, DisconnectProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.server_state import OPEN, PROGRESS_BYTES, ServerState

__all__ = ["ServerProtocol"]

QOS_2 = 0x04
# A small packet that was decoded, beside its content.
PACKET_BYTES = 130


class ServerProtocol:
    """One client's connection, seen from the server.

    Args:
        max_packet_bytes: Longest packet taken; a longer one is refused from its header.
        max_connect_bytes: Longest packet other than PUBLISH.
        topic_alias_maximum: Topic aliases that either side may use.
        receive_maximum: QoS 2 messages that a client of 5.0 may have open.
        packet_limits: What is counted in a packet.
        common_topics: Topics that the decoders of several clients know.

    Attributes:
        out: Bytes to write.
        kept: Bytes to write once a store has what they depend on: all but PINGRESP.
        state: Where the connection is.
        version: 4 or 5, known from the CONNECT.
        connect: The CONNECT; None before it came.
        violation: Set when the client broke the protocol.
        write_publish: How a PUBLISH is written to this client.
        last_received_at: When a packet or a good part of one came, for the keep-alive.
        decoder: Tells how much of an unfinished packet has come.
        decoded: How many packets the last bytes have completed.
        is_even: Whether they left nothing here, and nothing was here before.
    """

    __slots__ = (
        "_alias_maximum", "_aliases", "_later", "_opened", "_outgoing",
        "_receive_maximum", "_received", "connect", "decoded", "decoder", "is_even",
        "kept", "last_received_at", "out", "state", "version", "violation",
        "write_publish",
    )  # fmt: skip

    _outgoing: Outgoing
    _received: set[int]
    _opened: int  # of QoS 2, on this connection: the window counts anew with each
    _later: Iterator[Packet]  # what was decoded and not dealt with yet

    def __init__(
        self,
        *,
        max_packet_bytes: int,
        max_connect_bytes: int = 256 * 1024,
        topic_alias_maximum: int = 0,
        receive_maximum: int = MAX_PACKET_ID,
        packet_limits: PacketLimits = USUAL_LIMITS,
        common_topics: KnownTopics | None = None,
    ) -> None:
        self.out: OutBuffer = OutBuffer()
        self.kept: bytearray = self.out
        self.state: ServerState = ServerState.WAITING
        self.version: int = 4
        self.connect: Connect | None = None
        self.violation: ProtocolViolation | None = None
        self.write_publish: Write = encode_publish_into
        self.last_received_at: float = 0.0
        self.decoded: int = 0
        self.is_even: bool = False
        self.decoder: Decoder = Decoder(
            role="server",
            max_packet_bytes=max_packet_bytes,
            max_first_bytes=max_connect_bytes,
            max_other_bytes=max_connect_bytes,
            limits=packet_limits,
            common_topics=common_topics,
        )
        self._alias_maximum = topic_alias_maximum
        self._receive_maximum = receive_maximum
        self._aliases = CountedAliases()
        self.detach()

    @property
    def hoarded_bytes(self) -> int:
        """What an unfinished packet and the client's aliases hold."""
        return self.decoder.held_bytes + self._aliases.held_bytes

    @property
    def undealt_bytes(self) -> int:
        """What the packets take that were decoded and not taken, beside their bytes."""
        count = length_hint(self._later)
        return count and count * PACKET_BYTES + self.decoder.extra_bytes

    def weigh(self) -> int:
        """Tell the same with what is not written yet and what is remembered."""
        size = self.hoarded_bytes + self.decoder.remembered.held_bytes + self.out.size
        return size if self.kept is self.out else size + len(self.kept)

    # -- receiving -----------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Iterator[Packet]:
        """Take bytes; give the packets that the broker has to deal with, in order.

        Nothing has happened yet to a packet that has not been taken from the iterator.
        Whoever stops early, has accepted a CONNECT or sees a rest calls with no data again.
        """
        decoder = self.decoder
        had: object = decoder.is_amid
        if not (left := length_hint(self._later)):
            decoder.extra_bytes = 0
        is_due = data or not left
        packets = decoder.feed(data, portion_bytes=PORTION_BYTES) if is_due else []
        self.decoded, self.is_even = len(packets), False
        if packets or len(data) >= PROGRESS_BYTES:
            self.last_received_at = now
        if packets:
            if left:
                packets = [*self._later, *packets]
            self._later = iter(packets)
        if self.state is not OPEN:
            return self._begin()
        if not packets or decoder.violation is not None:
            return self._sort()
        for packet in packets:
            if type(packet) is not Message or packet.flags & QOS_2 or packet.properties:
                return self._sort()
        # All of them are for the broker as they are.
        had = had or decoder.is_amid or self.out.size or self.kept
        self.is_even = not (decoder.remembered.take_news() or had)
        return self._later

    def _sort(self) -> Iterator[Packet]:
        for packet in self._later:
            if type(packet) is Message:
                is_for_broker = self._is_for_broker(packet)
            else:
                is_for_broker = self._take(packet)
            if is_for_broker:
                yield packet
            elif self.violation is None:
                continue
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
        elif isinstance(packet, Auth):
            return self._is_of_method(packet)
        else:
            self._fault(f"{type(packet).__name__.upper()} before the CONNACK")
        return False

    def _look_for_fault(self) -> None:
        fault = self.decoder.violation
        if fault is not None and self.state is not ServerState.CLOSING:
            if self.state is ServerState.WAITING:
                self.kept += answer_to_broken_connect(fault, self.decoder.peer_level)
            self.violation = fault

    def _is_for_broker(self, message: Message) -> bool:
        if message.properties is not None:
            try:
                resolve_alias(message, self._aliases, self._alias_maximum)
            except ProtocolViolation as exc:
                self._fault(str(exc), exc.code or ReasonCode.PROTOCOL_ERROR)
                return False
        if not message.flags & QOS_2:
            return True
        if message.packet_id in (received := self._received):
            self.kept += pubrec_bytes(message.packet_id)
            return False
        if self.version >= 5 and self._opened >= self._receive_maximum:
            text = f"more than {self._receive_maximum} messages are open"
            self._fault(text, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
            return False
        received.add(message.packet_id)
        self._opened += 1
        return True

    def _take(self, packet: Packet) -> bool:
        """Deal with a packet other than PUBLISH; True if the broker has to."""
        if isinstance(packet, Pubrel):
            self._release(packet.packet_id)
            return False
        flows, kept, version = self._outgoing, self.kept, self.version
        is_for_broker = False
        if isinstance(packet, Puback):
            is_fitting = flows.on_puback(packet.packet_id, packet.reason, kept, version)
        elif isinstance(packet, Pubrec):
            is_fitting = flows.on_pubrec(packet.packet_id, packet.reason, kept, version)
        elif isinstance(packet, Pubcomp):
            is_fitting = flows.on_pubcomp(packet.packet_id, kept, version)
        elif isinstance(packet, Pingreq):
            self.out += PINGRESP
            return False
        else:
            is_for_broker = self._is_request(packet)
            is_fitting = self.violation is not None or is_for_broker
        if not is_fitting:
            text = "that does not fit what went before it"
            self._fault(f"a {type(packet).__name__.upper()} {text}")
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
        if is_known := packet_id in self._received:
            self._received.discard(packet_id)
            self._opened -= self._opened > 0  # it may be of an earlier connection
        self.kept += pubcomp_bytes(packet_id, is_known=is_known or self.version < 5)

    @property
    def _method(self) -> str | None:
        connect = self.connect
        return None if connect is None else connect.properties.authentication_method

    def _is_of_method(self, packet: Auth) -> bool:
        if packet.properties.authentication_method == self._method is not None:
            return True
        self._fault("AUTH of another method than CONNECT's")
        return False

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
        self.write_publish, outgoing.write = writers_for(
            properties, self._alias_maximum, may_overtake=self.kept is not self.out
        )
        self.decoder.connected()
        self._outgoing, self._received = outgoing, received
        self.state = ServerState.OPEN
        self.reply(connack)
        allowed = properties.receive_maximum or MAX_PACKET_ID
        outgoing.resume(self.kept, self.version, window=min(window, allowed))

    def detach(self) -> None:
        """Let go of the session, which goes on without this connection, or has ended."""
        self._outgoing, self._received, self._opened = Outgoing(PacketIds()), set(), 0
        self._later = iter(())
        self.decoder.forget_unfinished()

    def reply(self, packet: Packet) -> None:
        """Write a packet, unless it is longer than the client takes."""
        if self._takes(data := encode(packet, self.version)):
            self.kept += data
        else:
            self._fault("an answer would be too long", ReasonCode.PACKET_TOO_LARGE)

    def _takes(self, data: bytes) -> bool:
        connect = self.connect
        limit = None if connect is None else connect.properties.maximum_packet_bytes
        return limit is None or len(data) <= limit

    def acknowledge(self, message: Message, reason: ReasonCode) -> None:
        """Answer a PUBLISH of QoS 1 or 2; 3.1.1 knows no reasons."""
        is_qos_2, has_reason = message.flags & QOS_2, reason and self.version >= 5
        if is_qos_2 and has_reason and reason.is_failure:
            self._received.discard(message.packet_id)
            self._opened -= 1
        if self.state is not OPEN:
            return
        if has_reason:
            cls = Pubrec if is_qos_2 else Puback
            self.reply(cls(packet_id=message.packet_id, reason=reason))
        else:
            write = pubrec_bytes if is_qos_2 else puback_bytes
            self.kept += write(message.packet_id)

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
            self.kept += data if self._takes(data) else short
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
