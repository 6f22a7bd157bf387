"""An `Outgoing` with a connection to nobody, for the tests of the sender's half."""

from __future__ import annotations

from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, Flow, Outgoing, PacketIds
from structiot.mqtt.wire.messages import Message, Packet
from structiot.mqtt.wire.reasons import ReasonCode

OK = ReasonCode.SUCCESS


class Sender:
    """An `Outgoing` with a connection that remembers what was sent."""

    def __init__(self, *, version: int = 4, window: int = MAX_PACKET_ID) -> None:
        self.version = version
        self.ids = PacketIds()
        self.outgoing = Outgoing(self.ids)
        self.out = bytearray()
        self._decoder = Decoder(role="server", version=version)
        self.outgoing.restart(self.out, version, window=window)

    def submit(self, name: str, qos: int = 1) -> Flow:
        flow = Flow("t", name.encode(), qos << 1)
        self.outgoing.submit(flow, self.out, self.version)
        return flow

    def submit_all(self, names: str, qos: int = 1) -> list[Flow]:
        return [self.submit(name, qos) for name in names]

    def sent(self) -> list[Packet]:
        """What has been written since the last look."""
        packets = self._decoder.feed(bytes(self.out))
        assert self._decoder.violation is None
        self.out.clear()
        return packets

    def told(self) -> list[tuple[str, int]]:
        """The same in short: payload or packet type, and packet id."""
        return [told(packet) for packet in self.sent()]

    def cut(self) -> None:
        self.outgoing.pause()
        self.out.clear()
        self._decoder = Decoder(role="server", version=self.version)

    def resume(self, window: int = MAX_PACKET_ID) -> None:
        self.outgoing.resume(self.out, self.version, window=window)

    def restart(self, window: int = MAX_PACKET_ID) -> None:
        self.outgoing.restart(self.out, self.version, window=window)

    def puback(self, packet_id: int, reason: ReasonCode = OK) -> bool:
        return self.outgoing.on_puback(packet_id, reason, self.out, self.version)

    def pubrec(self, packet_id: int, reason: ReasonCode = OK) -> bool:
        return self.outgoing.on_pubrec(packet_id, reason, self.out, self.version)

    def pubcomp(self, packet_id: int) -> bool:
        return self.outgoing.on_pubcomp(packet_id, self.out, self.version)


def told(packet: Packet) -> tuple[str, int]:
    if isinstance(packet, Message):
        name = packet.payload.decode() + (" again" if packet.dup else "")
        return name, packet.packet_id
    return type(packet).__name__, getattr(packet, "packet_id", 0)


def done(flow: Flow) -> bool:
    return flow.is_done


class Bell:
    def __init__(self) -> None:
        self.rings = 0

    def set(self) -> None:
        self.rings += 1
