"""The envelope of every message, over MQTT and in the local network alike.

Facts: reference 2.3 and 2.4. What comes in is read leniently: firmware leaves out fields
and adds others; only `messageId`, `namespace`, `method` and an object as payload are
needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from typing import Final

from structiot._kit.json_text import (
    clean_text,
    compact,
    integer_of,
    parse_object,
    violation,
)
from structiot.errors import UsageError
from structiot.meross.wire.digests import md5_hex

__all__ = [
    "ANSWERS",
    "MAX_ENVELOPE_BYTES",
    "Envelope",
    "Method",
    "Payload",
    "decode_envelope",
    "encode_envelope",
    "is_signed",
    "sign_of",
]

Payload = Mapping[str, object]

# The longest that was seen is 4 kB, of a hub.
MAX_ENVELOPE_BYTES: Final = 65_536
_LONGEST_ID: Final = 128
_LONGEST_NAME: Final = 128
_LONGEST_TOPIC: Final = 256
_UUID: Final = re.compile(r"/appliance/([^/]{1,64})/(?:publish|subscribe)")


class Method(StrEnum):
    """What a message is; the answer to GET is GETACK, and so on (`ANSWERS`)."""

    GET = "GET"
    SET = "SET"
    PUSH = "PUSH"
    GETACK = "GETACK"
    SETACK = "SETACK"
    DELETE = "DELETE"
    DELETEACK = "DELETEACK"
    ERROR = "ERROR"


ANSWERS: Final = {
    Method.GET: Method.GETACK,
    Method.SET: Method.SETACK,
    Method.DELETE: Method.DELETEACK,
    Method.PUSH: Method.PUSH,
}
_METHODS: Final = frozenset(Method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message.

    Attributes:
        namespace: Such as `"Appliance.Control.ToggleX"`.
        method: What it is.
        payload: What it says.
        message_id: Any unique text; an answer has that of its request.
        sender: The wire's `from`: the topic where an answer goes.
        timestamp_s: Seconds since 1970, by the sender's clock.
        timestamp_ms: Milliseconds beyond; newer firmware tells them.
        uuid: The device it is for, or that it is from; often left out.
        trigger: The wire's `triggerSrc`: who caused it, in free text.
        sign: The signature it came with; written anew when it is encoded.
        wire_bytes: How long it was, if it was read.
    """

    namespace: str
    method: Method
    payload: Payload = field(default_factory=dict)
    message_id: str
    sender: str = ""
    timestamp_s: int = 0
    timestamp_ms: int | None = None
    uuid: str | None = None
    trigger: str | None = None
    sign: str = field(default="", repr=False)
    wire_bytes: int = field(default=0, repr=False, compare=False)

    @property
    def device_uuid(self) -> str | None:
        """Which device sent it, by the topic that it names as its own."""
        found = _UUID.fullmatch(self.sender)
        return found[1] if found else self.uuid

    @property
    def error_code(self) -> int | None:
        """The number in the payload of an ERROR; 5001 is a wrong signature."""
        error = self.payload.get("error")
        return integer_of(error.get("code")) if isinstance(error, dict) else None


def sign_of(message_id: str, key: str, timestamp_s: int) -> str:
    """Sign a message: the MD5 of its id, the account's key and its time."""
    return md5_hex(f"{message_id}{key}{timestamp_s}")


def is_signed(envelope: Envelope, key: str) -> bool:
    """Tell whether a message was signed with this key."""
    right = sign_of(envelope.message_id, key, envelope.timestamp_s)
    return compare_digest(right.encode(), envelope.sign.lower().encode())


def members_of(envelope: Envelope, key: str) -> dict[str, object]:
    """Give the message as the JSON object that it is on the wire, signed."""
    header: dict[str, object] = {
        "messageId": envelope.message_id,
        "namespace": envelope.namespace,
        "method": envelope.method.value,
        "payloadVersion": 1,
        "from": envelope.sender,
        "timestamp": envelope.timestamp_s,
        "sign": sign_of(envelope.message_id, key, envelope.timestamp_s),
    }
    if envelope.timestamp_ms is not None:
        header["timestampMs"] = envelope.timestamp_ms
    if envelope.trigger is not None:
        header["triggerSrc"] = envelope.trigger
    if envelope.uuid is not None:
        header["uuid"] = envelope.uuid
    return {"header": header, "payload": envelope.payload}


def encode_envelope(envelope: Envelope, key: str) -> bytes:
    """Write a message, signed with the key, as JSON without blanks.

    Raises:
        UsageError: A payload that JSON cannot hold.
    """
    try:
        return compact(members_of(envelope, key), is_ascii=True).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        message = f"{envelope.namespace}: a payload that JSON cannot hold: {exc}"
    raise UsageError(message)


def decode_envelope(data: bytes, what: str) -> Envelope:
    """Read a message; the signature is not verified, see `is_signed`.

    Args:
        data: What came.
        what: Where it came from, for the error.

    Raises:
        ProtocolViolation: Too long, no JSON object, no header, or one without
            `messageId`, `namespace` and a known `method`; a payload that is no object.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise violation(f"{what}: a message of {len(data)} bytes", data)
    return read_members(parse_object(data, what), what, data)


def read_members(
    members: Mapping[str, object], what: str, data: bytes = b""
) -> Envelope:
    """Read a message that is part of another one, as `decode_envelope` does."""
    header = members.get("header")
    if not isinstance(header, dict):
        raise violation(f"{what}: a message without header", data)
    payload = members.get("payload")
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise violation(f"{what}: a payload that is no object", data)
    message_id = _text(header, "messageId", _LONGEST_ID)
    namespace = _text(header, "namespace", _LONGEST_NAME)
    method = _text(header, "method", _LONGEST_NAME)
    if message_id is None or not namespace or method not in _METHODS:
        raise violation(f"{what}: a header without id, namespace or method", data)
    return Envelope(
        namespace=namespace,
        method=Method(method),
        payload=payload,
        message_id=message_id,
        sender=_text(header, "from", _LONGEST_TOPIC) or "",
        timestamp_s=_seconds(header.get("timestamp")),
        timestamp_ms=integer_of(header.get("timestampMs")),
        uuid=_text(header, "uuid", _LONGEST_ID),
        trigger=_text(header, "triggerSrc", _LONGEST_NAME),
        sign=_text(header, "sign", _LONGEST_ID) or "",
        wire_bytes=len(data),
    )


def _text(header: Mapping[str, object], name: str, most: int) -> str | None:
    """Give a text of the header as it may go on: printable, and cut."""
    value = header.get(name)
    return clean_text(value[:most]) if isinstance(value, str) else None


def _seconds(value: object) -> int:
    # Ten digits, which `integer_of` does not take as text.
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    return integer_of(value) or 0
