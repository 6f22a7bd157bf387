"""The server's half of one MQTT connection as a machine without I/O.

The shell gives it bytes and gets packets that the broker has to decide on: CONNECT
first and once, then SUBSCRIBE, UNSUBSCRIBE, PUBLISH, DISCONNECT and AUTH. Pings and
the flows of QoS 1 and 2 are dealt with here, on the session that `accept` attached.
`out` collects what is to be written. A peer that breaks the protocol sets
`violation`; in 5.0 the DISCONNECT that says why stands in `out`.

States: WAITING (for CONNECT) -> OPEN (CONNACK with success written) -> CLOSING.
"""

from __future__ import annotations

from enum import Enum

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import PINGRESP, Decoder, encode, encode_publish_into
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
from structiot.mqtt.wire.properties import DisconnectProperties
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.receiving import Incoming
from structiot.mqtt.wire.sending import MAX_PACKET_ID, Outgoing, Write
from structiot.mqtt.wire.writing import PublishWriter

__all__ = ["ServerProtocol", "ServerState"]


class ServerState(Enum):
    """Where a connection is."""

    WAITING = "waiting for CONNECT"
    OPEN = "open"
    CLOSING = "closing"


class ServerProtocol:
    """One client's connection, seen from the server.

    Args:
        max_packet_bytes: Longest packet taken; a longer one is refused from its header.
        topic_alias_maximum: Topic aliases that the client may use.

    Attributes:
        out: Bytes to write.
        state: Where the connection is.
        version: 4 or 5, known from the CONNECT.
        connect: The CONNECT; None before it came.
        violation: Set when the client broke the protocol.
        write_publish: How a PUBLISH is written to this client.
        last_received_at: When anything came, for the keep-alive.
    """

    def __init__(self, *, max_packet_bytes: int, topic_alias_maximum: int = 0) -> None:
        self.out = bytearray()
        self.state = ServerState.WAITING
        self.version = 4
        self.connect: Connect | None = None
        self.violation: ProtocolViolation | None = None
        self.write_publish: Write = encode_publish_into
        self.last_received_at = 0.0
        self._decoder = Decoder(role="server", max_packet_bytes=max_packet_bytes)
        self._alias_maximum = topic_alias_maximum
        self._aliases: dict[int, str] = {}
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None

    def receive(self, data: bytes, now: float) -> list[Packet]:
        """Take bytes; give the packets that the broker has to deal with."""
        self.last_received_at = now
        events: list[Packet] = []
        for packet in self._decoder.feed(data):
            if type(packet) is Message:
                if self._take_message(packet):
                    events.append(packet)
            else:
                self._take(packet, events)
            if self.violation is not None:
                return events
        fault = self._decoder.violation
        if fault is not None:
            if self.state is ServerState.WAITING:
                self._refuse_connect(fault)
            self.violate(fault, fault.code or ReasonCode.MALFORMED_PACKET)
        return events

    def _refuse_connect(self, fault: ProtocolViolation) -> None:
        if fault.code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            level = self._decoder.peer_level
            version = 5 if level is not None and level > 5 else 4
            reason = (
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
                if version == 5
                else ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION
            )
            self.out += encode(Connack(reason=reason), version)

    def _take_message(self, message: Message) -> bool:
        if self.state is not ServerState.OPEN or self._incoming is None:
            self._fault("PUBLISH before CONNECT")
            return False
        properties = message.properties
        if (
            properties is not None
            and properties.topic_alias is not None
            and not self._resolve_alias(message, properties.topic_alias)
        ):
            return False
        if not message.flags & 6:
            return True
        try:
            return self._incoming.arrive(message, self.out)
        except ProtocolViolation as exc:
            self._fault(str(exc), ReasonCode(exc.code or ReasonCode.PROTOCOL_ERROR))
            return False

    def _resolve_alias(self, message: Message, alias: int) -> bool:
        if alias > self._alias_maximum or (
            not message.topic and alias not in self._aliases
        ):
            self._fault(f"topic alias {alias}", ReasonCode.TOPIC_ALIAS_INVALID)
            return False
        if message.topic:
            self._aliases[alias] = message.topic
        else:
            message.topic = self._aliases[alias]
        return True

    def _take(self, packet: Packet, events: list[Packet]) -> None:
        if self.state is ServerState.WAITING:
            if isinstance(packet, Connect):
                self.version = packet.version
                self.connect = packet
            elif not (isinstance(packet, Auth) and self.connect is not None):
                self._fault(f"{type(packet).__name__} before CONNECT")
                return
            events.append(packet)
        elif isinstance(packet, Pingreq):
            self.out += PINGRESP
        elif isinstance(packet, Puback | Pubrec | Pubcomp | Pubrel):
            if not self._take_ack(packet):
                name = type(packet).__name__.upper()
                self._fault(f"{name} {packet.packet_id} does not fit the message's QoS")
        elif isinstance(packet, Subscribe | Unsubscribe | Disconnect | Auth):
            events.append(packet)
        else:
            self._fault(f"an unexpected {type(packet).__name__.upper()}")

    def _take_ack(self, packet: Puback | Pubrec | Pubcomp | Pubrel) -> bool:
        outgoing, incoming = self._outgoing, self._incoming
        if outgoing is None or incoming is None:
            return False
        packet_id = packet.packet_id
        if isinstance(packet, Puback):
            return outgoing.on_puback(packet_id, packet.reason, self.out, self.version)
        if isinstance(packet, Pubrec):
            return outgoing.on_pubrec(packet_id, packet.reason, self.out, self.version)
        if isinstance(packet, Pubcomp):
            return outgoing.on_pubcomp(packet_id, self.out, self.version)
        incoming.on_pubrel(packet_id, self.out, self.version)
        return True

    def accept(self, connack: Connack, outgoing: Outgoing, incoming: Incoming) -> None:
        """Welcome the client with this session; what it still lacks is sent at once."""
        connect = self.connect
        if connect is None:
            return
        properties = connect.properties
        if properties.topic_alias_maximum or properties.maximum_packet_bytes:
            self.write_publish = PublishWriter(
                alias_maximum=properties.topic_alias_maximum or 0,
                maximum_packet_bytes=properties.maximum_packet_bytes,
            ).write
        self._outgoing, self._incoming = outgoing, incoming
        outgoing.write = self.write_publish
        self.state = ServerState.OPEN
        self.out += encode(connack, self.version)
        outgoing.resume(
            self.out, self.version, window=properties.receive_maximum or MAX_PACKET_ID
        )

    def refuse(self, connack: Connack) -> None:
        """Turn the client away."""
        self.out += encode(connack, self.version)
        self.state = ServerState.CLOSING

    def disconnect(
        self,
        reason: ReasonCode,
        properties: DisconnectProperties | None = None,
    ) -> None:
        """End the connection; in 5.0 the client is told why."""
        if self.state is ServerState.OPEN and self.version >= 5:
            packet = Disconnect(
                reason=reason, properties=properties or DisconnectProperties()
            )
            self.out += encode(packet, self.version)
        self.state = ServerState.CLOSING

    def _fault(self, text: str, code: int = ReasonCode.PROTOCOL_ERROR) -> None:
        self.violate(ProtocolViolation(text, code=int(code)), code)

    def violate(self, violation: ProtocolViolation, code: int) -> None:
        """The client has broken the protocol: tell it and close."""
        if self.violation is None:
            self.violation = violation
            self.disconnect(ReasonCode(code))
