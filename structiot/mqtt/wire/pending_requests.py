"""SUBSCRIBE and UNSUBSCRIBE: requests with an id that the server answers once."""

from __future__ import annotations

from structiot.errors import CommandRefused
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.flows.flow import PacketIds
from structiot.mqtt.wire.messages import Subscribe, SubscriptionRequest, Unsubscribe
from structiot.mqtt.wire.properties import SubscribeProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["REQUEST_IDS", "PendingRequests"]

# Packet ids that messages leave free: however many of them wait, a request waits for
# other requests at most.
REQUEST_IDS = 100


class PendingRequests:
    """The requests of one connection that wait for their answer.

    Args:
        ids: The packet ids of this direction.

    Attributes:
        maximum_packet_bytes: Longest packet that the server takes; None is no limit.
    """

    def __init__(self, ids: PacketIds) -> None:
        self.maximum_packet_bytes: int | None = None
        self._ids = ids
        self._pending: set[int] = set()

    def subscribe(
        self,
        out: bytearray,
        version: int,
        requests: tuple[SubscriptionRequest, ...],
        properties: SubscribeProperties | None,
    ) -> int:
        """Write a SUBSCRIBE; give its packet id, or 0 when none is free."""
        if packet_id := self._ids.take():
            packet = Subscribe(
                packet_id=packet_id,
                subscriptions=requests,
                properties=properties or SubscribeProperties(),
            )
            self._write(out, version, packet)
        return packet_id

    def unsubscribe(
        self, out: bytearray, version: int, topic_filters: tuple[str, ...]
    ) -> int:
        """Write an UNSUBSCRIBE; give its packet id, or 0 when none is free."""
        if packet_id := self._ids.take():
            packet = Unsubscribe(packet_id=packet_id, topic_filters=topic_filters)
            self._write(out, version, packet)
        return packet_id

    def _write(
        self, out: bytearray, version: int, packet: Subscribe | Unsubscribe
    ) -> None:
        try:
            data = encode(packet, version)
            self._check_size(len(data))
        except BaseException:
            self._ids.free(packet.packet_id)
            raise
        out += data
        self._pending.add(packet.packet_id)

    def _check_size(self, size: int) -> None:
        limit = self.maximum_packet_bytes
        if limit is not None and size > limit:
            message = f"a packet of {size} bytes; the peer takes {limit}"
            raise CommandRefused(message, code=ReasonCode.PACKET_TOO_LARGE)

    def answered(self, packet_id: int) -> bool:
        """Take an answer; False if it belongs to nothing."""
        if packet_id not in self._pending:
            return False
        self._pending.discard(packet_id)
        self._ids.free(packet_id)
        return True

    def connection_lost(self) -> None:
        """No answer will come any more."""
        for packet_id in self._pending:
            self._ids.free(packet_id)
        self._pending.clear()
