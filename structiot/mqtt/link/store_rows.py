"""How a client's message becomes a row of its store, and what of a row is believed."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from structiot.mqtt.wire.codec.property_blocks import write_properties
from structiot.mqtt.wire.flows.journal import KEPT, StoredFlow
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["Times", "flow_of", "row_of"]

# 2025-01-01: no clock that is older than this library is right.
EARLIEST_UTC_S = 1_735_689_600.0
# Numbers are counted on from the highest.
_HIGHEST_NUMBER = 2**53
# Beyond any clock.
_LAST_INSTANT_S = 1e12


@dataclass(frozen=True, slots=True)
class Times:
    """What two clocks say at one moment.

    Attributes:
        loop_s: The loop's, which nobody sets.
        utc_s: The system's.
    """

    loop_s: float
    utc_s: float

    @property
    def offset_s(self) -> float:
        """How far they are apart."""
        return self.utc_s - self.loop_s


def flow_of(row: tuple[Any, ...], now: Times) -> StoredFlow:
    """Read a row.

    Raises:
        ValueError: It has what nobody writes.
        Exception: It is of other types.
    """
    (
        number,
        stage,
        packet_id,
        flags,
        topic,
        payload,
        properties,
        written_utc,
        expires_utc,
    ) = row
    is_sound = (
        all(isinstance(one, int) for one in (number, stage, packet_id, flags))
        and 1 <= number <= _HIGHEST_NUMBER
        and stage in KEPT
        and isinstance(topic, str)
        and isinstance(payload, bytes)
        and all(
            one is None or abs(one) <= _LAST_INSTANT_S
            for one in (written_utc, expires_utc)
        )
    )
    if not is_sound:
        raise ValueError("a row that nobody has written")
    read = _read_properties(properties)
    if read is not None:
        # What cannot be sent could not have been accepted.
        write_properties(read, PublishProperties)
    return StoredFlow(
        number=number,
        stage=stage,
        packet_id=packet_id,
        flags=flags,
        topic=topic,
        payload=payload,
        properties=read,
        expires_at=_expires_at(written_utc, expires_utc, now),
    )


def row_of(client_id: str, flow: StoredFlow, now: Times) -> tuple[object, ...]:
    """Write a flow as a row."""
    expires_at = flow.expires_at
    return (
        client_id,
        flow.number,
        flow.stage,
        flow.packet_id,
        flow.flags,
        flow.topic,
        flow.payload,
        _write_properties(flow.properties),
        None if expires_at is None else now.utc_s,
        None if expires_at is None else expires_at + now.offset_s,
    )


def _expires_at(
    written_utc: float | None, expires_utc: float | None, now: Times
) -> float | None:
    """Give by the loop's clock when a message expires that was written down."""
    if written_utc is None or expires_utc is None:
        return None
    # How long nobody was there to count; nothing if the clock was wrong then or now.
    away_s = now.utc_s - written_utc if written_utc >= EARLIEST_UTC_S else 0.0
    return now.loop_s + (expires_utc - written_utc) - max(away_s, 0.0)


def _write_properties(properties: PublishProperties | None) -> str | None:
    if properties is None:
        return None
    correlation = properties.correlation_data
    return json.dumps(
        {
            "payload_format": properties.payload_format,
            "message_expiry_s": properties.message_expiry_s,
            "response_topic": properties.response_topic,
            "correlation_data": (
                None if correlation is None else b64encode(correlation).decode()
            ),
            "content_type": properties.content_type,
            "user_properties": properties.user_properties,
        }
    )


def _read_properties(text: str | None) -> PublishProperties | None:
    if text is None:
        return None
    values = json.loads(text)
    correlation = values["correlation_data"]
    values["correlation_data"] = None if correlation is None else b64decode(correlation)
    values["user_properties"] = tuple(
        (name, value) for name, value in values["user_properties"]
    )
    return PublishProperties(**values)
