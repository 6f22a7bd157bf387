"""Which rows of a store can be used: any hand, or a bad disk, may have written them."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TypeVar

from structiot.errors import StructiotError
from structiot.mqtt.broker.core.records import (
    ClockRow,
    DeliveryRow,
    MessageRow,
    ReceivedRow,
    RetainedRow,
    SessionRow,
    SubscriptionRow,
    properties_from,
    will_from,
)
from structiot.mqtt.wire.flows.flow import RELEASED, WAITING
from structiot.mqtt.wire.flows.journal import KEPT
from structiot.mqtt.wire.topics import filter_fault, is_shared, name_fault

__all__ = ["RowChecks"]

T = TypeVar("T")

# Numbers are counted on from the highest.
_HIGHEST = 2**53
_HIGHEST_ID = 65_535
_HIGHEST_SUBSCRIPTION_ID = 268_435_455
_LONGEST_EXPIRY_S = 2**32 - 1
# Beyond any clock, and far from where seconds are lost in rounding.
_LAST_INSTANT_S = 1e12


class RowChecks:
    """Checks the rows of one store: sessions and messages before what refers to them."""

    def __init__(self) -> None:
        self._sessions: set[int] = set()
        self._messages: set[int] = set()
        self._ids: set[tuple[int, int]] = set()

    def clock(self, row: ClockRow) -> bool:
        """Check what the clocks have shown."""
        values: tuple[object, ...] = row
        return all(one is not None and _is_instant(one) for one in values)

    def session(self, row: SessionRow) -> bool:
        """Check a session."""
        is_sound = (
            _is_number(row.number)
            and _is_text(row.client_id)
            and (row.username is None or _is_text(row.username))
            and _is_within(row.expiry_s, 0, _LONGEST_EXPIRY_S)
            and _is_instant(row.expires_at_s)
            and _is_instant(row.will_at_s)
            and (row.will is None or _read(will_from, row.will) is not None)
        )
        if is_sound:
            self._sessions.add(row.number)
        return is_sound

    def subscription(self, row: SubscriptionRow) -> bool:
        """Check a filter, and that its session is there."""
        return (
            row.session in self._sessions
            and _is_text(row.topic_filter)
            and filter_fault(row.topic_filter) is None
            and _is_within(row.qos, 0, 2)
            and _is_within(row.no_local, 0, 1)
            and _is_within(row.retain_as_published, 0, 1)
            and _is_within(row.retain_handling, 0, 2)
            and (
                row.identifier is None
                or _is_within(row.identifier, 1, _HIGHEST_SUBSCRIPTION_ID)
            )
        )

    def message(self, row: MessageRow) -> bool:
        """Check a topic and a payload."""
        is_sound = (
            _is_number(row.number) and _is_topic(row.topic) and _is_bytes(row.payload)
        )
        if is_sound:
            self._messages.add(row.number)
        return is_sound

    def delivery(self, row: DeliveryRow) -> bool:
        """Check a delivery, and that its session and its message are there."""
        is_sound = (
            _is_number(row.position)
            and row.session in self._sessions
            and row.stage in KEPT
            and _is_within(row.flags, 0, 15)
            and (row.flags >> 1) & 3 in {1, 2}
            and _is_instant(row.expires_at_s)
            and _has_properties(row.properties)
            and (row.share is None or _is_shared(row.share))
        )
        if not is_sound:
            return False
        if row.stage != RELEASED and row.message not in self._messages:
            return False
        if row.stage == WAITING:
            return _is_within(row.packet_id, 0, _HIGHEST_ID)
        # No two messages are under way by one id.
        key = row.session, row.packet_id
        if key in self._ids or not _is_within(row.packet_id, 1, _HIGHEST_ID):
            return False
        self._ids.add(key)
        return True

    def received(self, row: ReceivedRow) -> bool:
        """Check an id, and that its session is there."""
        return row.session in self._sessions and _is_within(
            row.packet_id, 1, _HIGHEST_ID
        )

    def retained(self, row: RetainedRow) -> bool:
        """Check a retained message."""
        return (
            _is_topic(row.topic)
            and _is_bytes(row.payload)
            and _is_within(row.qos, 0, 2)
            and _is_instant(row.expires_at_s)
            and _has_properties(row.properties)
            and (row.client_id is None or _is_text(row.client_id))
            and (row.username is None or _is_text(row.username))
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _is_within(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and low <= value <= high


def _is_number(value: object) -> bool:
    return _is_within(value, 1, _HIGHEST)


def _is_instant(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, int | float)
        and isfinite(value)
        and abs(value) <= _LAST_INSTANT_S
    )


def _is_topic(value: object) -> bool:
    return isinstance(value, str) and name_fault(value) is None


def _is_shared(value: object) -> bool:
    return isinstance(value, str) and is_shared(value) and filter_fault(value) is None


def _has_properties(value: object) -> bool:
    return value is None or _read(properties_from, value) is not None


def _read(read: Callable[[bytes], T], value: object) -> T | None:
    if not isinstance(value, bytes):
        return None
    try:
        return read(value)
    except StructiotError:
        return None
