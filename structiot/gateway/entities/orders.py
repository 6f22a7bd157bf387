"""A command as JSON: what shall be, with an id, and until when it is worth doing. Pure.

    {"value": "ON", "id": "7", "within_s": 5}

What is no such object is a plain command. A refusal is a `UsageError` that says what would
be right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from structiot._kit.json_text import compact, parse_json
from structiot._kit.text import did_you_mean, printable
from structiot.errors import ProtocolViolation, UsageError
from structiot.gateway.entities.commands import MAX_COMMAND_BYTES

__all__ = ["CommandId", "Order", "device_order", "entity_order", "value_payload"]

CommandId: TypeAlias = str | int
_VALUE = "value"
_MEMBERS = (_VALUE, "id", "deadline", "within_s")
_MAX_ID_CHARS = 100
_MAX_ID = 10**15  # what JSON numbers are exact for everywhere
_MAX_DEVICE_BYTES = 32_768
_MAX_S = 86_400  # a day; a command is no timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command as JSON.

    Attributes:
        value: What shall be; for a whole device, of each entity by its key.
        is_answered: It shall be answered, done or not.
        id: What its sender calls it; None if it has no name, or none that can be.
        deadline_utc: Until when it is worth doing; None for always.
        within_s: For how long it is, from now on; None for ever.
        fault: What is wrong with it; empty if nothing is.
    """

    value: object
    is_answered: bool = True
    id: CommandId | None = None
    deadline_utc: datetime | None = None
    within_s: float | None = None
    fault: str = ""

    @property
    def shown_id(self) -> CommandId | None:
        """What its sender calls it, fit to be shown."""
        return printable(self.id) if isinstance(self.id, str) else self.id

    def payload(self) -> bytes:
        """Give what would be published as a plain command.

        Raises:
            UsageError: Nothing would.
        """
        if self.fault:
            raise UsageError(self.fault)
        return value_payload(self.value)

    def left_s(self, now_utc: datetime) -> float:
        """Give for how long it is worth doing still; below zero if it is too late."""
        left_s = math.inf if self.within_s is None else self.within_s
        if self.deadline_utc is not None:
            left_s = min(left_s, (self.deadline_utc - now_utc).total_seconds())
        return left_s


def entity_order(payload: bytes) -> Order | None:
    """Read what was published for an entity; None if it is a plain command."""
    if not payload.lstrip().startswith(b"{") or len(payload) > MAX_COMMAND_BYTES:
        return None
    try:
        given = parse_json(payload, "a command")
    except ProtocolViolation:
        # Whom it is for says what would be right.
        return None
    return _order(given) if isinstance(given, dict) and _VALUE in given else None


def device_order(payload: bytes) -> Order:
    """Read what was published for several entities of a device.

    It is an object of their keys, or an `Order` whose value is one.
    """
    wanted = 'a JSON object such as {"port_1": "ON", "port_2": "OFF"}'
    if len(payload) > _MAX_DEVICE_BYTES:
        fault = f"a command for a device has {_MAX_DEVICE_BYTES} bytes at most"
        return Order(value=None, is_answered=False, fault=fault)
    try:
        given = parse_json(payload, "a command for a device")
    except ProtocolViolation:
        given = None
    if not isinstance(given, dict) or not given:
        fault = f"a command for a device is {wanted}"
        return Order(value=None, is_answered=False, fault=fault)
    value = given.get(_VALUE)
    if not (isinstance(value, dict) and given.keys() <= set(_MEMBERS)):
        return Order(value=given, is_answered=False)
    order = _order(given)
    if not value and not order.fault:
        return Order(value=None, id=order.id, fault=f"the value is {wanted}")
    return order


def _order(given: Mapping[str, object]) -> Order:
    order_id: CommandId | None = None
    try:
        order_id = _id(given.get("id"))
        _check_members(given)
        return Order(
            value=given[_VALUE],
            id=order_id,
            deadline_utc=_time(given.get("deadline")),
            within_s=_seconds(given.get("within_s")),
        )
    except UsageError as exc:
        return Order(value=None, id=order_id, fault=str(exc))


def _id(given: object) -> CommandId | None:
    if given is None or (isinstance(given, str) and len(given) <= _MAX_ID_CHARS):
        return given
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if is_number and isinstance(given, int) and abs(given) < _MAX_ID:
        return given
    message = f"id is a text of {_MAX_ID_CHARS} characters at most, or a whole number"
    raise UsageError(message)


def _check_members(given: Iterable[str]) -> None:
    for member in given:
        if member not in _MEMBERS:
            known, shown = ", ".join(_MEMBERS), printable(member, most=40)
            message = f"a command as JSON has {known}, and no {shown!r}"
            raise UsageError(message + did_you_mean(shown, _MEMBERS))


def _time(given: object) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given if isinstance(given, str) else "")
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError("deadline is a time such as 2026-05-01T12:00:00Z") from None


def _seconds(given: object) -> float | None:
    if given is None:
        return None
    is_figure = isinstance(given, int | float) and not isinstance(given, bool)
    if is_figure and isinstance(given, int | float) and 0 < given <= _MAX_S:
        return float(given)
    raise UsageError(f"within_s is a number of seconds, above 0 and up to {_MAX_S}")


def value_payload(value: object) -> bytes:
    """Give what would be published on a set topic for a value in JSON.

    Raises:
        UsageError: Nothing would.
    """
    match value:
        case str():
            text = value
        case bool():
            text = "ON" if value else "OFF"
        case int() | float() | dict():
            try:
                text = compact(value, is_ascii=False)
            except ValueError:
                message = "a value is a finite number, of not so many digits"
                raise UsageError(message) from None
        case _:
            raise UsageError("a value is a text, a number, true, false or an object")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("a value is text, and half a character is none") from None
