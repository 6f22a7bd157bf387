"""Acknowledgements of two bytes: they say nothing but a packet id, and come in masses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from structiot.mqtt.wire.messages import Ack, Puback, Pubcomp, Pubrec, Pubrel
from structiot.mqtt.wire.properties import NO_ACK_PROPERTIES
from structiot.mqtt.wire.reasons import SUCCESS

__all__ = ["SHORT_ACKS", "lone_ack"]


def _short_ack(cls: type[Ack]) -> Callable[[int], Ack]:
    # Storing through the slot descriptors makes the frozen packet in a third of the
    # time that its own constructor takes; acknowledgements come by the hundred
    # thousand.
    new = object.__new__
    fields: Any = cls.__dict__
    set_id = fields["packet_id"].__set__
    set_reason = fields["reason"].__set__
    set_properties = fields["properties"].__set__

    def make(packet_id: int) -> Ack:
        packet = new(cls)
        set_id(packet, packet_id)
        set_reason(packet, SUCCESS)
        set_properties(packet, NO_ACK_PROPERTIES)
        return packet

    return make


SHORT_ACKS = {
    0x40: _short_ack(Puback),
    0x50: _short_ack(Pubrec),
    0x62: _short_ack(Pubrel),
    0x70: _short_ack(Pubcomp),
}
"""What makes an acknowledgement of its packet id, by first byte."""


def lone_ack(data: bytes) -> Ack | None:
    """Decode four bytes that are one of them; None for others."""
    make = SHORT_ACKS.get(data[0])
    number = data[2] << 8 | data[3]
    return make(number) if make and data[1] == 2 and number else None
