"""PUBLISH packets within what the peer of one connection takes (MQTT 5.0).

A `PublishWriter` stands in for `encode_publish_into` where the peer has announced
limits or takes topic aliases. An alias is given to each topic in turn until the peer's
maximum is reached: the first packet carries both, the later ones the alias alone.
"""

from __future__ import annotations

from typing import NoReturn

from structiot._kit.out_buffer import LARGE_BYTES, OutBuffer, size_of
from structiot.errors import CommandRefused
from structiot.mqtt.wire.codec import encode_publish_into
from structiot.mqtt.wire.flows.outbound import Write
from structiot.mqtt.wire.messages import QOS_BITS, RETAIN
from structiot.mqtt.wire.properties import (
    ConnackProperties,
    ConnectProperties,
    PublishProperties,
)
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["PublishWriter", "writer_for", "writers_for"]

NO_TOPIC = b"\x00\x00"
# An alias costs three bytes, so a topic of three characters gains nothing; long ones
# would cost memory for as long as the connection lasts.
ALIASED_CHARS = range(4, 257)
LONGEST_FAST = 127


class PublishWriter:
    """Writes what one peer accepts.

    Args:
        alias_maximum: Topic aliases that the peer takes.
        maximum_qos: Highest QoS that it takes.
        retain_available: Whether it keeps messages.
        maximum_packet_bytes: Longest packet that it takes; None is no limit.
    """

    def __init__(
        self,
        *,
        alias_maximum: int = 0,
        maximum_qos: int = 2,
        retain_available: bool = True,
        maximum_packet_bytes: int | None = None,
    ) -> None:
        self._alias_maximum = alias_maximum
        self._maximum_qos = maximum_qos
        self._retain_available = retain_available
        self._maximum_packet_bytes = maximum_packet_bytes
        # The end of the variable header once the alias is known to the peer.
        self._aliased: dict[str, bytes] = {}

    def write(  # noqa: PLR0917 - the signature of encode_publish_into
        self,
        out: bytearray,
        topic: str,
        payload: bytes,
        flags: int,
        packet_id: int,
        version: int,
        properties: PublishProperties | None = None,
    ) -> None:
        """Append one PUBLISH, as `encode_publish_into` does.

        Raises:
            UsageError: The standard does not let us send this.
            CommandRefused: The peer has announced that it does not take this.
        """
        if flags:
            self._check_flags(flags, topic)
        start, own = size_of(out), len(out)
        block = self._aliased.get(topic) if properties is None else None
        if block is not None:
            self._write_aliased(out, block, payload, flags, packet_id)
        elif (
            properties is None
            and len(self._aliased) < self._alias_maximum
            and len(topic) in ALIASED_CHARS
        ):
            alias = len(self._aliased) + 1
            known = PublishProperties(topic_alias=alias)
            encode_publish_into(out, topic, payload, flags, packet_id, version, known)
            if self._is_too_long(out, start):
                # The alias costs three bytes that the plain form does not need.
                _cut(out, own, start)
                encode_publish_into(out, topic, payload, flags, packet_id, version)
            else:
                self._aliased[topic] = b"\x03\x23" + alias.to_bytes(2, "big")
        else:
            encode_publish_into(
                out, topic, payload, flags, packet_id, version, properties
            )
        if self._is_too_long(out, start):
            size = size_of(out) - start
            _cut(out, own, start)
            self._refuse_length(size, topic)

    def _write_aliased(
        self, out: bytearray, block: bytes, payload: bytes, flags: int, packet_id: int
    ) -> None:
        head = NO_TOPIC + packet_id.to_bytes(2, "big") if packet_id else NO_TOPIC
        size = len(head) + len(block) + len(payload)
        out.append(0x30 | flags)
        while size > LONGEST_FAST:
            out.append(size & 0x7F | 0x80)
            size >>= 7
        out.append(size)
        out += head
        out += block
        if len(payload) >= LARGE_BYTES and type(out) is OutBuffer:
            out.add_large(payload)
        else:
            out += payload

    def _check_flags(self, flags: int, topic: str) -> None:
        qos = (flags & QOS_BITS) >> 1
        if qos > self._maximum_qos:
            message = (
                f"a message to {topic[:64]!r} has QoS {qos}; "
                f"the peer takes messages up to QoS {self._maximum_qos}"
            )
            raise CommandRefused(message, code=ReasonCode.QOS_NOT_SUPPORTED)
        if flags & RETAIN and not self._retain_available:
            message = (
                f"a message to {topic[:64]!r} is to be retained; "
                "the peer keeps no retained messages"
            )
            raise CommandRefused(message, code=ReasonCode.RETAIN_NOT_SUPPORTED)

    def _is_too_long(self, out: bytearray, start: int) -> bool:
        limit = self._maximum_packet_bytes
        return limit is not None and size_of(out) - start > limit

    def _refuse_length(self, size: int, topic: str) -> NoReturn:
        message = (
            f"a message to {topic[:64]!r} is a packet of {size} bytes; "
            f"the peer takes {self._maximum_packet_bytes}"
        )
        raise CommandRefused(message, code=ReasonCode.PACKET_TOO_LARGE)


def _cut(out: bytearray, own: int, size: int) -> None:
    """Take back what was written since."""
    if type(out) is OutBuffer:
        out.cut(own, size - own)
    else:
        del out[own:]


def writer_for(limits: ConnackProperties, *, uses_aliases: bool) -> Write:
    """Give the quickest writer that keeps within what a server has announced."""
    aliases = limits.topic_alias_maximum if uses_aliases else None
    restricting = (
        aliases,
        limits.maximum_qos,
        limits.retain_available,
        limits.maximum_packet_bytes,
    )
    if all(limit is None for limit in restricting):
        return encode_publish_into
    return PublishWriter(
        alias_maximum=aliases or 0,
        maximum_qos=2 if limits.maximum_qos is None else limits.maximum_qos,
        retain_available=limits.retain_available is not False,
        maximum_packet_bytes=limits.maximum_packet_bytes,
    ).write


def writers_for(
    limits: ConnectProperties, alias_maximum: int, *, may_overtake: bool
) -> tuple[Write, Write]:
    """Give the writers of QoS 0, and of QoS 1 and 2, for what a client has announced.

    Where the former may overtake the latter, only QoS 0 has aliases: a packet that
    introduces one has to come first.
    """
    aliases = min(limits.topic_alias_maximum or 0, alias_maximum)
    longest = limits.maximum_packet_bytes
    if not limits.topic_alias_maximum and not longest:
        return encode_publish_into, encode_publish_into
    write = PublishWriter(alias_maximum=aliases, maximum_packet_bytes=longest).write
    if not may_overtake:
        return write, write
    return write, PublishWriter(maximum_packet_bytes=longest).write
